//! Time: the timers of the apps, and the deadlines of the connections.

use tautline_proto::{Timeout, Transport as Verdict};

use super::Loop;
use super::connection::Flags;
use crate::transport::Transport;

impl<T: Transport> Loop<T> {
    /// Runs the apps' timers that are due, and sees to the connections whose time has come.
    pub(super) fn run_timers(&mut self) {
        let now = self.world.now;
        for app in 0..self.apps.len() {
            if self.world.timers[app].next().is_none_or(|next| next > now) {
                continue;
            }
            let batch = self.world.timers[app].batch();
            // One at a time: a timer may take the next one back.
            while let Some(timer) = self.world.timers[app].pop(now, batch) {
                let _ = self.call(app as u8, None, None, |app, io| app.timer(io, timer));
            }
        }
        let mut up = std::mem::take(&mut self.up);
        self.world.wheel.expire(now, &mut up);
        for slot in up.drain(..) {
            self.time_out(slot);
        }
        self.up = up;
    }

    fn time_out(&mut self, slot: usize) {
        let now = self.world.now;
        let Some(connection) = self.world.slots.at(slot) else { return };
        if connection.core.poll_timeout().is_some_and(|at| at > now) {
            return self.world.list(slot);
        }
        // An answer that is here already counts.
        self.readable(slot, false);
        let Some(connection) = self.world.slots.at(slot) else { return };
        if connection.is(Flags::PAUSED) {
            connection.core.not_reading(now);
        }
        match connection.core.transport() {
            Verdict::Close => {
                let linger = connection.more.as_ref().and_then(|more| more.linger);
                if linger.is_some_and(|until| until <= now) {
                    connection.fail(&mut self.world.turn);
                }
            }
            _ => match connection.core.handle_timeout(now) {
                Timeout::Idle | Timeout::Ping => {}
                Timeout::Stalled { late } => {
                    tracing::warn!(?late, "this program stood still; the peer gets another chance to answer");
                }
                Timeout::Ended => connection.fail(&mut self.world.turn),
            },
        }
        self.world.list(slot);
    }
}
