//! TLS_AES_128_GCM_SHA256, with a look at each decrypted record before embedded-tls sees it.
//!
//! embedded-tls panics on an empty record, and on most handshake messages once the session is open. It creates the cipher anew for
//! each record and gives it nothing but the record's header; so [`wire`](crate::wire) marks there which records are
//! of the open session.

use aes_gcm::aead::consts::{U0, U12, U16, U54};
use aes_gcm::aead::{AeadCore, AeadInPlace, Buffer, Error, KeyInit, KeySizeUser, Result};
use aes_gcm::{Aes128Gcm, Key, Nonce, Tag};
use embedded_tls::{Aes128GcmSha256, TlsCipherSuite};
use sha2::Sha256;

/// The cipher suite (RFC 8446 §B.4).
pub(crate) struct Suite;

/// In place of the last byte of a record header's version: the record is one of the open session.
pub(crate) const OPEN: u8 = 0xff;

/// The version that is in every record's header, and that the tag covers (RFC 8446 §5.2).
const LEGACY_VERSION: [u8; 2] = [3, 3];

/// Inner content types (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The one handshake message that an open session has a use for, if only to forget it (RFC 8446 §4.6.1).
const NEW_SESSION_TICKET: u8 = 4;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = Aes128GcmSha256::CODE_POINT;
    type Cipher = Checked;
    type KeyLen = U16;
    type IvLen = U12;
    type Hash = Sha256;
    type LabelBufferSize = U54;
}

/// The cipher, which hands on only what embedded-tls can take.
pub(crate) struct Checked(Aes128Gcm);

impl KeySizeUser for Checked {
    type KeySize = U16;
}

impl KeyInit for Checked {
    fn new(key: &Key<Aes128Gcm>) -> Self {
        Self(Aes128Gcm::new(key))
    }
}

impl AeadCore for Checked {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadInPlace for Checked {
    fn encrypt_in_place_detached(&self, nonce: &Nonce<U12>, header: &[u8], bytes: &mut [u8]) -> Result<Tag> {
        self.0.encrypt_in_place_detached(nonce, header, bytes)
    }

    fn decrypt_in_place_detached(&self, nonce: &Nonce<U12>, header: &[u8], bytes: &mut [u8], tag: &Tag) -> Result<()> {
        self.0.decrypt_in_place_detached(nonce, header, bytes, tag)
    }

    fn decrypt_in_place(&self, nonce: &Nonce<U12>, header: &[u8], record: &mut dyn Buffer) -> Result<()> {
        let [kind, _, version, high, low] = *header else { return Err(Error) };
        self.0.decrypt_in_place(nonce, &[kind, LEGACY_VERSION[0], LEGACY_VERSION[1], high, low], record)?;
        check(version == OPEN, record)
    }
}

/// Content, its type, and zeros (RFC 8446 §5.2).
fn check(open: bool, record: &mut dyn Buffer) -> Result<()> {
    let end = record.as_ref().iter().rposition(|byte| *byte != 0).ok_or(Error)?;
    match (record.as_ref()[end], open) {
        (ALERT, _) | (HANDSHAKE, false) | (APPLICATION_DATA, true) => Ok(()),
        (HANDSHAKE, true) if are_tickets(&record.as_ref()[..end]) => {
            // Sessions are not resumed. An empty record of data is what embedded-tls passes over.
            record.as_mut()[0] = APPLICATION_DATA;
            record.truncate(1);
            Ok(())
        }
        _ => Err(Error),
    }
}

/// Whether these handshake messages are tickets, and nothing else.
fn are_tickets(mut messages: &[u8]) -> bool {
    while let [NEW_SESSION_TICKET, high, middle, low, rest @ ..] = messages {
        let len = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        match rest.get(len..) {
            Some([]) => return true,
            Some(more) => messages = more,
            None => return false,
        }
    }
    false
}
