//! A client, a server and the network between them, in virtual time.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test program uses its own part")]

mod basis;
mod net;
mod server;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tautline_device::{Clock, Event, Instant};

pub use basis::{MS, SECOND, Time, Woken, random, select};
pub use net::{Attempt, Net};
pub use server::{Answer, Server};

/// The clock, the network and the server. Cloning gives another hand on the same.
#[derive(Clone)]
pub struct World {
    time: Time,
    pub net: Net,
    pub server: Rc<RefCell<Server>>,
}

impl World {
    /// A server that accepts and answers what it has to, 5 ms away.
    pub fn new() -> Self {
        let time = Time::new();
        let net = Net::new(time.now.clone());
        Self { time, net, server: Rc::new(RefCell::new(Server::new())) }
    }

    pub fn now(&self) -> Instant {
        self.time.now()
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
        let mut turn = || {
            self.server.borrow_mut().turn(self.now(), &self.net);
            let server = self.server.borrow().poll_timeout();
            (!done()).then(|| [self.net.next_arrival(), server].into_iter().flatten().min())
        };
        self.time.run(end, &mut turn, future)
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        self.time.now()
    }

    async fn sleep_until(&self, at: Instant) {
        self.time.sleep_until(at).await;
    }
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
