//! Whom to wake when the transport can go on.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Who waits for a connection. The transport knows one waker, this one, and it wakes them all: a transport keeps only
/// the last waker that it was polled with, while a connection may be received from, sent to and kept alive by
/// different tasks.
#[derive(Debug, Default)]
pub(crate) struct Wakers([Mutex<Option<Waker>>; 3]);

/// A place in [`Wakers`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// The task that receives.
    Receiver,
    /// The task that keeps the connection alive.
    Keeper,
    /// The task that uses the connection as a `Sink`.
    Sink,
}

impl Wakers {
    /// From now on `waker` is woken, too.
    pub(crate) fn register(&self, waiter: Waiter, waker: &Waker) {
        let mut slot = self.slot(waiter);
        match &mut *slot {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Wakes one of them.
    pub(crate) fn wake_one(&self, waiter: Waiter) {
        if let Some(waker) = &*self.slot(waiter) {
            waker.wake_by_ref();
        }
    }

    fn slot(&self, waiter: Waiter) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.0[waiter as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for waiter in [Waiter::Receiver, Waiter::Keeper, Waiter::Sink] {
            self.wake_one(waiter);
        }
    }
}
