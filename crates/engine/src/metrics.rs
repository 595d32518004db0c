//! What a loop counts.

use std::sync::atomic::{AtomicU64, Ordering};

use tautline_proto::app::Delivery;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a loop has counted since it started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        /// The counters as other threads see them: as they were at the end of the loop's last turn.
        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($name: AtomicU64,)+
        }

        impl Published {
            pub(crate) fn store(&self, counters: &Counters) {
                $(self.$name.store(counters.$name, Ordering::Relaxed);)+
            }

            pub(crate) fn load(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Connections that were taken over.
    opened,
    /// Connections that have ended.
    closed,
    /// Messages received.
    messages_in,
    /// Messages written or queued, one for each receiver.
    messages_out,
    /// Bytes read from transports (what TLS has deciphered, on TLS connections).
    bytes_in,
    /// Bytes written to transports (before TLS enciphers them, on TLS connections).
    bytes_out,
    /// Calls that read from a transport.
    reads,
    /// Writes to a transport: each a system call, but for [`batched`](Self::batched) ones.
    writes,
    /// Writes that were done together with others.
    batched,
    /// System calls that did several writes.
    batches,
    /// Turns of the loop, each with one wait for events.
    turns,
    /// Published messages that were dropped because the receiver was slow.
    dropped,
    /// Connections that were closed with 1013 because they were slow.
    disconnected,
    /// Calls of an app that panicked.
    panics,
}

impl Counters {
    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.opened - self.closed
    }

    pub(crate) fn delivered(&mut self, delivery: &Delivery) {
        self.messages_out += delivery.sent;
        self.dropped += delivery.dropped;
    }
}
