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
        self.give(&[&device.to_be_bytes(), &session.to_be_bytes()])
    }

    /// As [`link`](Self::link), for a hub that forgets sessions of a device while it runs, and has done so `forgotten` times: with
    /// each time it is another link, so that what was recorded of a session that is forgotten is worthless.
    pub fn link_after(&self, device: u32, session: u64, forgotten: u32) -> u64 {
        match forgotten {
            0 => self.link(device, session),
            times => self.give(&[&device.to_be_bytes(), &session.to_be_bytes(), &times.to_be_bytes()]),
        }
    }

    fn give(&self, of: &[&[u8]]) -> u64 {
        u64::from_be_bytes(self.secret.tag(of)).max(1)
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

    #[test]
    fn a_link_becomes_another_when_sessions_are_forgotten() {
        let links = Links::new(&[1; 32]);
        assert_eq!(links.link_after(7, 9, 0), links.link(7, 9));
        assert_ne!(links.link_after(7, 9, 1), links.link(7, 9));
        assert_ne!(links.link_after(7, 9, 1), links.link_after(7, 9, 2));
    }
}
