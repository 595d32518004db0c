//! A device's key, and the tags that it makes.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// The key that a device shares with its hub, prepared for use. It does not show itself in `Debug`.
#[derive(Clone)]
pub struct Key {
    /// The key has been taken in already, which is half of the work for a short message.
    mac: Hmac<Sha256>,
}

impl Key {
    /// A key of 32 random bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        // HMAC pads a short key with zeros to the block of its hash (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..32].copy_from_slice(bytes);
        Self { mac: Hmac::new(&block.into()) }
    }

    /// The first bytes of the HMAC of these parts, one behind the other.
    pub(crate) fn tag<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        let whole = mac.finalize().into_bytes();
        let mut tag = [0; N];
        tag.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        tag
    }

    /// Writes the tag of a whole message to its end, where there is room for it.
    pub fn sign(&self, message: &mut [u8]) {
        if let Some((covered, place)) = message.split_last_chunk_mut::<TAG>() {
            *place = self.tag(&[covered]);
        }
    }

    /// Whether this is the tag of the bytes, in a time that does not depend on it.
    pub(crate) fn verifies(&self, bytes: &[u8], tag: &[u8; TAG]) -> bool {
        self.mac.clone().chain_update(bytes).verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4231_section_4_4_in_its_first_bytes() {
        // Test case 3 has a key of 20 bytes, which zeros prolong without changing it.
        let mut key = [0; 32];
        key[..20].fill(0xaa);
        let tag: [u8; 4] = Key::new(&key).tag(&[&[0xdd; 20], &[0xdd; 30]]);
        assert_eq!(tag, [0x77, 0x3e, 0xa9, 0x1e]);
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(std::format!("{:?}", Key::new(&[0x41; 32])), "Key(..)");
    }
}
