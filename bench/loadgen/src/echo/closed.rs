//! Closed loop: every reply sets off the next message.

use std::time::{Duration, Instant};

use super::{READ, client::Client};
use crate::args::Echo;
use crate::failure::{Failure, Result};
use crate::frame::Messages;
use crate::histogram::Histogram;
use crate::net::Poll;
use crate::report::{Report, Usage, Window};

/// A server that answers nothing for so long is not going to.
const STALL: Duration = Duration::from_secs(5);

pub(super) fn run(options: &Echo, messages: &Messages, clients: &mut [Client], mut poll: Poll) -> Result<Report> {
    let (mut buffer, mut scratch) = (vec![0; READ], Vec::new());
    let mut latency = Histogram::new();
    let mut usage = None;
    let window = Window::from_now(&options.span);
    let mut now = Instant::now();
    for (token, client) in clients.iter_mut().enumerate() {
        client.queue(options.pipeline, now);
        client.send(messages, &mut scratch, &poll, token)?;
    }
    while now < window.end {
        let ready: Vec<_> = poll.wait(Duration::from_millis(100))?.collect();
        if ready.is_empty() && now.elapsed() > STALL {
            return Err(Failure::new(format!("no reply for {} s", STALL.as_secs())));
        }
        for ready in ready {
            let client = &mut clients[ready.token];
            if ready.readable {
                let got = client.connection.read(&mut buffer)?;
                now = Instant::now();
                let complete = client.receive(got, messages)?;
                for since in client.since.drain(..complete) {
                    if usage.is_some() {
                        latency.add(now - since);
                    }
                }
                client.queue(complete, now);
            }
            client.send(messages, &mut scratch, &poll, ready.token)?;
        }
        if usage.is_none() && now >= window.begin {
            usage = Some(Usage::begin(&options.target));
        }
    }
    let usage = usage.ok_or_else(|| Failure::new("nothing happened between the warm-up and the end"))?;
    let mut report = usage.report("echo", latency.count());
    report.set("pipeline", options.pipeline);
    report.set_all(latency.json());
    Ok(report)
}
