//! What other threads want of a loop.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;
use tautline_proto::CloseCode;
use tautline_proto::app::{ConnectionId, Io, Slow};
use tautline_proto::handshake::server::Rejection;

use crate::encoded::Encoded;
use crate::event_loop::Hosted;
use crate::host::Request;
use crate::overview::Overview;
use crate::socket::Socket;
use crate::tap::Watcher;

/// Something that a loop is to do.
pub(crate) enum Post {
    Host(Box<dyn Hosted>),
    Admit {
        app: u8,
        request: Request,
        reply: Reply,
    },
    Abandon(ConnectionId),
    Adopt {
        id: ConnectionId,
        peer: Option<SocketAddr>,
        transport: Socket,
        leftover: Vec<u8>,
    },
    Visit(u8, Visit),
    Publish {
        to: Vec<ConnectionId>,
        message: Encoded,
        slow: Slow,
    },
    Close(ConnectionId, CloseCode, String),
    Inspect(ConnectionId, Watcher),
    EndInspection(ConnectionId),
    Overview {
        app: u8,
        before: Option<ConnectionId>,
        limit: usize,
        told: Told,
    },
    #[cfg(feature = "tls")]
    CloseSessions {
        which: Which,
        code: CloseCode,
        reason: String,
    },
    CloseAttached {
        which: WhichAttached,
        code: CloseCode,
        reason: String,
    },
    Drain {
        code: CloseCode,
        timeout: std::time::Duration,
    },
}

pub(crate) type Reply = Box<dyn FnOnce(Result<ConnectionId, Rejection>) + Send>;
pub(crate) type Told = Box<dyn FnOnce(Vec<Overview>) + Send>;
pub(crate) type Visit = Box<dyn FnOnce(&mut dyn Hosted, &mut dyn Io) + Send>;

pub(crate) type WhichAttached = Arc<dyn Fn(&(dyn Any + Send + Sync)) -> bool + Send + Sync>;

#[cfg(feature = "tls")]
pub(crate) type Which = Arc<dyn Fn(&rustls::ServerConnection) -> bool + Send + Sync>;

/// Wakes a loop that has something to do. Consumed by waking it; dropping it does so too.
pub struct Wake(Arc<Waker>);

impl std::fmt::Debug for Wake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wake").finish_non_exhaustive()
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "cannot wake an event loop");
        }
    }
}

/// See [`Settings::waking`](crate::Settings::waking).
pub(crate) type Waking = Arc<dyn Fn(Wake) + Send + Sync>;

/// Posts for a loop, and what wakes it.
pub(crate) struct Inbox {
    posts: Mutex<Posts>,
    waker: Arc<Waker>,
    waking: Waking,
    /// The loop is awake, or has been woken and not looked yet.
    woken: AtomicBool,
    /// Bytes of messages that wait here.
    bytes: AtomicUsize,
    limit: usize,
    /// Connections that were posted to the loop.
    adoptions: AtomicU64,
}

#[derive(Default)]
struct Posts {
    waiting: Vec<Post>,
    /// The loop has ended.
    closed: bool,
}

/// The loop has ended.
#[derive(Debug)]
pub(crate) struct Closed;

impl Inbox {
    pub(crate) fn new(waker: Waker, waking: Waking, limit: usize) -> Self {
        let waker = Arc::new(waker);
        Self {
            posts: Mutex::default(),
            waker,
            waking,
            woken: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
            limit,
            adoptions: AtomicU64::new(0),
        }
    }

    /// Adds a post, and wakes the loop if it sleeps.
    pub(crate) fn push(&self, post: Post) -> Result<(), Closed> {
        let mut posts = self.lock();
        if posts.closed {
            return Err(Closed);
        }
        posts.waiting.push(post);
        drop(posts);
        if !self.woken.swap(true, Ordering::AcqRel) {
            (self.waking)(Wake(self.waker.clone()));
        }
        Ok(())
    }

    /// Wakes the loop at once, though somebody may keep a [`Wake`].
    pub(crate) fn wake(&self) {
        drop(Wake(self.waker.clone()));
    }

    /// Whether a message of so many bytes fits in.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A message that is larger than the limit alone still passes an empty inbox.
        let fits = waiting == 0 || waiting.saturating_add(bytes) <= self.limit;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A connection is about to be posted.
    pub(crate) fn count_adoption(&self) {
        self.adoptions.fetch_add(1, Ordering::Relaxed);
    }

    /// How many connections were posted.
    pub(crate) fn adoptions(&self) -> u64 {
        self.adoptions.load(Ordering::Relaxed)
    }

    /// Moves all posts to `posts`, which is empty. Whatever is pushed afterwards wakes the loop again.
    pub(crate) fn take(&self, posts: &mut Vec<Post>) {
        self.woken.store(false, Ordering::Release);
        std::mem::swap(&mut self.lock().waiting, posts);
    }

    /// The loop has ended. What is posted is dropped, and nothing more is taken.
    pub(crate) fn close(&self) {
        let mut posts = self.lock();
        posts.closed = true;
        let waiting = std::mem::take(&mut posts.waiting);
        // A post may push when it is dropped, and calls whoever asked for an admission.
        drop(posts);
        for post in waiting {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(post)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Posts> {
        // Nothing that can panic is done under the lock.
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
