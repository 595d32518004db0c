//! Whom to wake when a connection can go on.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Who drives a connection. The transport knows one waker, this one, and it wakes them all: a transport keeps only the
/// last waker that it was polled with, while a connection may be received from and kept alive by different tasks.
///
/// Its lock is taken last: nothing else is locked under it.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Mutex<[Option<Waker>; 2]>);

/// A place in [`Wakers`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// The task that receives.
    Receiver,
    /// The task that keeps the connection alive.
    Keeper,
}

impl Wakers {
    /// From now on `waker` is woken, too.
    pub(crate) fn register(&self, waiter: Waiter, waker: &Waker) {
        match &mut self.places()[waiter as usize] {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Wakes one of them.
    pub(crate) fn wake_one(&self, waiter: Waiter) {
        if let Some(waker) = &self.places()[waiter as usize] {
            waker.wake_by_ref();
        }
    }

    fn places(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let places = self.places();
        let [receiver, keeper] = &*places;
        if let Some(receiver) = receiver {
            receiver.wake_by_ref();
        }
        // On a server the two are one task.
        if let Some(keeper) = keeper.as_ref().filter(|&keeper| receiver.as_ref().is_none_or(|r| !r.will_wake(keeper))) {
            keeper.wake_by_ref();
        }
    }
}

/// The tasks that wait until something of a connection has changed: room in the queue, a pong, the end. Each waits for
/// one change and has to register again after it.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Vec<(Option<Ticket>, Waker)>);

/// Whose entry it is in [`Waiting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(NonZeroU32);

impl Ticket {
    fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(1);
        // Numbers come again only after four billion.
        Self(NonZeroU32::new(LAST.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU32::MAX))
    }
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes `waker` at the next change. The ticket is for [`remove`](Self::remove).
    pub(crate) fn register(&mut self, ticket: &mut Option<Ticket>, waker: &Waker) {
        let ticket = *ticket.get_or_insert_with(Ticket::new);
        match self.0.iter_mut().find(|(known, _)| *known == Some(ticket)) {
            Some((_, known)) => known.clone_from(waker),
            None => self.0.push((Some(ticket), waker.clone())),
        }
    }

    /// As [`register`](Self::register), for a task that will not tell when it gives up waiting.
    pub(crate) fn register_task(&mut self, waker: &Waker) {
        if !self.0.iter().any(|(ticket, known)| ticket.is_none() && known.will_wake(waker)) {
            self.0.push((None, waker.clone()));
        }
    }

    /// Somebody waits no longer.
    pub(crate) fn remove(&mut self, ticket: Ticket) {
        self.0.retain(|(known, _)| *known != Some(ticket));
    }

    /// All of them, to be woken.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(_, waker)| waker)
    }
}
