//! Engines with real sockets on the loopback interface.

mod attached;
mod plain;
mod support;
mod threads;
#[cfg(feature = "tls")]
mod tls;
