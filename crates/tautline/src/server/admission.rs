//! Whether there is a place for a connection.

use std::net::SocketAddr;

use super::addresses::{Excess, TooMuch};
use super::connections::Place;
use super::tally::Refused;
use super::{Running, Whose};

impl Running {
    /// A place for a connection, or for telling it that there is none; `None` if it is just to be closed.
    pub(super) fn place(&self, peer: SocketAddr) -> Option<Place> {
        let elsewhere = match &self.whose {
            Whose::Handler(_) => 0,
            Whose::Carrier(carrier) => carrier.open(),
        };
        let share = self.server.addresses.enter(peer.ip());
        let too_much = share.as_ref().err().copied();
        if let Some(much) = too_much {
            self.too_much(peer, much);
            // Not worth a handshake.
            #[cfg(feature = "tls")]
            if self.server.tls.is_some() {
                return None;
            }
        }
        let place = self.connections.admit(elsewhere, share);
        if too_much.is_none() && place.as_ref().is_none_or(|place| place.over().is_some()) {
            self.full(peer);
        }
        place
    }

    /// Takes note of a client for whom there is no place.
    fn full(&self, peer: SocketAddr) {
        self.server.tally.count(Refused::ServerFull);
        if let Some(refused) = self.full.due() {
            tracing::warn!(%peer, refused, limit = self.server.max_connections, "connection limit reached: refused");
        }
    }

    /// Takes note of a client whose address has too much.
    fn too_much(&self, peer: SocketAddr, much: TooMuch) {
        self.server.tally.count(match much.excess {
            Excess::Connections => Refused::AddressFull,
            Excess::Rate => Refused::AddressRate,
        });
        if let Some(refused) = much.to_log {
            let what = match much.excess {
                Excess::Connections => "too many connections from an address",
                Excess::Rate => "too many new connections from an address",
            };
            tracing::warn!(%peer, refused, "{what}: refused");
        }
    }
}
