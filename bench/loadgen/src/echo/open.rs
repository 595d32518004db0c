//! Open loop: messages are sent when they are due, whatever the server does. A reply's latency counts from that time, so
//! a server that is late does not delay the questions that would show it (no "coordinated omission").

use std::time::{Duration, Instant};

use super::{READ, client::Client};
use crate::args::Echo;
use crate::failure::{Failure, Result};
use crate::frame::Messages;
use crate::histogram::Histogram;
use crate::net::Poll;
use crate::report::{Report, Usage, Window};

/// How long after the end replies are waited for.
const GRACE: Duration = Duration::from_secs(1);
/// More unanswered messages than this are an overload that nobody needs to see the end of.
const MAX_UNANSWERED: u64 = 2_000_000;

pub(super) fn run(
    options: &Echo,
    rate: f64,
    messages: &Messages,
    clients: &mut [Client],
    mut poll: Poll,
) -> Result<Report> {
    let (mut buffer, mut scratch) = (vec![0; READ], Vec::new());
    let mut latency = Histogram::new();
    let mut usage = None;
    let window = Window::from_now(&options.span);
    let mut arrivals = Arrivals::new(rate)?;
    let (mut sent, mut answered, mut answered_before) = (0_u64, 0_u64, 0);
    let mut report = None;
    loop {
        let now = Instant::now();
        if usage.is_none() && report.is_none() && now >= window.begin {
            usage = Some(Usage::begin(&options.target));
            answered_before = answered;
        }
        if now >= window.end
            && let Some(usage) = usage.take()
        {
            report = Some(usage.report("echo", answered - answered_before));
        }
        if now < window.end {
            if sent - answered > MAX_UNANSWERED {
                return Err(Failure::new(format!("overload: {MAX_UNANSWERED} messages without a reply")));
            }
            while let Some(due) = arrivals.due_by(now) {
                let token = sent as usize % clients.len();
                clients[token].queue(1, due);
                clients[token].send(messages, &mut scratch, &poll, token)?;
                sent += 1;
            }
        } else if answered == sent || now >= window.end + GRACE {
            break;
        }
        // This process has a core to itself: looking without waiting is how to be in time.
        let ready: Vec<_> = poll.wait(Duration::ZERO)?.collect();
        for ready in ready {
            let client = &mut clients[ready.token];
            if ready.readable {
                let got = client.connection.read(&mut buffer)?;
                let now = Instant::now();
                let complete = client.receive(got, messages)?;
                answered += complete as u64;
                for since in client.since.drain(..complete).filter(|since| *since >= window.begin) {
                    latency.add(now - since);
                }
            }
            client.send(messages, &mut scratch, &poll, ready.token)?;
        }
    }
    // What has no reply yet has waited at least until now.
    let now = Instant::now();
    for since in clients.iter().flat_map(|client| &client.since).filter(|since| **since >= window.begin) {
        latency.add(now - *since);
    }
    let mut report = report.ok_or_else(|| Failure::new("nothing was measured"))?;
    report.set("rate", rate);
    report.set("unanswered", sent - answered);
    report.set_all(latency.json());
    Ok(report)
}

/// Messages of many independent senders: the gaps between them are random, with an exponential distribution.
struct Arrivals {
    next: Instant,
    mean: f64,
    random: u64,
}

impl Arrivals {
    fn new(rate: f64) -> Result<Self> {
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Failure::new("--rate must be above 0"));
        }
        Ok(Self { next: Instant::now(), mean: 1.0 / rate, random: 0x9e37_79b9_7f4a_7c15 })
    }

    /// The time of the next message if that is not after `now`.
    fn due_by(&mut self, now: Instant) -> Option<Instant> {
        if self.next > now {
            return None;
        }
        let gap = Duration::from_secs_f64(self.gap());
        let due = self.next;
        self.next += gap;
        Some(due)
    }

    fn gap(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // In (0, 1], so that the logarithm is finite.
        let uniform = ((self.random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -uniform.ln() * self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_the_rate_and_are_irregular() {
        let mut arrivals = Arrivals::new(10_000.0).unwrap();
        let gaps: Vec<f64> = (0..100_000).map(|_| arrivals.gap()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean / 1e-4 - 1.0).abs() < 0.02, "{mean}");
        // Of an exponential distribution, 1/e is above the mean.
        let above = gaps.iter().filter(|gap| **gap > 1e-4).count() as f64 / gaps.len() as f64;
        assert!((above - (-1.0_f64).exp()).abs() < 0.01, "{above}");
        assert!(Arrivals::new(0.0).is_err());
    }
}
