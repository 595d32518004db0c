//! The session against rustls, and against a server that breaks the rules.

mod handmade;
mod hostile;
mod session;
mod verification;
mod world;
