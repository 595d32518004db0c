//! How many submissions a second this disk takes: `cargo run --release -p tautline-store --example commit_rate -- [DIRECTORY]`.
//!
//! Each is a message of 100 bytes with a message id. The database is made in a temporary directory in DIRECTORY (`.`), and
//! deleted.

use std::env;
use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tautline_store::{Kind, Message, Settings, Store, Write};

const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn Error>> {
    let parent = env::args_os().nth(1).unwrap_or_else(|| ".".into());
    let directory = tempfile::tempdir_in(parent)?;
    writeln!(stdout(), "in flight  submissions/s  commits/s")?;
    for in_flight in [1, 16, 256] {
        let (submissions, commits) = measure(&directory.path().join(in_flight.to_string()), in_flight)?;
        writeln!(stdout(), "{in_flight:9}  {submissions:13.0}  {commits:9.0}")?;
    }
    Ok(())
}

/// Submissions and commits in a second.
fn measure(directory: &Path, in_flight: u64) -> Result<(f64, f64), Box<dyn Error>> {
    let store = Store::open(directory, Settings::new())?;
    store.submit(vec![Write::OpenRoom { room: "r".into(), epoch: 1, durable: true }], |_| {})?;
    store.flush();
    let (done, committed) = channel();
    let before = store.counters();
    let start = Instant::now();
    let mut offset = 0;
    let mut submit = || {
        offset += 1;
        let done = done.clone();
        store.submit(vec![message(offset)], move |result| drop(done.send(result)))
    };
    for _ in 0..in_flight {
        submit()?;
    }
    while start.elapsed() < MEASURED {
        committed.recv()??;
        submit()?;
    }
    store.flush();
    let (seconds, after) = (start.elapsed().as_secs_f64(), store.counters());
    let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
    Ok((rate(before.committed, after.committed), rate(before.commits, after.commits)))
}

fn message(offset: u64) -> Write {
    Write::Message(Message {
        room: "r".into(),
        epoch: 1,
        offset,
        at_ms: offset as i64,
        from: "device-1".into(),
        message_id: Some(offset.to_string().into()),
        kind: Kind::Text,
        payload: vec![b'x'; 100].into(),
    })
}
