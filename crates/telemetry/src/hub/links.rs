//! The numbers that the hub gives to sessions.

use crate::key::Key;

/// Gives links. A link follows from the device, the session and a secret, so that a hello leaves nothing in the hub's
/// memory; and since the secret is another one after each start, messages recorded before it are worthless after it.
#[derive(Clone, Debug)]
pub struct Links {
    secret: Key,
}

impl Links {
    /// From 32 random bytes, made anew at each start of the hub and kept nowhere.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { secret: Key::new(secret) }
    }

    /// The link of a session, never 0.
    pub fn link(&self, device: u32, session: u64) -> u64 {
        let link = u64::from_be_bytes(self.secret.tag(&[&device.to_be_bytes(), &session.to_be_bytes()]));
        link.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_same_for_the_same_session_only() {
        let links = Links::new(&[1; 32]);
        assert_eq!(links.link(7, 9), links.link(7, 9));
        assert_ne!(links.link(7, 9), links.link(7, 10));
        assert_ne!(links.link(7, 9), links.link(8, 9));
        assert_ne!(links.link(7, 9), Links::new(&[2; 32]).link(7, 9));
    }
}
