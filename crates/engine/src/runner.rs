//! A loop with its sockets and its clock: the thread of a loop.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use mio::{Events, Interest, Poll, Token};
use tautline_proto::Instant;

use crate::event_loop::Loop;
use crate::host::Attached;
use crate::inbox::{Inbox, Post};
use crate::metrics::Published;
use crate::socket::Socket;
#[cfg(feature = "tls")]
use crate::transport::Transport;

/// Slots are below this.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// How many events one wait brings.
const EVENTS: usize = 1024;

pub(crate) struct Runner {
    pub(crate) poll: Poll,
    pub(crate) event_loop: Loop<Socket>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) counters: Arc<Published>,
    /// Whether the writes of a turn may be done at once.
    pub(crate) batching: bool,
    /// The origin of the loop's clock.
    pub(crate) start: Clock,
}

struct CloseOnDrop(Arc<Inbox>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Runner {
    /// Runs the loop until it is drained. Answers how many connections were dropped then.
    pub(crate) fn run(mut self) -> io::Result<usize> {
        if self.batching {
            self.event_loop.start_batching();
        }
        // Whatever happens, nobody waits for this loop afterwards.
        let _closed = CloseOnDrop(self.inbox.clone());
        let result = self.turns();
        let dropped = self.event_loop.drop_all();
        self.counters.store(self.event_loop.counters());
        result.map(|()| dropped)
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut posts = Vec::new();
        let mut deadline = None;
        loop {
            match self.poll.poll(&mut events, self.timeout(deadline)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let now = self.now();
            self.event_loop.set_now(now);
            for event in &events {
                let Token(slot) = event.token();
                if event.token() == WAKER {
                    continue;
                }
                if event.is_writable() {
                    self.event_loop.writable(slot);
                }
                let to_end = event.is_read_closed() || event.is_error();
                if event.is_readable() || to_end {
                    self.event_loop.readable(slot, to_end);
                }
            }
            self.event_loop.go_on();
            self.inbox.take(&mut posts);
            for post in posts.drain(..) {
                if let Post::Drain { code, timeout } = post {
                    self.event_loop.drain(code);
                    deadline = Some(now + timeout);
                } else {
                    self.handle(post);
                }
            }
            self.event_loop.end_turn();
            self.counters.store(self.event_loop.counters());
            if deadline.is_some_and(|deadline| self.event_loop.is_empty() || now >= deadline) {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, post: Post) {
        let event_loop = &mut self.event_loop;
        match post {
            Post::Host(app) => event_loop.host(app),
            Post::Admit { app, request, reply } => {
                let answer = event_loop.admit(app, &request.opening(), request.profile.clone());
                if let (Ok(id), Some(attached)) = (&answer, request.attached) {
                    event_loop.attach(*id, attached);
                }
                // It is other people's code, and the loop has many other connections.
                if catch_unwind(AssertUnwindSafe(|| reply(answer))).is_err() {
                    tracing::error!("who asked for an admission panicked");
                }
            }
            Post::Abandon(id) => event_loop.abandon(id),
            Post::Adopt { id, peer, mut transport, leftover } => {
                let token = Token(crate::event_loop::slot_of(id));
                let interest = Interest::READABLE | Interest::WRITABLE;
                match self.poll.registry().register(&mut transport.tcp, token, interest) {
                    Ok(()) => event_loop.adopt(id, peer, transport, leftover),
                    Err(error) => {
                        tracing::error!(%error, "cannot watch a socket: connection dropped");
                        event_loop.abandon(id);
                        event_loop.missed(peer);
                    }
                }
            }
            Post::Visit(app, visit) => event_loop.visit(app, visit),
            Post::Publish { to, message, slow } => {
                self.inbox.release(message.frame().len());
                event_loop.publish(&mut to.into_iter(), &message, slow);
            }
            Post::Close(id, code, reason) => event_loop.close(id, code, &reason),
            Post::Inspect(id, watcher) => event_loop.inspect(id, watcher),
            Post::EndInspection(id) => event_loop.end_inspection(id),
            Post::Overview { app, before, limit, told } => {
                let connections = event_loop.overview(app, before, limit);
                // It is other people's code, too.
                if catch_unwind(AssertUnwindSafe(|| told(connections))).is_err() {
                    tracing::error!("who asked for connections panicked");
                }
            }
            #[cfg(feature = "tls")]
            Post::CloseSessions { which, code, reason } => {
                let one = |socket: &Socket| socket.session().is_some_and(|session| which(session));
                // It is other people's code, too.
                let closed = AssertUnwindSafe(|| event_loop.close_where(one, code, &reason));
                if catch_unwind(closed).is_err() {
                    tracing::error!("who chose which sessions to close panicked");
                }
            }
            Post::CloseAttached { which, code, reason } => {
                let one = |attached: &Attached| which(&**attached);
                let closed = AssertUnwindSafe(|| event_loop.close_attached(one, code, &reason));
                if catch_unwind(closed).is_err() {
                    tracing::error!("who chose which connections to close panicked");
                }
            }
            // Handled by the caller.
            Post::Drain { .. } => {}
        }
    }

    /// How long to wait for events.
    fn timeout(&self, deadline: Option<Instant>) -> Option<Duration> {
        if self.event_loop.is_busy() {
            return Some(Duration::ZERO);
        }
        let next = self.event_loop.next_timeout().into_iter().chain(deadline).min()?;
        Some(next - self.now())
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }
}
