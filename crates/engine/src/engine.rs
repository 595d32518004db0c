//! The loops together.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Poll, Waker};
use tautline_proto::CloseCode;
use tautline_proto::app::{App, ConnectionId};
use tautline_proto::compression::Backend;

use crate::event_loop::{Loop, loop_of};
use crate::host::Host;
use crate::inbox::{Inbox, Post, Wake, Waking};
use crate::metrics::{Counters, Published};
use crate::runner::{Runner, WAKER};
use crate::tap::{Inspection, Shown};

/// How many loops there can be.
const MAX_LOOPS: usize = 256;

/// How an engine is made.
#[derive(Clone)]
pub struct Settings {
    loops: usize,
    inbox: usize,
    batching: bool,
    deflate_backend: Backend,
    waking: Waking,
    ended: Ended,
}

/// Is told of connections that have ended.
pub(crate) type Ended = Arc<dyn Fn(SocketAddr) + Send + Sync>;

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("loops", &self.loops).field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The defaults, which each setter names.
    pub fn new() -> Self {
        let loops = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            loops: loops.min(MAX_LOOPS),
            inbox: 16 * 1024 * 1024,
            batching: true,
            deflate_backend: Backend::Small,
            waking: Arc::new(drop),
            ended: Arc::new(drop),
        }
    }

    /// How many loops there are, each with a thread. Default: as many as the processor runs threads at once. 1 to 256.
    ///
    /// # Panics
    ///
    /// If `loops` is out of bounds.
    pub fn loops(mut self, loops: usize) -> Self {
        assert!((1..=MAX_LOOPS).contains(&loops), "an engine has 1 to {MAX_LOOPS} loops");
        self.loops = loops;
        self
    }

    /// How many bytes of messages from other threads may wait for a loop. Default 16 MiB.
    pub fn inbox(mut self, bytes: usize) -> Self {
        self.inbox = bytes;
        self
    }

    /// Whether what was published in a turn is written to all its receivers in one system call where the system has a way
    /// (io_uring on Linux, with the feature of that name, which is not to be had in every container). Default: yes.
    pub fn batching(mut self, on: bool) -> Self {
        self.batching = on;
        self
    }

    /// What compresses messages, where that is agreed on. Default [`Backend::Small`].
    pub fn deflate_backend(mut self, backend: Backend) -> Self {
        self.deflate_backend = backend;
        self
    }

    /// How a loop is woken that sleeps while something is posted for it. By default it is, at once; `waking` may keep the
    /// [`Wake`] until other posts have joined the first one, so that they cost one change of threads together. It is called
    /// by whoever posts.
    pub fn waking(mut self, waking: impl Fn(Wake) + Send + Sync + 'static) -> Self {
        self.waking = Arc::new(waking);
        self
    }

    /// Is told when a connection has ended that was [adopted](crate::Admitted::adopt), once for each: the address that came with
    /// the request for it, if there was one. It is called by the loops and must not block. Connections that are adopted while
    /// the engine ends may be left out.
    pub fn ended(mut self, ended: impl Fn(SocketAddr) + Send + Sync + 'static) -> Self {
        self.ended = Arc::new(ended);
        self
    }
}

/// Event loops, each a thread with the connections of its apps. See the [crate documentation](crate).
///
/// Dropping it drops the connections: see [`drain`](Self::drain).
#[derive(Debug)]
pub struct Engine {
    loops: Vec<LoopThread>,
}

struct LoopThread {
    inbox: Arc<Inbox>,
    counters: Arc<Published>,
    /// How many apps the loop has.
    apps: Mutex<u8>,
    thread: Option<JoinHandle<io::Result<usize>>>,
}

impl fmt::Debug for LoopThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopThread").field("counters", &self.counters.load()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the loops.
    ///
    /// # Errors
    ///
    /// The system refuses a thread, or what watches sockets.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let start = Instant::now();
        let mut engine = Self { loops: Vec::new() };
        for index in 0..settings.loops {
            let poll = Poll::new()?;
            let inbox =
                Arc::new(Inbox::new(Waker::new(poll.registry(), WAKER)?, settings.waking.clone(), settings.inbox));
            let counters = Arc::new(Published::default());
            // The index is below 256.
            let mut event_loop = Loop::new(index as u8, settings.ended.clone());
            event_loop.compress_with(settings.deflate_backend);
            let runner = Runner {
                poll,
                event_loop,
                inbox: inbox.clone(),
                counters: counters.clone(),
                batching: settings.batching,
                start,
            };
            let thread = std::thread::Builder::new().name(format!("tautline-loop-{index}")).spawn(|| runner.run())?;
            engine.loops.push(LoopThread { inbox, counters, apps: Mutex::new(0), thread: Some(thread) });
        }
        Ok(engine)
    }

    /// How many loops there are.
    pub fn loops(&self) -> usize {
        self.loops.len()
    }

    /// Gives an app to a loop, which runs it and its connections until the engine ends.
    ///
    /// # Panics
    ///
    /// If there is no such loop, or it has 255 apps already.
    pub fn host<A: App + 'static>(&self, loop_index: usize, app: A) -> Host<A> {
        let event_loop = &self.loops[loop_index];
        // Held until it is posted: an app's number is its place in the order of arrival.
        let mut apps = event_loop.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *apps;
        *apps = number.checked_add(1).expect("a loop carries 255 apps at most");
        let _ = event_loop.inbox.push(Post::Host(Box::new(app)));
        Host::new(event_loop.inbox.clone(), number)
    }

    /// Gives every loop an app of its own: one kind of app, whose connections can be on any loop.
    pub fn host_on_all<A: App + 'static>(&self, mut app: impl FnMut(usize) -> A) -> Vec<Host<A>> {
        (0..self.loops()).map(|index| self.host(index, app(index))).collect()
    }

    /// What each loop has counted.
    pub fn counters(&self) -> Vec<Counters> {
        self.loops.iter().map(|event_loop| event_loop.counters.load()).collect()
    }

    /// How many connections there are, those included that are on their way to a loop.
    pub fn connections(&self) -> u64 {
        // What has ended is read first, so that a connection that comes and goes meanwhile is not missing.
        let closed: u64 = self.loops.iter().map(|event_loop| event_loop.counters.load().closed).sum();
        let adoptions: u64 = self.loops.iter().map(|event_loop| event_loop.inbox.adoptions()).sum();
        adoptions.saturating_sub(closed)
    }

    /// Begins to close the TLS connections that `which` chooses, on every loop: those whose certificate is revoked, say.
    /// It is called by the loops, for all of their TLS connections, and must not block.
    #[cfg(feature = "tls")]
    pub fn close_sessions(
        &self,
        which: impl Fn(&rustls::ServerConnection) -> bool + Send + Sync + 'static,
        code: CloseCode,
        reason: &str,
    ) {
        let which: crate::inbox::Which = Arc::new(which);
        for event_loop in &self.loops {
            let post = Post::CloseSessions { which: which.clone(), code, reason: reason.to_owned() };
            let _ = event_loop.inbox.push(post);
        }
    }

    /// Closes the connections that have something [attached](crate::Request::attached) that `which` chooses, on every loop.
    /// It is called by the loops and must not block.
    pub fn close_attached(
        &self,
        which: impl Fn(&(dyn Any + Send + Sync)) -> bool + Send + Sync + 'static,
        code: CloseCode,
        reason: &str,
    ) {
        let which: crate::inbox::WhichAttached = Arc::new(which);
        for event_loop in &self.loops {
            let post = Post::CloseAttached { which: which.clone(), code, reason: reason.to_owned() };
            let _ = event_loop.inbox.push(post);
        }
    }

    /// Shows somebody the frames of a connection as they are on the wire from now on, before TLS enciphers them and after it
    /// has deciphered them, until what this answers is dropped; `seen` is dropped when nothing more will come, at once if there
    /// is no such connection. One can look at a connection at a time: who comes next takes the place of who was there.
    ///
    /// `seen` is called by the loop, first with [`Shown::Begun`], then for each frame once up to 256 bytes of its payload are
    /// there, and must not block. The first frame in each direction is the one that begins next. Answers `None` if no
    /// connection can have this id.
    pub fn inspect(&self, id: ConnectionId, seen: impl FnMut(Shown) + Send + 'static) -> Option<Inspection> {
        let event_loop = self.loops.get(loop_of(id))?;
        Some(Inspection::begin(event_loop.inbox.clone(), id, seen))
    }

    /// Closes every connection with `code` and waits until all have ended, but no longer than `timeout`; the loops end
    /// with it, and the apps are dropped. Answers how many connections had to be dropped. It blocks.
    ///
    /// # Errors
    ///
    /// A loop had failed.
    pub fn drain(mut self, code: CloseCode, timeout: Duration) -> io::Result<usize> {
        self.end(code, timeout)
    }

    fn end(&mut self, code: CloseCode, timeout: Duration) -> io::Result<usize> {
        for event_loop in &self.loops {
            let _ = event_loop.inbox.push(Post::Drain { code, timeout });
            event_loop.inbox.wake();
        }
        let mut dropped = 0;
        for thread in self.loops.iter_mut().filter_map(|event_loop| event_loop.thread.take()) {
            dropped += thread.join().map_err(|_| io::Error::other("an event loop panicked"))??;
        }
        Ok(dropped)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.end(CloseCode::GOING_AWAY, Duration::ZERO) {
            tracing::error!(%error, "an event loop had failed");
        }
    }
}
