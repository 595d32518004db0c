//! The app call by call, and the examples of docs/protocol/rooms.md.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tautline_proto::app::{App, ConnectionId, Message, Opening};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Ended};

use super::{Rooms, SUBPROTOCOL};
use crate::apps::testing::{Asked, FakeIo, connect, disconnect, opening, text};

fn rooms() -> Rooms {
    let clock = || UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    Rooms::new(tautline_rooms::Settings::default(), clock, 1).message_bytes(1000)
}

/// What was asked for, but for timers.
fn asked(io: &mut FakeIo) -> Vec<Asked> {
    let timer = |asked: &Asked| matches!(asked, Asked::Timer(..) | Asked::Cancel(..));
    io.asked().into_iter().filter(|asked| !timer(asked)).collect()
}

fn come(app: &mut Rooms, io: &mut FakeIo, id: u64, path: &str) {
    connect(app, io, id, path);
}

#[test]
fn messages_go_to_all_others_unchanged() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    for (connection, path) in [(1, "/1"), (2, "/2"), (3, "/rooms/main/3"), (4, "/rooms/other/1")] {
        come(&mut app, &mut io, connection, path);
    }
    app.message(&mut io, ConnectionId(2), Message::Text("hi"));
    assert_eq!(
        asked(&mut io),
        [Asked::PublishText(vec![1, 2, 3].into_iter().filter(|id| *id != 2).collect(), "hi".into())]
    );
    app.message(&mut io, ConnectionId(1), Message::Binary(&[0, 255]));
    assert_eq!(asked(&mut io), [Asked::PublishBinary(vec![2, 3], vec![0, 255])]);
    disconnect(&mut app, &mut io, 3);
    app.message(&mut io, ConnectionId(2), Message::Text(""));
    assert_eq!(asked(&mut io), [Asked::PublishText(vec![1], String::new())]);
    app.message(&mut io, ConnectionId(4), Message::Text("alone"));
    assert_eq!(asked(&mut io), [Asked::PublishText(vec![], "alone".into())]);
}

#[test]
fn an_id_is_taken_from_the_handshake_to_the_end() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    let conflict = Err(Rejection::CONFLICT.with_retry_after(super::app::RETRY_AFTER));
    let mut admit = |app: &mut Rooms, connection, path| app.admit(&mut io, ConnectionId(connection), &opening(path));
    assert_eq!(admit(&mut app, 1, "/esp"), Ok(()));
    assert_eq!(admit(&mut app, 2, "/esp"), conflict, "taken before it is open");
    app.open(&mut FakeIo::default(), ConnectionId(1));
    assert_eq!(admit(&mut app, 3, "/%65sp"), conflict, "the same id, written in another way");
    assert_eq!(admit(&mut app, 4, "/ESP"), Ok(()));
    app.closed(&mut FakeIo::default(), ConnectionId(1), Some(Ended::PeerSilent));
    assert_eq!(admit(&mut app, 5, "/esp"), Ok(()));
    app.closed(&mut FakeIo::default(), ConnectionId(5), None);
    assert_eq!(admit(&mut app, 6, "/esp"), Ok(()), "the one before never opened");
}

#[test]
fn a_client_gets_nothing_before_it_is_open() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    come(&mut app, &mut io, 1, "/1");
    app.admit(&mut io, ConnectionId(2), &opening("/2")).unwrap();
    app.message(&mut io, ConnectionId(1), Message::Text("hi"));
    assert_eq!(asked(&mut io), [Asked::PublishText(vec![], "hi".into())]);
}

#[test]
fn without_an_id_a_client_gets_a_random_one_that_is_free() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    io.random.extend([1, 2, 1, 2, 3, 4]);
    come(&mut app, &mut io, 1, "/");
    come(&mut app, &mut io, 2, "/rooms/main");
    for id in ["/0000000100000002", "/0000000300000004"] {
        assert!(app.admit(&mut io, ConnectionId(3), &opening(id)).is_err(), "{id}");
    }
}

#[test]
fn bad_paths_and_queries_are_refused_with_their_status() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    let long = format!("/{}", "x".repeat(129));
    for (path, query, status) in [
        ("/a/b", None, 404),
        ("/%ff", None, 400),
        ("/a%0Ab", None, 400),
        (&*long, None, 414),
        ("/a", Some("epoch=1&offset=1"), 400),
    ] {
        let opening = Opening { path, query, subprotocol: Some(SUBPROTOCOL), ..Opening::default() };
        let admitted = app.admit(&mut io, ConnectionId(1), &opening);
        assert_eq!(admitted.map_err(|rejection| rejection.status()), Err(status), "{path}");
    }
}

#[test]
fn a_claim_asks_the_old_connection() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    let (answer, answers) = mpsc::channel();
    let claim = |app: &mut Rooms, io: &mut FakeIo, path| {
        let answer = answer.clone();
        app.claim(io, path, move |free| answer.send(free).unwrap());
    };
    come(&mut app, &mut io, 1, "/esp");
    claim(&mut app, &mut io, "/nobody");
    assert_eq!(answers.try_recv(), Ok(true));
    claim(&mut app, &mut io, "/esp");
    assert_eq!(asked(&mut io), [Asked::Probe(1, Duration::from_secs(2))]);
    assert!(answers.try_recv().is_err());
    app.alive(&mut io, ConnectionId(1));
    assert_eq!(answers.try_recv(), Ok(false));
    io.pass(Duration::from_secs(3));
    app.timer(&mut io, 0);
    claim(&mut app, &mut io, "/esp");
    app.closed(&mut io, ConnectionId(1), Some(Ended::PeerSilent));
    assert_eq!(answers.try_recv(), Ok(true));
}

#[test]
fn a_replay_that_does_not_fit_goes_on_when_it_is_written() {
    let (mut app, mut io) = (rooms(), FakeIo::default());
    come(&mut app, &mut io, 1, "/a");
    (0..3).for_each(|_| app.message(&mut io, ConnectionId(1), Message::Text(&"x".repeat(15_000))));
    asked(&mut io);
    io.busy = true;
    let epoch = {
        let opening = Opening { path: "/b", subprotocol: Some(SUBPROTOCOL), ..Opening::default() };
        app.admit(&mut io, ConnectionId(2), &opening).unwrap();
        app.open(&mut io, ConnectionId(2));
        let Some(Asked::Text(2, welcome)) = asked(&mut io).into_iter().next() else { panic!() };
        serde_json::from_str::<Value>(&welcome).unwrap()["epoch"].as_str().unwrap().to_owned()
    };
    let query = format!("epoch={epoch}&offset=0");
    let opening = Opening { path: "/c", query: Some(&query), subprotocol: Some(SUBPROTOCOL), ..Opening::default() };
    app.admit(&mut io, ConnectionId(3), &opening).unwrap();
    app.open(&mut io, ConnectionId(3));
    let sent = |io: &mut FakeIo| asked(io).iter().filter(|asked| matches!(asked, Asked::Text(3, _))).count();
    assert_eq!(sent(&mut io), 4, "the welcome and what it missed");
    text(&mut app, &mut io, 1, "meanwhile");
    assert_eq!(sent(&mut io), 0, "it waits for its turn");
    app.drained(&mut io, ConnectionId(3));
    assert_eq!(sent(&mut io), 1);
    app.drained(&mut io, ConnectionId(3));
    app.message(&mut io, ConnectionId(1), Message::Text("now"));
    assert!(asked(&mut io).iter().any(|asked| matches!(asked, Asked::PublishText(to, _) if to.contains(&3))));
}

#[test]
fn a_durable_room_without_a_store_refuses_to_publish() {
    let durable = tautline_rooms::RoomSettings { durable: true, ..Default::default() };
    let settings = tautline_rooms::Settings { default: durable.into(), ..Default::default() };
    let (mut app, mut io) = (Rooms::new(settings, || UNIX_EPOCH, 1), FakeIo::default());
    come(&mut app, &mut io, 1, "/raw");
    app.message(&mut io, ConnectionId(1), Message::Text("hi"));
    assert_eq!(asked(&mut io), [Asked::Close(1, CloseCode::TRY_AGAIN_LATER)]);
}

/// Runs the examples of the protocol's description.
#[test]
fn the_examples_of_the_documentation_are_true() {
    let document = include_str!("../../../../docs/protocol/rooms.md");
    let mut script = Script { app: rooms(), io: FakeIo::default(), clients: HashMap::new(), epoch: String::new() };
    let mut inside = false;
    let mut lines = 0;
    for line in document.lines() {
        match line {
            "```session" => inside = true,
            "```" => inside = false,
            _ if inside => {
                script.run(line);
                lines += 1;
            }
            _ => {}
        }
    }
    assert!(lines > 25, "{lines} lines were found");
}

struct Script {
    app: Rooms,
    io: FakeIo,
    clients: HashMap<String, (u64, VecDeque<String>)>,
    epoch: String,
}

impl Script {
    fn run(&mut self, line: &str) {
        let (name, rest) = line.split_once(' ').unwrap();
        if let Some(target) = rest.strip_prefix("connects ") {
            return self.connect(name, target);
        }
        let id = self.clients[name].0;
        if rest == "leaves" {
            self.app.closed(&mut self.io, ConnectionId(id), Some(Ended::TransportClosed));
            self.clients.remove(name);
        } else if let Some(message) = rest.strip_prefix("> ") {
            self.app.message(&mut self.io, ConnectionId(id), Message::Text(message));
        } else if let Some(expected) = rest.strip_prefix("< ") {
            self.expect(name, expected);
        } else {
            panic!("{line}");
        }
    }

    fn connect(&mut self, name: &str, target: &str) {
        let (subprotocol, target) = match target.strip_prefix("raw ") {
            Some(target) => (None, target),
            None => (Some(SUBPROTOCOL), target),
        };
        let target = target.replace("{epoch}", &self.epoch);
        let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
        let id = self.io.now.saturating_duration_since(Default::default()).as_secs() * 100 + self.clients.len() as u64;
        self.app
            .admit(&mut self.io, ConnectionId(id), &Opening { path, query, subprotocol, ..Opening::default() })
            .unwrap();
        self.clients.insert(name.into(), (id, VecDeque::new()));
        self.app.open(&mut self.io, ConnectionId(id));
        self.io.pass(Duration::from_secs(1));
        self.app.timer(&mut self.io, 0);
    }

    /// Gives everybody what was sent to them.
    fn deliver(&mut self) {
        for asked in self.io.asked() {
            let (to, message) = match asked {
                Asked::Text(to, message) => (vec![to], message),
                Asked::PublishText(to, message) => (to, message),
                _ => continue,
            };
            for (_, line) in self.clients.values_mut().filter(|(id, _)| to.contains(id)) {
                line.push_back(message.clone());
            }
        }
    }

    fn expect(&mut self, name: &str, expected: &str) {
        self.deliver();
        let expected: Value = serde_json::from_str(expected).unwrap();
        loop {
            let message = self.clients.get_mut(name).unwrap().1.pop_front();
            let message = message.unwrap_or_else(|| panic!("{name} got no {expected}"));
            let message: Value = serde_json::from_str(&message).unwrap();
            if let Some(epoch) = message["epoch"].as_str() {
                self.epoch = epoch.into();
            }
            if like(&expected, &message) {
                return;
            }
            // Who comes and goes is told in between, and shown where it matters.
            assert_eq!(message["type"], "presence", "{name} got {message} instead of {expected}");
        }
    }
}

/// Whether a message is as expected; `"*"` is like anything.
fn like(expected: &Value, message: &Value) -> bool {
    match (expected, message) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(expected), Value::Object(message)) => {
            expected.len() == message.len()
                && expected.iter().all(|(key, value)| message.get(key).is_some_and(|other| like(value, other)))
        }
        _ => expected == message,
    }
}
