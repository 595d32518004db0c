//! Fan-out: what one connection publishes, many others get. Every subscriber has to get every message, in order.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::args::Fanout;
use crate::failure::{Failure, Result};
use crate::frame::{self, BINARY};
use crate::histogram::Histogram;
use crate::net::{Connection, Poll};
use crate::opening::open_all;
use crate::report::{Usage, Window};

/// How many bytes are read at a time.
const READ: usize = 256 * 1024;
/// How much may wait to be published.
const MAX_UNSENT: usize = 1 << 20;
/// A server that delivers nothing for so long is not going to.
const STALL: Duration = Duration::from_secs(5);
/// Time for the last subscriptions to take effect.
const SETTLE: Duration = Duration::from_millis(300);

pub(crate) fn run(options: &Fanout) -> Result<Value> {
    let port = options.target.port;
    let mut subscribers: Vec<_> =
        open_all(options.conns, port, Some(&options.subscribe))?.into_iter().map(Subscriber::new).collect();
    let publisher = open_all(1, port, Some(&options.publish))?.remove(0);
    let mut poll = Poll::new()?;
    for (token, subscriber) in subscribers.iter().enumerate() {
        poll.add(&subscriber.connection, token)?;
    }
    std::thread::sleep(SETTLE);

    let mut published = Published::new(options.size, subscribers.len())?;
    let (mut unsent, mut buffer) = (Vec::new(), vec![0; READ]);
    let mut latency = Histogram::new();
    let mut usage = None;
    let start = Instant::now();
    let window = Window::from_now(&options.span);
    let mut now = start;
    let mut last_delivery = start;
    while now < window.end {
        let due = match options.rate {
            None => published.done + options.window,
            Some(rate) => ((now - start).as_secs_f64() * rate) as u64,
        };
        while published.count() < due && unsent.len() < MAX_UNSENT {
            published.add(now, &mut unsent);
        }
        if !unsent.is_empty() {
            let written = publisher.write(&unsent)?;
            unsent.drain(..written);
        }
        // Only deliveries are waited for: what else there is to do comes round soon.
        let patience = if options.rate.is_some() || !unsent.is_empty() { 1 } else { 50 };
        for ready in poll.wait(Duration::from_millis(patience))? {
            let subscriber = &mut subscribers[ready.token];
            let got = subscriber.connection.read(&mut buffer)?;
            last_delivery = Instant::now();
            for number in published.deliver(subscriber, got)? {
                if usage.is_some() {
                    latency.add(last_delivery - published.at[number]);
                }
            }
        }
        now = Instant::now();
        if published.count() > 0 && now - last_delivery > STALL {
            return Err(Failure::new(format!("no delivery for {} s: messages are missing", STALL.as_secs())));
        }
        if usage.is_none() && now >= window.begin {
            usage = Some(Usage::begin(&options.target));
        }
    }
    let usage = usage.ok_or_else(|| Failure::new("nothing happened between the warm-up and the end"))?;
    let mut report = usage.report("fanout", latency.count());
    report.set("conns", options.conns);
    report.set("size", options.size);
    match options.rate {
        None => report.set("window", options.window),
        Some(rate) => report.set("rate", rate),
    }
    report.set_all(latency.json());
    Ok(report.into_json())
}

struct Subscriber {
    connection: Connection,
    /// How many bytes it has got.
    position: usize,
}

impl Subscriber {
    fn new(connection: Connection) -> Self {
        Self { connection, position: 0 }
    }
}

/// Everything that was published so far.
struct Published {
    size: usize,
    subscribers: usize,
    /// The bytes that every subscriber has to get.
    stream: Vec<u8>,
    frame: usize,
    /// When each message was published.
    at: Vec<Instant>,
    /// How many subscribers have yet to get it.
    missing: Vec<usize>,
    /// How many messages all subscribers have got.
    done: u64,
}

impl Published {
    fn new(size: usize, subscribers: usize) -> Result<Self> {
        if size < 16 || subscribers == 0 {
            return Err(Failure::new("fan-out needs --size 16 or more, and a subscriber"));
        }
        let frame = frame::header(BINARY, size, false).len() + size;
        Ok(Self { size, subscribers, stream: Vec::new(), frame, at: Vec::new(), missing: Vec::new(), done: 0 })
    }

    fn count(&self) -> u64 {
        self.at.len() as u64
    }

    /// Adds the next message, and its frame to what the publisher sends.
    fn add(&mut self, now: Instant, unsent: &mut Vec<u8>) {
        let number = format!("{:016x}", self.count());
        let payload = || (0..self.size).map(|i| number.as_bytes().get(i).copied().unwrap_or(b'x'));
        unsent.extend(frame::masked(BINARY, payload()));
        let header = frame::header(BINARY, self.size, false);
        self.stream.extend(header.into_iter().chain(payload()));
        self.at.push(now);
        self.missing.push(self.subscribers);
    }

    /// Checks what a subscriber has got; returns the messages that are complete with it.
    fn deliver(&mut self, subscriber: &mut Subscriber, got: &[u8]) -> Result<std::ops::Range<usize>> {
        let (from, to) = (subscriber.position, subscriber.position + got.len());
        if self.stream.get(from..to) != Some(got) {
            let differs = got.iter().zip(&self.stream[from..]).take_while(|(got, expected)| got == expected).count();
            return Err(Failure::new(format!(
                "a subscriber got a wrong byte, or lost a message: byte {} of message {}",
                (from + differs) % self.frame,
                (from + differs) / self.frame
            )));
        }
        subscriber.position = to;
        let complete = from / self.frame..to / self.frame;
        for missing in &mut self.missing[complete.clone()] {
            *missing -= 1;
            self.done += u64::from(*missing == 0);
        }
        Ok(complete)
    }
}
