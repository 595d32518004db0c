//! The hub is killed with SIGKILL, again and again, while clients publish: what it has acknowledged is not lost, and nothing
//! comes twice to a client that resumes.

#[path = "crash/fleet.rs"]
mod fleet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tautline::{WebSocket, connect};
use tautline_conformance::peers::{Hub, Scratch, lasting_port, within_time};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How often the hub is killed, unless `TAUTLINE_KILLS` says otherwise.
const KILLS: u64 = 30;

const PUBLISHERS: usize = 4;

/// How many messages a publisher has on the way.
const WINDOW: usize = 16;

/// After so many acknowledgements, at most, comes the next kill.
const LONGEST_LIFE: u64 = 400;

/// Time for everything, for each kill.
const PATIENCE: Duration = Duration::from_secs(10);

const CONFIG: &str = r#"
[rooms.default]
durable = true
history_messages = 1000000
history_bytes = "1 GiB"
"#;

/// What all clients know of the run.
#[derive(Clone)]
struct Run {
    port: u16,
    acknowledged: Arc<watch::Sender<u64>>,
    /// No kill comes any more: publishers finish what they have begun.
    ending: Arc<AtomicBool>,
    subprotocol: &'static str,
}

impl Run {
    /// A connection, as soon as there is a hub again.
    async fn connect(&self, target: &str) -> WebSocket {
        loop {
            let opening = connect(format!("ws://127.0.0.1:{}{target}", self.port)).subprotocol(self.subprotocol);
            match opening.await {
                Ok(ws) => return ws,
                // It is being started: there is nothing else to wait for.
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }
}

fn kills() -> u64 {
    std::env::var("TAUTLINE_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"))
}

fn parse(message: &tautline::Message) -> Value {
    serde_json::from_str(message.as_text().expect("text")).expect("JSON")
}

/// Publishes numbers, each until it is acknowledged. Answers how many.
async fn publish(run: Run, name: usize) -> u64 {
    let mut unacknowledged = BTreeSet::new();
    let mut last = 0;
    loop {
        let mut ws = run.connect(&format!("/rooms/crash/p{name}")).await;
        let envelope = |number| json!({"type": "publish", "id": format!("m{number}"), "data": number}).to_string();
        let mut lost = false;
        for number in &unacknowledged {
            lost |= ws.send(envelope(*number)).await.is_err();
        }
        while !lost {
            while unacknowledged.len() < WINDOW && !run.is_ending() {
                last += 1;
                unacknowledged.insert(last);
                lost |= ws.send(envelope(last)).await.is_err();
            }
            if unacknowledged.is_empty() {
                return last;
            }
            let Some(message) = ws.recv().await else { break };
            let message = parse(&message);
            assert_ne!(message["type"], "error", "{message}");
            if message["type"] == "ack" {
                let number = message["id"].as_str().and_then(|id| id[1..].parse().ok()).expect("one of ours");
                assert!(unacknowledged.remove(&number), "{message} is acknowledged once");
                run.acknowledged.send_modify(|count| *count += 1);
            }
        }
    }
}

/// Receives what everybody publishes, resuming where it was, until it has seen `until` of each publisher.
async fn subscribe(run: Run, mut until: watch::Receiver<Option<Vec<u64>>>) -> BTreeMap<String, Vec<u64>> {
    let mut received = BTreeMap::<String, Vec<u64>>::new();
    let mut place: Option<(String, u64)> = None;
    loop {
        let target = match &place {
            Some((epoch, offset)) => format!("/rooms/crash/subscriber?epoch={epoch}&offset={offset}"),
            None => "/rooms/crash/subscriber".to_owned(),
        };
        let mut ws = run.connect(&target).await;
        loop {
            let complete = until.borrow_and_update().as_ref().is_some_and(|until| {
                let seen = |name| received.get(&format!("p{name}")).map_or(0, Vec::len) as u64;
                until.iter().enumerate().all(|(name, count)| seen(name) >= *count)
            });
            if complete {
                return received;
            }
            let message = tokio::select! {
                message = ws.recv() => message,
                _ = until.changed() => continue,
            };
            let Some(message) = message else { break };
            let message = parse(&message);
            match message["type"].as_str() {
                Some("welcome") => {
                    let expected = if place.is_some() { "all" } else { "none" };
                    assert_eq!(message["recovered"], expected, "{message}");
                    let epoch = message["epoch"].as_str().expect("an epoch").to_owned();
                    assert!(place.as_ref().is_none_or(|(before, _)| *before == epoch), "the room is the same one");
                    place = Some((epoch, message["offset"].as_u64().expect("an offset")));
                }
                Some("message") => {
                    let (_, offset) = place.as_mut().expect("welcomed");
                    let next = message["offset"].as_u64().expect("an offset");
                    assert!(next > *offset, "offset {next} after {offset}");
                    *offset = next;
                    let from = message["from"].as_str().expect("a publisher").to_owned();
                    received.entry(from).or_default().push(message["data"].as_u64().expect("a number"));
                }
                _ => {}
            }
        }
    }
}

/// Sets a counter to one number after the other. What anybody has seen is never taken back.
async fn count(run: Run) -> u64 {
    let run = Run { subprotocol: "none", ..run };
    let (mut sent, mut seen) = (0, 0);
    loop {
        let mut ws = run.connect("/state/crash").await;
        while let Some(message) = ws.recv().await {
            let message = parse(&message);
            assert_ne!(message["type"], "error", "{message}");
            if message["type"] != "state" {
                continue;
            }
            let value = message["value"].as_u64().expect("a number");
            assert!((seen..=sent).contains(&value), "{value}: {seen} was seen, {sent} was the last that was sent");
            seen = value;
            if run.is_ending() && seen == sent {
                return seen;
            }
            sent = seen + 1;
            if ws.send(json!({"action": "set", "value": sent}).to_string()).await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_survives_and_comes_once() {
    let kills = kills();
    within_time(PATIENCE * (kills as u32 + 3), "the whole run", run(kills)).await;
}

async fn run(kills: u64) {
    let scratch = Scratch::new();
    let config = scratch.write("tautline.toml", CONFIG);
    let data = scratch.path().join("data");
    let arguments = ["--config", config.to_str().expect("UTF-8"), "--data", data.to_str().expect("UTF-8")];
    let mut hub = Hub::start_on(lasting_port(), &arguments).await;
    let acknowledged = Arc::new(watch::Sender::new(0));
    let run = Run {
        port: hub.port,
        acknowledged: acknowledged.clone(),
        ending: Arc::default(),
        subprotocol: "tautline.v1.json",
    };
    let (finished, until) = watch::channel(None);
    let subscriber = tokio::spawn(subscribe(run.clone(), until));
    let counter = tokio::spawn(count(run.clone()));
    let publishers: Vec<JoinHandle<u64>> =
        (0..PUBLISHERS).map(|name| tokio::spawn(publish(run.clone(), name))).collect();

    let mut progress = acknowledged.subscribe();
    // Any sequence will do that meets the hub at different moments.
    let lives = AtomicU64::new(1);
    for _ in 0..kills {
        let life = lives.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |x| Some(x * 48271 % 0x7fff_ffff));
        let enough = *progress.borrow() + 1 + life.unwrap_or_default() % LONGEST_LIFE;
        progress.wait_for(|count| *count >= enough).await.expect("publishers run");
        hub.process.signal(Signal::KILL);
        hub.process.exit().await;
        hub = Hub::start_on(run.port, &arguments).await;
    }
    run.ending.store(true, Ordering::Relaxed);
    let mut published = Vec::new();
    for publisher in publishers {
        published.push(publisher.await.expect("a publisher"));
    }
    assert!(counter.await.expect("the counter") > 0);
    finished.send_replace(Some(published.clone()));
    let received = subscriber.await.expect("the subscriber");
    for (name, count) in published.iter().enumerate() {
        let mut numbers = received[&format!("p{name}")].clone();
        assert!(*count > 0);
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=*count), "p{name}: each of {count} once: {numbers:?}");
    }
    hub.stop().await;
}
