//! What the device's client is put through, on a host and on a chip alike: without I/O of its own, without an allocator.

#![no_std]
#![forbid(unsafe_code)]

pub mod autobahn;
pub mod replay;
