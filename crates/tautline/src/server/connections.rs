//! The connections of a running server.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tautline_proto::CloseCode;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::addresses::{Share, TooMuch};
use super::request::Refusal;
use crate::keeper::Handling;
use crate::shared::Shared;

/// How many connections over the limit are told so at once before further ones are just closed.
const OVERFLOW: usize = 64;

/// The connections that have to end before the server has.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    lists: Mutex<Lists>,
    /// Told when the last one ends.
    idle: Notify,
}

#[derive(Debug, Default)]
struct Lists {
    next: u64,
    entries: HashMap<u64, Entry>,
    /// How many of them are over the limit.
    over: usize,
    /// The server waits no longer: tasks that are started now are aborted.
    aborted: bool,
}

#[derive(Debug, Default)]
struct Entry {
    task: Option<AbortHandle>,
    /// Once the handshake is done.
    open: Weak<Shared>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, lists: Mutex::default(), idle: Notify::new() })
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection until the answer is dropped, besides those `elsewhere`, or one of an address that has too much;
    /// `None` if there are far too many.
    pub(super) fn admit(self: &Arc<Self>, elsewhere: usize, share: Result<Option<Share>, TooMuch>) -> Option<Place> {
        let mut lists = self.lists();
        let full = lists.entries.len() - lists.over + elsewhere >= self.limit;
        let (share, over) = match share {
            Err(much) => (None, Some(Over::Address { retry_after: much.retry_after })),
            Ok(share) => (share, full.then_some(Over::Server)),
        };
        if over.is_some() && lists.over >= OVERFLOW {
            drop(lists);
            return None;
        }
        lists.over += usize::from(over.is_some());
        lists.next += 1;
        let id = lists.next;
        lists.entries.insert(id, Entry::default());
        drop(lists);
        Some(Place { connections: self.clone(), id, over, share })
    }

    /// Closes every connection and waits for all tasks, at most `timeout`; what is left then is aborted.
    pub(super) async fn drain(&self, code: CloseCode, timeout: Duration) {
        let open: Vec<_> = self.lists().entries.values().filter_map(|entry| entry.open.upgrade()).collect();
        for shared in open {
            shared.begin_close(code, "");
        }
        if tokio::time::timeout(timeout, self.wait_idle()).await.is_ok() {
            return;
        }
        let left: Vec<_> = {
            let mut lists = self.lists();
            lists.aborted = true;
            lists.entries.values().filter_map(|entry| entry.task.clone()).collect()
        };
        tracing::warn!(connections = left.len(), "did not end in time: dropped");
        for task in left {
            task.abort();
        }
        self.wait_idle().await;
    }

    async fn wait_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.lists().entries.is_empty() {
                return;
            }
            idle.await;
        }
    }
}

/// A connection's place among those of the server, from accepting it to its end. It is owned by the task that serves the
/// connection.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    over: Option<Over>,
    share: Option<Share>,
}

/// Why a connection is one too many.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    /// The server has as many as it may.
    Server,
    /// Its address has more than it may, until so many seconds later.
    Address { retry_after: u32 },
}

impl Over {
    /// What the client is told.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Server => Refusal::new(503, "too many connections").retry_after(5),
            Self::Address { retry_after } => {
                Refusal::new(429, "too many connections from your address").retry_after(retry_after)
            }
        }
    }
}

impl Place {
    /// Why the connection is one too many, if it is.
    pub(super) fn over(&self) -> Option<Over> {
        self.over
    }

    /// What it has of what its address may have: it goes on elsewhere.
    pub(super) fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }

    /// Runs a task that is given this place.
    pub(super) fn run<T>(self, task: impl FnOnce(Self) -> T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (connections, id) = (self.connections.clone(), self.id);
        let handle = tokio::spawn(task(self)).abort_handle();
        let mut lists = connections.lists();
        let aborted = lists.aborted;
        // It may have ended already, and is not listed any more then.
        if let Some(entry) = lists.entries.get_mut(&id) {
            if aborted {
                handle.abort();
            }
            entry.task = Some(handle);
        }
    }

    /// Runs the handler of this connection, whose handshake has been answered. The caller has listed it as open.
    pub(super) fn handle(self, handling: Handling) {
        self.run(|place| Open { handling, _place: place });
    }

    /// From now on the server closes this connection when it shuts down.
    pub(super) fn set_open(&self, shared: &Arc<Shared>) {
        if let Some(entry) = self.connections.lists().entries.get_mut(&self.id) {
            entry.open = Arc::downgrade(shared);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lists = self.connections.lists();
        let entry = lists.entries.remove(&self.id);
        lists.over -= usize::from(self.over.is_some());
        if lists.entries.is_empty() {
            self.connections.idle.notify_waiters();
        }
        drop(lists);
        // Outside of the lock: it may be all that is left of the task or of the connection.
        drop(entry);
    }
}

/// The task of an open connection. Written out, since an `async` block would hold what it is given twice: once as it was
/// given, once as it is awaited.
struct Open {
    handling: Handling,
    _place: Place,
}

impl Future for Open {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let panicked = ready!(Pin::new(&mut self.handling).poll(cx));
        let shared = self.handling.shared();
        let peer = shared.info.peer.map(tracing::field::display);
        let ended = shared.lock().core.ended();
        match ended {
            _ if panicked => tracing::error!(peer, "the handler panicked; the connection was closed with 1011"),
            Some(ended) if ended.is_clean() => tracing::debug!(peer, %ended, "connection closed"),
            Some(ended) => tracing::info!(peer, %ended, "connection lost"),
            None => tracing::info!(peer, "connection dropped"),
        }
        Poll::Ready(())
    }
}
