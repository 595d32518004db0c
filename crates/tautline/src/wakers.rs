//! Whom to wake when the transport can go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Who waits for a connection. The transport knows one waker, this one, and it wakes them all: a transport keeps only
/// the last waker that it was polled with, while a connection may be received from, sent to and kept alive by
/// different tasks.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    one: [Mutex<Option<Waker>>; 2],
    /// Sending halves are cloned, so that several tasks may wait; until they are woken.
    sinks: Mutex<Vec<Waker>>,
}

/// A place in [`Wakers`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// The task that receives.
    Receiver,
    /// The task that keeps the connection alive.
    Keeper,
    /// The tasks that use the connection as a `Sink`.
    Sink,
}

impl Wakers {
    /// From now on `waker` is woken, too.
    pub(crate) fn register(&self, waiter: Waiter, waker: &Waker) {
        let Some(slot) = self.slot(waiter) else {
            let mut sinks = self.sinks();
            if !sinks.iter().any(|known| known.will_wake(waker)) {
                sinks.push(waker.clone());
            }
            return;
        };
        match &mut *slot.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Wakes one of them.
    pub(crate) fn wake_one(&self, waiter: Waiter) {
        let Some(slot) = self.slot(waiter) else {
            let sinks = std::mem::take(&mut *self.sinks());
            return sinks.into_iter().for_each(Waker::wake);
        };
        if let Some(waker) = &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }

    fn slot(&self, waiter: Waiter) -> Option<&Mutex<Option<Waker>>> {
        self.one.get(waiter as usize)
    }

    fn sinks(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
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
