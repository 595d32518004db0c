//! What a session is made from.

use crate::identity::Identity;
use crate::name::ServerName;
use crate::trust::{Authority, Time};

/// A read buffer that takes every record that TLS allows: 2^14 bytes, 256 of expansion (RFC 8446 §5.2), and what embedded-tls
/// advises.
pub const READ_BUFFER: usize = 16_640;

/// The smallest read buffer. A smaller one than [`READ_BUFFER`] asks the server for records of at most 4,096 bytes (RFC 6066 §4),
/// which OpenSSL obeys and rustls does not know; the latter has a setting of its own (`max_fragment_size`).
pub const MIN_READ_BUFFER: usize = 4096 + 256;

/// The smallest write buffer. The client's certificate has to fit, too, with 64 bytes around it.
pub const MIN_WRITE_BUFFER: usize = 512;

/// Whom to talk to, whom to believe, and who to be.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The server that was dialled.
    pub server: ServerName<'a>,
    /// Who says that it is the server.
    pub trust: Trust<'a>,
    /// The device's certificate, for servers that ask for one.
    pub identity: Option<&'a Identity<'a>>,
    /// What the device knows of the time.
    pub time: Time,
}

/// Which servers are believed.
#[derive(Clone, Copy, Debug)]
pub enum Trust<'a> {
    /// The one for which this authority has signed.
    Authority(&'a Authority<'a>),
    /// Whoever answers. **This protects against nobody who controls the network**: they can read and change everything. It is what
    /// `cert_reqs: 0` means.
    Anybody,
}

/// The memory of a session, to be used again for the next.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// Holds one record of the server's: [`READ_BUFFER`] is always enough; not below [`MIN_READ_BUFFER`].
    pub read: &'a mut [u8],
    /// Holds one record of the device's: what is written between two flushes goes out in records of this size less 128. Not below
    /// [`MIN_WRITE_BUFFER`].
    pub write: &'a mut [u8],
}
