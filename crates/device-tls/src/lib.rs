//! TLS 1.3 for devices that trust one certificate authority: [embedded-tls](https://docs.rs/embedded-tls) with a verifier of its
//! own and client certificates. No allocator, no operating system, no unsafe code.
//!
//! embedded-tls's verifier lets every certificate of the authority pose as an authority itself, so any device could pose as the
//! server, and it knows no IP addresses. This one believes a server if, and only if,
//!
//! - the **pinned authority itself** signed its certificate (ECDSA on P-256; on P-384 and Ed25519 by features of this crate),
//! - the certificate is a **server's**: not an authority's, extended key usage with serverAuth, key usage (if there) with
//!   digitalSignature, no critical extension that is not known,
//! - it is for the **name or address** that was dialled: DNS or IP entries of subjectAltName, never the common name (RFC 9525),
//! - it is **valid now**, as far as the device knows the time,
//! - and the server **signed the handshake** with the certificate's key (RFC 8446 §4.4.3).
//!
//! Further certificates that a server sends are not looked at.
//!
//! # Use
//!
//! ```
//! use embedded_io_async::{Read, Write};
//! use tautline_device_tls::*;
//!
//! // The files of `config.json`; a socket that is connected to `host`.
//! async fn talk(
//!     socket: impl Read + Write,
//!     host: &str,
//!     (ca, certificate, key): (&[u8], &[u8], &[u8]),
//!     random: impl FnMut(&mut [u8]),
//! ) -> Result<(), Box<dyn core::error::Error>> {
//!     let mut memory = [[0; 1024]; 3];
//!     let [ca_memory, certificate_memory, key_memory] = &mut memory;
//!     let authority = Authority::new(der(ca, Content::Certificate, ca_memory)?)?;
//!     let certificate = der(certificate, Content::Certificate, certificate_memory)?;
//!     let identity = Identity::new(certificate, der(key, Content::Key, key_memory)?)?;
//!     let settings = Settings {
//!         server: ServerName::parse(host).ok_or("no name and no address")?,
//!         trust: Trust::Authority(&authority),
//!         identity: Some(&identity),
//!         time: Time::Unknown,
//!     };
//!
//!     let mut wire = Wire::new(socket);
//!     let (mut read, mut write) = ([0; READ_BUFFER], [0; 1536]);
//!     let mut session = open(&mut wire, Buffers { read: &mut read, write: &mut write }, &settings, random).await?;
//!     let (mut reader, mut writer) = session.split();
//!     writer.write_all(b"hello").await?;
//!     writer.flush().await?;
//!     let mut answer = [0; 64];
//!     let len = reader.read(&mut answer).await?;
//!     # let _ = len;
//!     session.close().await?;
//!     Ok(())
//! }
//! ```
//!
//! To reconnect, keep the [`Wire`] and the buffers: connect [`Wire::socket`] anew, and [`open`] the next session. That is what a connector of
//! `tautline-device` does; a [`Session`] splits and closes as its transports do.
//!
//! # Limits
//!
//! - TLS 1.3 with AES-128-GCM, SHA-256 and a key exchange on P-256, which rustls and OpenSSL offer by themselves. No resumption: tickets
//!   are passed over.
//! - RSA needs an allocator, so a server's and an authority's certificates are elliptic. The device's own is on P-256.
//! - A server that changes its keys within a session (KeyUpdate) ends it; rustls does so after 2^24 records.
//! - Handshake messages that are cut over several records are not read. Servers do that only if they limit their records to less than
//!   their chain of certificates.
//! - Memory: the two [`Buffers`], 1.3 KB for the session, and 19 KB of stack during the handshake;
//!   `docs/reference/device-tls.md` has numbers.
//!
//! # What is made up for
//!
//! embedded-tls 0.19 has some faults that a hostile network could use. Here they are closed around it: a server that leaves
//! its certificate out is refused; records that would make it panic (an empty one, a handshake message in an open session, one that
//! is not encrypted) end the session; a write that failed or was dropped ends it, since the next one would use its nonce
//! again.

#![no_std]
#![forbid(unsafe_code)]

mod certificate;
mod error;
mod identity;
mod key;
mod name;
mod pem;
mod provider;
mod session;
mod settings;
mod suite;
mod trust;
mod verifier;
mod wire;

pub use error::{Error, Untrusted};
pub use identity::{Identity, IdentityError};
pub use name::ServerName;
pub use pem::{Content, PemError, der};
pub use session::{Reader, Session, Writer, open};
pub use settings::{Buffers, MIN_READ_BUFFER, MIN_WRITE_BUFFER, READ_BUFFER, Settings, Trust};
pub use trust::{Authority, Time};
pub use wire::Wire;
