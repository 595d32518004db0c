//! Somebody looks at a connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use tautline_proto::app::{Message, Slow};
use tautline_proto::{Direction, OpCode};

use super::support::{Frame as Sent, Peer, QUIET, Sim, World, echo, frames, profile, wire};
use crate::event_loop::{Loop, slot_of};
use crate::tap::{SHOWN, Watcher};
use crate::{Frame, Shown};

/// What is shown of a connection.
#[derive(Clone, Default)]
struct Seen {
    frames: Arc<Mutex<Vec<Frame>>>,
    over: Arc<AtomicBool>,
}

impl Seen {
    /// A watcher of a connection.
    fn begin(world: &mut World, peer: &Peer) -> Self {
        Self::begin_with(world, peer, |_| ()).0
    }

    /// As [`begin`](Self::begin); answers besides how things are when it begins.
    fn begin_with<R>(world: &mut World, peer: &Peer, how: impl FnOnce(&mut Loop<Sim>) -> R) -> (Self, R) {
        let seen = Self::default();
        let (frames, over) = (seen.frames.clone(), seen.over.clone());
        let note = move |shown| match shown {
            Shown::Begun => assert_eq!(frames.lock().unwrap().len(), 0, "it comes first"),
            Shown::Frame(frame) => frames.lock().unwrap().push(frame),
        };
        let watcher = Watcher { seen: Box::new(note), over };
        let how = world.turn_with(|event_loop| {
            let how = how(event_loop);
            event_loop.inspect(peer.id, watcher);
            how
        });
        (seen, how)
    }

    fn of(&self, direction: Direction) -> Vec<Frame> {
        let frames = self.frames.lock().unwrap();
        frames.iter().filter(|frame| frame.direction == direction).cloned().collect()
    }

    /// Opcodes and payloads in one direction.
    fn payloads(&self, direction: Direction) -> Vec<(u8, Vec<u8>)> {
        self.of(direction).into_iter().map(|frame| (frame.opcode, frame.payload)).collect()
    }
}

fn is_tapped(world: &mut World, peer: &Peer) -> bool {
    use crate::transport::Transport;
    let connection = world.event_loop.world.slots.at(slot_of(peer.id));
    connection.is_some_and(|connection| connection.transport.tap().is_some())
}

#[test]
fn frames_are_seen_both_ways_as_they_are_on_the_wire() {
    let mut world = World::echo();
    let peer = world.connect();
    let seen = Seen::begin(&mut world, &peer);
    peer.send("hello");
    peer.ping(b"?");
    world.run();
    peer.close(tautline_proto::CloseCode::NORMAL);
    world.run();
    let close = (8, b"\x03\xe8".to_vec());
    let expected = [(1, b"hello".to_vec()), (9, b"?".to_vec()), close.clone()];
    assert_eq!(seen.payloads(Direction::Received), expected);
    let sent = [(1, b"hello".to_vec()), (10, b"?".to_vec()), close];
    assert_eq!(seen.payloads(Direction::Sent), sent);
    let received = &seen.of(Direction::Received)[0];
    assert_eq!((received.mask, received.head[0], received.head[1]), (Some([0x5a, 5, 0xc3, 0x0f]), 0x81, 0x85));
    assert_eq!(seen.of(Direction::Sent)[0].head, [0x81, 5]);
    world.assert_empty();
}

#[test]
fn who_looks_sees_what_was_read_before_and_not_consumed() {
    let mut world = World::echo();
    let peer = world.connect();
    let frame = frames::text("hello");
    for cut in 1..frame.len() {
        peer.send_bytes(&frame[..cut]);
        world.run();
        let seen = Seen::begin(&mut world, &peer);
        peer.send_bytes(&[&frame[cut..], &frames::text("next")].concat());
        world.run();
        // Where its header was there it had begun.
        let expected: &[&[u8]] = if cut < 6 { &[b"hello", b"next"] } else { &[b"next"] };
        let received: Vec<_> = seen.payloads(Direction::Received).into_iter().map(|(_, payload)| payload).collect();
        assert_eq!(received, expected, "cut at {cut}");
    }
}

#[test]
fn a_connection_that_nobody_looks_at_any_more_has_nothing_of_it() {
    let mut world = World::echo();
    let peer = world.connect();
    let seen = Seen::begin(&mut world, &peer);
    world.turn_with(|event_loop| event_loop.end_inspection(peer.id));
    assert!(is_tapped(&mut world, &peer), "it is looked at");
    seen.over.store(true, Ordering::Relaxed);
    peer.send("unseen");
    world.run();
    world.turn_with(|event_loop| event_loop.end_inspection(peer.id));
    assert!(!is_tapped(&mut world, &peer));
    assert_eq!(seen.payloads(Direction::Received), []);
}

#[test]
fn who_looks_next_takes_the_place_of_who_looked_before() {
    let mut world = World::echo();
    let peer = world.connect();
    let first = Seen::begin(&mut world, &peer);
    let second = Seen::begin(&mut world, &peer);
    assert_eq!(Arc::strong_count(&first.frames), 1, "its watcher is gone");
    first.over.store(true, Ordering::Relaxed);
    world.turn_with(|event_loop| event_loop.end_inspection(peer.id));
    peer.send("x");
    world.run();
    assert_eq!((first.of(Direction::Received).len(), second.of(Direction::Received).len()), (0, 1));
}

#[test]
fn a_watcher_that_panics_disturbs_nobody() {
    let mut world = World::echo();
    let peer = world.connect();
    let watcher =
        Watcher { seen: Box::new(|shown| assert_eq!(shown, Shown::Begun, "on purpose")), over: Arc::default() };
    world.turn_with(|event_loop| event_loop.inspect(peer.id, watcher));
    peer.send("x");
    world.run();
    peer.send("y");
    world.run();
    assert_eq!(peer.texts(), ["x", "y"]);
}

#[test]
fn an_overview_has_the_newest_connections_of_an_app() {
    let mut world = World::echo();
    let peers: [Peer; 5] = world.connect_some();
    let waiting = world.admit();
    let ids = |before, limit| -> Vec<_> {
        world.event_loop.overview(0, before, limit).into_iter().map(|overview| overview.id).collect()
    };
    assert_eq!(ids(None, 2), [peers[4].id, peers[3].id]);
    assert_eq!(ids(Some(peers[3].id), 9), [peers[2].id, peers[1].id, peers[0].id]);
    assert!(!ids(None, 9).contains(&waiting), "one whose handshake is not answered");
    assert_eq!(world.event_loop.overview(1, None, 9).len(), 0, "another app's");
}

/// How much of a frame is shown, in the form of what is seen.
fn shown(opcode: OpCode, payload: &[u8]) -> (u8, Vec<u8>) {
    (opcode.as_u8(), payload[..payload.len().min(SHOWN)].to_vec())
}

/// A client whose every byte is known.
#[derive(Default)]
struct Said {
    bytes: usize,
    /// Where each frame begins, and what it is.
    frames: Vec<(usize, (u8, Vec<u8>))>,
    /// What has not been sent of the last one.
    rest: Vec<u8>,
}

impl Said {
    fn frame(&mut self, rng: &mut Rng) {
        let len = match rng.u8(..10) {
            0 => rng.usize(..80_000),
            1..3 => rng.usize(..1000),
            _ => rng.usize(..20),
        };
        let payload: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        let opcode = if len < 20 && rng.bool() { OpCode::Ping } else { OpCode::Binary };
        self.frames.push((self.bytes + self.rest.len(), shown(opcode, &payload)));
        self.rest.extend(frames::masked(opcode, true, &payload));
    }

    fn say(&mut self, peer: &Peer, len: usize) {
        let len = len.min(self.rest.len());
        let said: Vec<u8> = self.rest.drain(..len).collect();
        peer.send_bytes(&said);
        self.bytes += len;
    }
}

/// The frames of a server's bytes, and where each begins.
fn decoded(bytes: &[u8]) -> Vec<(usize, (u8, Vec<u8>))> {
    let mut at = 0;
    let with_place = |Sent { opcode, payload }: Sent| {
        let place = at;
        at += payload.len()
            + if payload.len() < 126 {
                2
            } else if payload.len() < 65536 {
                4
            } else {
                10
            };
        (place, shown(opcode, &payload))
    };
    frames::decode(bytes).0.into_iter().map(with_place).collect()
}

fn behind(frames: Vec<(usize, (u8, Vec<u8>))>, place: usize) -> Vec<(u8, Vec<u8>)> {
    frames.into_iter().filter(|(begins, _)| *begins >= place).map(|(_, frame)| frame).collect()
}

/// Reads, writes and "would block" in any sizes; who looks begins anywhere in the middle.
#[test]
fn who_looks_sees_every_frame_that_begins_from_then_on_and_no_other() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(echo);
        world.profile = profile(QUIET, if rng.bool() { 2000 } else { usize::MAX });
        let (sim, peer) = wire();
        peer.wire().moods = Some(rng.fork());
        peer.hold(if rng.bool() { 0 } else { 3000 });
        let peer = world.connect_over((sim, peer), &[]);
        let (mut said, begins) = (Said::default(), rng.usize(..40));
        let mut seen = None;
        for step in 0..60 {
            match rng.u8(..6) {
                0..3 => said.frame(&mut rng),
                3 => peer.take_only(rng.usize(..5000)),
                4 => peer.take(rng.usize(1..5000)),
                _ => {
                    let payload = vec![step as u8; rng.usize(..300)];
                    world.visit(|io| {
                        io.publish(&mut [peer.id].into_iter(), Message::Binary(&payload), Slow::DropOldest)
                    });
                }
            }
            said.say(&peer, rng.usize(..30_000));
            world.turn();
            if step == begins {
                seen = Some(Seen::begin_with(&mut world, &peer, |event_loop| {
                    let slot = event_loop.world.slots.at(peer.slot()).expect("open");
                    let (outstanding, begun) = slot.begun(&event_loop.world.turn);
                    let unread = slot.more.as_ref().map_or(0, |more| more.unread.len());
                    let consumed = said.bytes - peer.unread() - unread;
                    (consumed + outstanding as usize, peer.wire().taken() + begun as usize)
                }));
            }
        }
        said.say(&peer, usize::MAX);
        peer.take_all();
        world.run();
        let (seen, (consumed, gone)) = seen.expect("somebody looked");
        assert!(seen.payloads(Direction::Received) == behind(said.frames, consumed), "received, seed {seed}");
        let sent = decoded(&peer.wire().written);
        assert!(seen.payloads(Direction::Sent) == behind(sent, gone), "sent, seed {seed}");
    }
}
