//! Answers that do not amplify.

use crate::answer::Problem;
use crate::error::Unencodable;
use crate::header::Address;
use crate::key::Key;
use crate::message::{Body, Message};

/// Writes the answer to a message and returns its length, which is never more than the message's. If an error's text does
/// not fit, it goes without.
///
/// `link` is that of the session for a welcome; every other answer has the message's own. With `key` `None` there is no tag:
/// for keyless devices, and for errors that a hub cannot sign.
///
/// # Errors
/// It would be larger than the message, or than `out`; or something in it is out of bounds.
pub fn answer(
    to: &Message<'_>,
    link: u64,
    body: &Body<'_>,
    key: Option<&Key>,
    out: &mut [u8],
) -> Result<usize, Unencodable> {
    let header = to.header();
    let most = out.len().min(to.bytes().len());
    let out = out.get_mut(..most).unwrap_or_default();
    let (address, sequence) = match body {
        Body::Welcome(_) => (Address { link, ..header.address }, header.sequence),
        Body::Acknowledgement(_) => (header.address, 0),
        _ => (header.address, header.sequence),
    };
    match (body.encode(address, sequence, key, out), body) {
        (Err(Unencodable::Room), Body::Error(problem)) => {
            Body::Error(Problem { text: "", ..*problem }).encode(address, sequence, key, out)
        }
        (encoded, _) => encoded,
    }
}
