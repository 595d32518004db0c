//! `tautline.v1.json`: docs/protocol/rooms.md says what is what.

mod depth;
pub(crate) mod device;
mod incoming;
mod outgoing;

use tautline_rooms::Resume;

pub(crate) use depth::{DEEPEST, is_too_deep};
pub(super) use incoming::{BadEnvelope, Incoming, StateRequest};
pub(crate) use incoming::{Change, payload};
pub(super) use outgoing::{
    FORBIDDEN, Limits, acknowledgement, change_answer, document, document_change, error, message, presence, refusal,
    welcome,
};

/// The subprotocol of envelopes.
pub const SUBPROTOCOL: &str = "tautline.v1.json";

/// The subprotocol that is as none. Browsers need it that offer an access token as another one: they insist on one being
/// selected, and the token never is.
pub const RAW_SUBPROTOCOL: &str = "tautline.raw";

/// `epoch` and `offset` of a query: how far a client had come. `Err` if they make no sense.
pub(super) fn resume(query: Option<&str>) -> Result<Option<Resume>, ()> {
    let value = |name: &str| {
        let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match (value("epoch"), value("offset")) {
        (None, None) => Ok(None),
        (Some(epoch), Some(offset)) if epoch.len() == 16 => {
            let epoch = u64::from_str_radix(epoch, 16).map_err(|_| ())?;
            let offset = offset.parse().map_err(|_| ())?;
            Ok(Some(Resume { epoch, offset }))
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_client_had_come_is_in_the_query() {
        let resumed = |epoch, offset| Ok(Some(Resume { epoch, offset }));
        assert_eq!(resume(None), Ok(None));
        assert_eq!(resume(Some("x=1")), Ok(None));
        assert_eq!(resume(Some("epoch=00000000000000ff&offset=12")), resumed(255, 12));
        assert_eq!(resume(Some("offset=0&x&epoch=ffffffffffffffff")), resumed(u64::MAX, 0));
        for bad in ["epoch=00000000000000ff", "offset=1", "epoch=ff&offset=1", "epoch=00000000000000ff&offset=-1"] {
            assert_eq!(resume(Some(bad)), Err(()), "{bad}");
        }
    }
}
