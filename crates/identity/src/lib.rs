//! Certificates and access tokens for a Tautline hub and its devices.
//!
//! - **Making:** an [`Authority`] signs certificates for servers and clients; a [`Folder`] keeps them in files that
//!   servers in Python, browsers and controllers read.
//! - **Reading:** [`client_name`] tells whose verified certificate it is, [`Description`] all that stands in one.
//! - **Serving:** [`ServerTls`] makes a rustls configuration from files and reads them again while the server runs.
//! - **Revoking:** a [`RevocationList`] names the certificates that are not to be trusted any more.
//! - **Tokens:** a [`TokenText`] is what a client shows that has no certificate.
//!
//! ```
//! use tautline_identity::{Authority, KeyKind, Validity, client_name};
//!
//! # fn main() -> Result<(), tautline_identity::Error> {
//! let ca = Authority::create("Lab CA", KeyKind::EcdsaP256, Validity::days(3650))?;
//! let device = ca.client("ESP Client 1", KeyKind::EcdsaP256, Validity::days(825))?;
//! assert_eq!(client_name(device.certificate()).as_deref(), Ok("ESP Client 1"));
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! `rsa`: makes RSA keys, too. That takes AWS-LC, whose C code compiles for a minute; neither ring nor any maintained
//! crate without a known weakness can do it. RSA keys that others made are read and used without it.

mod authority;
mod description;
mod error;
mod files;
mod folder;
mod host;
mod key;
mod name;
mod revocation;
mod tls;
mod token;

use pem::Pem;
use rustls::pki_types::CertificateDer;

pub use authority::{Authority, Issued, Validity};
pub use description::{Description, fingerprint, is_signed_by, serial, utc};
pub use error::Error;
pub use folder::{Extras, Folder, Founding, Role, Written};
pub use host::Host;
pub use key::{KeyKind, PrivateKey};
pub use name::{MAX_NAME, NameError, client_name, random_name};
pub use revocation::RevocationList;
pub use tls::{ClientAuth, ServerTls, TlsFiles, how_to_make};
pub use token::TokenText;

use error::Problem;

fn is_pem(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ";
    bytes.windows(MARK.len()).any(|window| window == MARK)
}

fn pem_text(tag: &str, contents: impl Into<Vec<u8>>) -> String {
    // What all systems read, whichever one wrote it.
    pem::encode_config(&Pem::new(tag, contents), pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// All certificates in a PEM file's bytes, or the one in a DER file's.
fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    if !is_pem(bytes) {
        return match bytes {
            // Every certificate is an ASN.1 SEQUENCE.
            [0x30, ..] => Ok(vec![CertificateDer::from(bytes.to_vec())]),
            _ => Err(Problem::other("not a certificate: neither PEM nor DER")),
        };
    }
    let blocks = pem::parse_many(bytes).map_err(|error| Problem::other(format!("malformed PEM: {error}")))?;
    let found = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    match found.map(|block| CertificateDer::from(block.into_contents())).collect::<Vec<_>>() {
        none if none.is_empty() => Err(Problem::other("no certificate is in the PEM")),
        some => Ok(some),
    }
}

fn first_certificate(bytes: &[u8]) -> Result<CertificateDer<'static>, Problem> {
    certificates(bytes).map(|mut all| all.swap_remove(0))
}
