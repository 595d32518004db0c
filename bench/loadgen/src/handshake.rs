//! Opening and closing connections, as fast as it goes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::args::Handshake;
use crate::failure::{Failure, Result};
use crate::frame::{self, CLOSE};
use crate::histogram::Histogram;
use crate::net::{Connection, Poll, raise_file_limit};
use crate::opening;
use crate::report::{Usage, Window};

/// The close code 1000.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();
/// A server that has not ended the TCP connection by then is left alone with it.
const PATIENCE: Duration = Duration::from_secs(1);

/// One of the connections that are under way.
struct Attempt {
    connection: Connection,
    stage: Stage,
    since: Instant,
}

enum Stage {
    /// The request goes out when the connection is there.
    Connecting,
    /// This much of the answer is there.
    Answer(Vec<u8>),
    /// The close frame is out; the server ends the connection.
    End,
}

pub(crate) fn run(options: &Handshake) -> Result<Value> {
    raise_file_limit();
    let port = options.target.port;
    let request = opening::request(port, "/");
    let close = frame::masked(CLOSE, NORMAL.into_iter());
    let mut poll = Poll::new()?;
    let mut opened = 0;
    let mut begin = |slot: usize, poll: &Poll| {
        opened += 1;
        let connection = Connection::begin(opened, port)?;
        poll.add_connecting(&connection, slot)?;
        Ok(Attempt { connection, stage: Stage::Connecting, since: Instant::now() })
    };
    let mut attempts = (0..options.conns).map(|slot| begin(slot, &poll)).collect::<Result<Vec<_>>>()?;
    let mut latency = Histogram::new();
    let mut usage = None;
    let mut buffer = [0; 4096];
    let mut not_ended = 0_u64;
    let window = Window::from_now(&options.span);
    loop {
        let ready: Vec<_> = poll.wait(Duration::from_millis(100))?.collect();
        let now = Instant::now();
        for ready in ready {
            let attempt = &mut attempts[ready.token];
            match &mut attempt.stage {
                Stage::Connecting => {
                    attempt.connection.write_short(request.as_bytes())?;
                    poll.set(&attempt.connection, ready.token, false)?;
                    attempt.stage = Stage::Answer(Vec::new());
                }
                Stage::Answer(answer) => {
                    answer.extend_from_slice(attempt.connection.read(&mut buffer)?);
                    if opening::is_complete(answer)? {
                        if usage.is_some() {
                            latency.add(now - attempt.since);
                        }
                        attempt.connection.write_short(&close)?;
                        attempt.stage = Stage::End;
                    }
                }
                Stage::End => {
                    if attempt.connection.has_ended(&mut buffer) {
                        *attempt = begin(ready.token, &poll)?;
                    }
                }
            }
        }
        for (slot, attempt) in attempts.iter_mut().enumerate() {
            if matches!(attempt.stage, Stage::End) && now - attempt.since > PATIENCE {
                not_ended += 1;
                *attempt = begin(slot, &poll)?;
            }
        }
        if usage.is_none() && now >= window.begin {
            usage = Some(Usage::begin(&options.target));
        }
        if now >= window.end {
            break;
        }
    }
    let usage = usage.ok_or_else(|| Failure::new("nothing happened between the warm-up and the end"))?;
    let mut report = usage.report("handshake", latency.count());
    report.set("conns", options.conns);
    report.set("not_ended", not_ended);
    report.set_all(latency.json());
    Ok(report.into_json())
}
