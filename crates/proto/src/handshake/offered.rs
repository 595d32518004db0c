//! The extensions that a client offers (RFC 6455 section 9.1), and what it makes of the answer.

use super::deflate::{self, Offer, Parameters};
use super::extensions;
use super::head::Headers;
use super::write::WriteError;
use crate::handshake::client::Violation;

/// What a request offers in Sec-WebSocket-Extensions: an [`Offered`].
///
/// It stands behind a trait so that a client on a chip that offers nothing has none of the code, which is 3 KB: only who makes such
/// a reference needs it.
pub trait Extensions: Negotiate + Sync {}

/// Extensions to offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offered<'a> {
    /// How to compress messages, if the server agrees (RFC 7692).
    pub deflate: Option<Offer>,
    /// The value of a further Sec-WebSocket-Extensions header, with extensions that the caller implements.
    pub others: Option<&'a str>,
}

impl Extensions for Offered<'_> {}

/// What the handshake asks of it.
pub trait Negotiate {
    /// The values of the request's headers.
    fn values(&self, header: &mut dyn FnMut(&str)) -> Result<(), WriteError>;

    /// Checks a Sec-WebSocket-Extensions header of the answer (RFC 6455 section 4.1, answer 5, and section 9.1).
    fn check(&self, value: &[u8]) -> Result<(), Violation>;

    /// How messages are compressed, by all headers of the answer (RFC 7692 section 7.1.3).
    fn agreed(&self, headers: Headers<'_>) -> Result<Option<Parameters>, Violation>;
}

impl Negotiate for Offered<'_> {
    fn values(&self, header: &mut dyn FnMut(&str)) -> Result<(), WriteError> {
        if let Some(offer) = &self.deflate {
            header(offer.text().as_str());
        }
        let Some(others) = self.others else { return Ok(()) };
        // RFC 6455 section 9.1.
        if !extensions::is_well_formed(others.as_bytes()) {
            return Err(WriteError::InvalidExtensions);
        }
        header(others);
        Ok(())
    }

    fn check(&self, value: &[u8]) -> Result<(), Violation> {
        match extensions::were_offered(value, self.others, self.deflate.map(|_| deflate::NAME)) {
            Some(true) => Ok(()),
            Some(false) => Err(Violation::ExtensionNotOffered),
            None => Err(Violation::MalformedExtensions),
        }
    }

    fn agreed(&self, headers: Headers<'_>) -> Result<Option<Parameters>, Violation> {
        let Some(offer) = &self.deflate else { return Ok(None) };
        offer.agreed(extensions::in_headers(headers)).map_err(|_| Violation::DeflateParameters)
    }
}
