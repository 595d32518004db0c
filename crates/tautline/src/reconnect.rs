//! A client that comes back.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tautline_proto::{Backoff, Ended, Next};
use tokio::time::{Instant, Sleep, sleep};

use crate::client::Connect;
use crate::error::ConnectError;
use crate::websocket::{EndWatch, WebSocket};

/// A server that names a longer time is asked again after this one: nobody means to park a client for ever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Connections to one server, one after the other, without end: each time the last one has ended, the next one.
///
/// Made by [`Connect::reconnecting`](crate::Connect::reconnecting).
///
/// ```no_run
/// # async fn example() {
/// let mut link = tautline::connect("wss://example.com/feed").reconnecting();
/// while let Some(mut ws) = link.next().await {
///     while let Some(message) = ws.recv().await {
///         println!("{message:?}");
///     }
/// }
/// eprintln!("the server does not want us back: {}", link.stopped().unwrap());
/// # }
/// ```
///
/// What happens after an end is decided by the table in [`Next`]: by the close code of the connection handed out last, or
/// by the status with which the server refused. What the program itself ended, by [`WebSocket::close`] or by dropping
/// the [`WebSocket`], is opened again like what failed: to be done, drop the `Reconnecting`.
///
/// Between attempts it waits as [`Backoff`] says: a random time up to a bound that doubles each time (1 s at first, 60 s
/// at most, unless set by [`backoff`](Self::backoff)) and that a connection resets which held for 30 s; on top of the
/// server's Retry-After where there is one, of which at most a day counts.
///
/// It is also a [`Stream`](futures_core::Stream) of the same connections.
pub struct Reconnecting {
    connect: Arc<Connect>,
    backoff: Backoff,
    observer: Option<Observer>,
    /// Where the core's clock begins.
    origin: Instant,
    /// Attempts that have failed since the last connection.
    failures: u32,
    step: Step,
}

type Observer = Box<dyn FnMut(&Retry<'_>) + Send>;

/// Lives here and not in a future of [`Reconnecting::next`], so that dropping that one loses nothing.
enum Step {
    Due,
    Opening(Pin<Box<dyn Future<Output = Result<WebSocket, ConnectError>> + Send>>),
    Connected(EndWatch),
    Waiting(Pin<Box<Sleep>>),
    Stopped(Interruption),
}

/// An attempt to come: see [`Reconnecting::on_retry`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// Which attempt since the last open connection; 1 is the first.
    pub attempt: u32,
    /// How long it is until then.
    pub delay: Duration,
    /// Why it is needed.
    pub cause: &'a Interruption,
}

/// Why there is no connection at the moment.
#[derive(Debug)]
#[non_exhaustive]
pub enum Interruption {
    /// It could not be opened.
    NotOpened(ConnectError),
    /// It ended.
    Ended(Ended),
    /// The program let go of it, or asked for the next one, before it had ended.
    Dropped,
}

impl Reconnecting {
    pub(crate) fn new(connect: Connect) -> Self {
        Self {
            connect: Arc::new(connect),
            backoff: Backoff::DEFAULT,
            observer: None,
            origin: Instant::now(),
            failures: 0,
            step: Step::Due,
        }
    }

    /// Sets the waiting times between attempts. Default: [`Backoff::DEFAULT`].
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Calls `observer` each time that a wait begins: for logs and for a display of the state. (The same is logged with
    /// `tracing` at level INFO.)
    #[must_use]
    pub fn on_retry(mut self, observer: impl FnMut(&Retry<'_>) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// The next connection, as soon as it is open; the first call does not wait before its first attempt. `None` once
    /// coming back is of no use: [`stopped`](Self::stopped) tells why.
    ///
    /// Drop the previous [`WebSocket`] first, or use it up: otherwise there will be two.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, a wait goes on, and an attempt is kept as it is, its timeout running: the next call
    /// takes up where this one was. Nothing is lost. Dropping the `Reconnecting` itself ends both.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O and time drivers enabled.
    pub async fn next(&mut self) -> Option<WebSocket> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Why [`next`](Self::next) gives no more connections; `None` while it does.
    pub fn stopped(&self) -> Option<&Interruption> {
        match &self.step {
            Step::Stopped(cause) => Some(cause),
            _ => None,
        }
    }

    /// Ends a wait, so that [`next`](Self::next) tries at once: the network has come back, or somebody pressed a button.
    /// Also after a stop. Waits grow on all the same.
    pub fn retry_now(&mut self) {
        if matches!(self.step, Step::Waiting(_) | Step::Stopped(_)) {
            self.step = Step::Due;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<WebSocket>> {
        loop {
            match &mut self.step {
                Step::Due => {
                    let connect = self.connect.clone();
                    self.step = Step::Opening(Box::pin(async move { connect.open().await }));
                }
                Step::Opening(opening) => match ready!(opening.as_mut().poll(cx)) {
                    Ok(ws) => {
                        self.backoff.connected(self.now());
                        self.failures = 0;
                        self.step = Step::Connected(ws.end_watch());
                        return Poll::Ready(Some(ws));
                    }
                    Err(error) => self.interrupted(Interruption::NotOpened(error)),
                },
                Step::Connected(watch) => {
                    let cause = watch.ended().map_or(Interruption::Dropped, Interruption::Ended);
                    self.interrupted(cause);
                }
                Step::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.step = Step::Due;
                }
                Step::Stopped(_) => return Poll::Ready(None),
            }
        }
    }

    /// Decides what to do next, and says so.
    fn interrupted(&mut self, cause: Interruption) {
        let next = cause.next();
        if next == Next::Stop {
            tracing::info!(connect = ?self.connect, %cause, "not reconnecting");
            self.step = Step::Stopped(cause);
            return;
        }
        let retry_after = if next == Next::RetryAfter { cause.retry_after() } else { None };
        let delay =
            self.backoff.wait(self.now(), rand::random(), retry_after.map(|wait| wait.min(LONGEST_RETRY_AFTER)));
        self.failures = self.failures.saturating_add(1);
        tracing::info!(connect = ?self.connect, attempt = self.failures, ?delay, %cause, "reconnecting");
        if let Some(observer) = &mut self.observer {
            observer(&Retry { attempt: self.failures, delay, cause: &cause });
        }
        self.step = Step::Waiting(Box::pin(sleep(delay)));
    }

    fn now(&self) -> tautline_proto::Instant {
        tautline_proto::Instant::ZERO + self.origin.elapsed()
    }
}

impl futures_core::Stream for Reconnecting {
    type Item = WebSocket;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WebSocket>> {
        self.get_mut().poll(cx)
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match &self.step {
            Step::Due => "due",
            Step::Opening(_) => "opening",
            Step::Connected(_) => "connected",
            Step::Waiting(_) => "waiting",
            Step::Stopped(_) => "stopped",
        };
        f.debug_struct("Reconnecting")
            .field("connect", &self.connect)
            .field("backoff", &self.backoff)
            .field("step", &step)
            .finish_non_exhaustive()
    }
}

impl Interruption {
    fn next(&self) -> Next {
        match self {
            Self::NotOpened(error) => error.next(),
            // The table is about what the peer tells us, not about what the program chose.
            Self::Ended(Ended::ClosedByUs { .. }) | Self::Dropped => Next::BackOff,
            Self::Ended(ended) => Next::after_close(ended.close_code()),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotOpened(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened(error) => error.fmt(f),
            Self::Ended(ended) => ended.fmt(f),
            Self::Dropped => f.write_str("dropped by the program"),
        }
    }
}
