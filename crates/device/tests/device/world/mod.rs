//! A client, a server and the network between them, in virtual time.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test program uses its own part")]

mod net;
mod server;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tautline_device::{Clock, Event, Instant};

pub use net::{Attempt, Net};
pub use server::{Answer, Server};

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// The clock, the network and the server. Cloning gives another hand on the same.
#[derive(Clone)]
pub struct World {
    now: Rc<Cell<Instant>>,
    /// The earliest time that somebody sleeps until.
    alarm: Rc<Cell<Option<Instant>>>,
    pub net: Net,
    pub server: Rc<RefCell<Server>>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl World {
    /// A server that accepts and answers what it has to, 5 ms away.
    pub fn new() -> Self {
        let now = Rc::new(Cell::new(Instant::from_millis(5_000)));
        let net = Net::new(now.clone());
        Self { now, alarm: Rc::default(), net, server: Rc::new(RefCell::new(Server::new())) }
    }

    pub fn now(&self) -> Instant {
        self.now.get()
    }

    /// Everything that happens within `duration`. Answers what the future gives if it comes to its end.
    pub fn run_for<T>(&self, duration: Duration, future: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
        let end = self.now() + duration;
        self.run(end, &mut || false, future)
    }

    /// Everything until `done`.
    ///
    /// # Panics
    /// If that takes more than a day.
    pub fn run_until<T>(
        &self,
        mut done: impl FnMut() -> bool,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let result = self.run(self.now() + 24 * 3600 * SECOND, &mut done, future);
        assert!(result.is_some() || done(), "it does not come to that");
        result
    }

    fn run<T>(
        &self,
        end: Instant,
        done: &mut dyn FnMut() -> bool,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 10_000_000, "it turns without end");
            // Whoever sleeps says so again when polled.
            self.alarm.set(None);
            flag.0.store(false, Relaxed);
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(result);
            }
            self.server.borrow_mut().turn(self.now(), &self.net);
            if done() {
                return None;
            }
            if flag.0.load(Relaxed) {
                continue;
            }
            let server = self.server.borrow().poll_timeout();
            let next = [self.alarm.get(), self.net.next_arrival(), server].into_iter().flatten().min();
            match next.filter(|&at| at <= end) {
                Some(at) => self.now.set(at.max(self.now())),
                None => {
                    self.now.set(end);
                    return None;
                }
            }
        }
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        self.now.get()
    }

    async fn sleep_until(&self, at: Instant) {
        std::future::poll_fn(|_| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.alarm.set(Some(self.alarm.get().map_or(at, |alarm| alarm.min(at))));
            Poll::Pending
        })
        .await;
    }
}

/// What the first future gives, unless the other one ends before.
pub async fn select<T, U>(
    first: impl Future<Output = T>,
    second: &mut Pin<Box<dyn Future<Output = U> + '_>>,
) -> Option<T> {
    let mut first = std::pin::pin!(first);
    std::future::poll_fn(|cx| match (first.as_mut().poll(cx), second.as_mut().poll(cx)) {
        (Poll::Ready(result), _) => Poll::Ready(Some(result)),
        (_, Poll::Ready(_)) => Poll::Ready(None),
        _ => Poll::Pending,
    })
    .await
}

/// Random bytes, the same ones for the same seed.
pub fn random(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut random = fastrand::Rng::with_seed(seed);
    move |bytes: &mut [u8]| random.fill(bytes)
}

/// What a client told, in words: when, and what.
#[derive(Clone, Default)]
pub struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    /// A handler that notes everything.
    pub fn handler(&self) -> impl FnMut(Event<'_>) + use<> {
        let notes = self.0.clone();
        move |event: Event<'_>| notes.borrow_mut().push(words(&event))
    }

    /// What was noted, and forgets it.
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// How many notes begin so.
    pub fn count(&self, start: &str) -> usize {
        self.0.borrow().iter().filter(|note| note.starts_with(start)).count()
    }

    pub fn has(&self, start: &str) -> bool {
        self.count(start) > 0
    }
}

fn words(event: &Event<'_>) -> String {
    match event {
        Event::BeforeConnect { attempt } => format!("before-connect {attempt}"),
        Event::Connected(response) => format!("connected {}", response.subprotocol().unwrap_or("-")),
        Event::Data(data) => format!(
            "data {:?} fin={} len={} offset={} {}",
            data.opcode(),
            data.fin(),
            data.payload_len(),
            data.offset(),
            String::from_utf8_lossy(data.bytes())
        ),
        Event::Ping(payload) => format!("ping {}", String::from_utf8_lossy(payload)),
        Event::Pong { latency, .. } => format!("pong {latency:?}"),
        Event::Error(cause) => format!("error {cause}"),
        Event::Closed { code, reason, clean } => format!("closed {} {reason:?} clean={clean}", code.as_u16()),
        Event::Disconnected { cause, retry_in } => {
            format!("disconnected {cause}; {}", if retry_in.is_some() { "again" } else { "for good" })
        }
        other => panic!("no words for {other:?}"),
    }
}
