//! A process that is killed while it commits loses nothing that it was told is committed.
//!
//! The process is this test binary itself, started with [`DIRECTORY`] in its environment. It is killed by a signal, which
//! proves the order of commit and acknowledgement; that a flush reaches the disk is SQLite's and the system's word.

use std::env;
use std::io::{BufRead, BufReader, Write as _, stderr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rusqlite::Connection;
use tautline_store::{Document, Kind, Message, Settings, Store, SubmitError, Write};

const DIRECTORY: &str = "TAUTLINE_STORE_CRASH_DIRECTORY";
const ROUNDS: usize = 20;
/// How many submissions wait at once.
const IN_FLIGHT: usize = 64;
const EPOCH: u64 = 7;

#[test]
fn a_killed_process_keeps_everything_that_it_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(20);
    let mut last = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(data.path(), random.u64(1..400), random.u64(..2000));
        assert!(acknowledged > last, "round {round} acknowledged nothing");
        last = check(data.path(), acknowledged);
    }
}

/// The process that is killed.
#[test]
#[ignore = "run by a_killed_process_keeps_everything_that_it_acknowledged"]
fn child() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    let store = Store::open(directory, Settings::new().waiting_submissions(IN_FLIGHT)).unwrap();
    let rooms = store.read(|reader| reader.rooms()).unwrap();
    let last = rooms.first().map_or(0, |room| room.last_offset);
    if rooms.is_empty() {
        store.submit(vec![Write::OpenRoom { room: "r".into(), epoch: EPOCH, durable: true }], Result::unwrap).unwrap();
    }
    for number in last + 1.. {
        loop {
            let acknowledge = move |result: Result<(), _>| {
                result.unwrap();
                // One write: a line is there as a whole, or not at all.
                stderr().write_all(format!("acknowledged {number}\n").as_bytes()).unwrap();
            };
            match store.submit(submission(number), acknowledge) {
                Ok(()) => break,
                Err(SubmitError::Full) => thread::yield_now(),
                Err(SubmitError::Closed) => panic!("the store has ended"),
            }
        }
    }
}

/// Writes that belong together.
fn submission(number: u64) -> Vec<Write> {
    let message = Message {
        room: "r".into(),
        epoch: EPOCH,
        offset: number,
        at_ms: number as i64,
        from: "a".into(),
        message_id: Some(number.to_string().into()),
        kind: Kind::Text,
        payload: number.to_string().into(),
    };
    let document = Document {
        room: "r".into(),
        name: "d".into(),
        version: number,
        json: Some(number.to_string().into()),
        at_ms: number as i64,
    };
    vec![
        Write::Message(message),
        Write::SetCounter { name: "n".into(), value: number as i64 },
        Write::Document(document),
    ]
}

/// Kills the process after `after` acknowledgements and a while more; answers the highest number that it acknowledged.
fn run_and_kill(data: &Path, after: u64, spins: u64) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIRECTORY, data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut highest = 0;
    for _ in 0..after {
        highest = acknowledged(&lines.next().expect("the process goes on until it is killed"));
    }
    // Somewhere between two acknowledgements.
    for _ in 0..spins {
        thread::yield_now();
    }
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    // What it had said by then, counts.
    lines.map(|line| acknowledged(&line)).last().unwrap_or(highest)
}

fn acknowledged(line: &str) -> u64 {
    let number = line.strip_prefix("acknowledged ").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("the process failed: {line}"))
}

/// Answers the highest number that is stored.
fn check(data: &Path, acknowledged: u64) -> u64 {
    let database = Connection::open(data.join("tautline.db")).unwrap();
    let integrity: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    drop(database);
    let store = Store::open(data, Settings::new()).unwrap();
    let last = store.read(|reader| reader.rooms()).unwrap()[0].last_offset;
    assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is the last one stored");
    let history = store.read(|reader| reader.history("r", 0, usize::MAX, usize::MAX)).unwrap();
    let stored = history.iter().map(|message| str::from_utf8(&message.payload).unwrap().parse::<u64>().unwrap());
    assert!(stored.eq(1..=last), "a message is missing, or there twice");
    let dedup = store.read(|reader| reader.dedup("r")).unwrap();
    assert!(dedup.iter().map(|entry| entry.offset).eq(1..=last));
    // What belongs together is there together.
    assert_eq!(store.read(|reader| reader.counters()).unwrap()[0].value as u64, last);
    assert_eq!(store.read(|reader| reader.documents()).unwrap()[0].version, last);
    last
}

/// Does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
