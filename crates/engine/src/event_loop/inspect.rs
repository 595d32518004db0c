//! Looking at connections.

use tautline_proto::app::ConnectionId;

use super::Loop;
use crate::overview::Overview;
use crate::tap::{Tap, Watcher};
use crate::transport::Transport;

impl<T: Transport> Loop<T> {
    /// Somebody looks at a connection from now on, instead of whoever did before.
    pub(crate) fn inspect(&mut self, id: ConnectionId, watcher: Watcher) {
        let Some(connection) = self.world.slots.get(id) else { return };
        let mut tap = Tap::new(watcher, connection.begun(&self.world.turn), connection.core.may_compress());
        if let Some(more) = &connection.more {
            // The transport does not give it a second time.
            tap.received(&more.unread);
        }
        connection.transport.set_tap(Some(tap));
    }

    /// Somebody who looked at a connection may be gone.
    pub(crate) fn end_inspection(&mut self, id: ConnectionId) {
        if let Some(connection) = self.world.slots.get(id)
            && connection.transport.tap().is_some_and(Tap::is_over)
        {
            connection.transport.set_tap(None);
        }
    }

    /// The newest connections of an app that are older than `before`, newest first, at most `limit` of them.
    pub(crate) fn overview(&self, app: u8, before: Option<ConnectionId>, limit: usize) -> Vec<Overview> {
        let wanted = |connection: &&super::Connection<T>| {
            connection.app == app
                && connection.transport.is_some()
                && before.is_none_or(|before| connection.id < before)
        };
        let mut ids: Vec<ConnectionId> =
            self.world.slots.iter().filter(wanted).map(|connection| connection.id).collect();
        // There may be very many more.
        if ids.len() > limit {
            ids.select_nth_unstable_by(limit, |a, b| b.cmp(a));
            ids.truncate(limit);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let one = |id: ConnectionId| {
            let connection = self.world.slots.look(id)?;
            Some(Overview {
                id,
                peer: connection.peer.address(),
                queued: connection.queued(&self.world.turn),
                silence: self.world.now - connection.core.last_heard(),
                latency: connection.core.latency(),
                #[cfg(feature = "tls")]
                session: connection.transport.session().and_then(|session| {
                    Some((session.protocol_version()?, session.negotiated_cipher_suite()?.suite()))
                }),
            })
        };
        ids.into_iter().filter_map(one).collect()
    }
}
