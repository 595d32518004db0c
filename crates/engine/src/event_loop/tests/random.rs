//! Many connections, and anything that can happen to them, in any order.
//!
//! `TAUTLINE_SEED` runs one seed alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tautline_proto::app::{ConnectionId, Delivery, Io, Message, Sent, Slow};
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};
use tautline_proto::{CloseCode, Ended, Kind, Part};

use super::support::{Call, Client, Happened, QUIET, World, profile, secs, wire};

const SEEDS: u64 = 300;
const CLIENTS: usize = 6;
const STEPS: usize = 200;

/// What the app has done for a connection.
#[derive(Debug, Default)]
struct Ledger {
    /// Every message in its order, and whether it was for this connection alone.
    sent: Vec<(Vec<u8>, bool)>,
    dropped: u64,
    /// The code with which the app, the driver for the app's panic, or its queue has closed it.
    closed: Option<CloseCode>,
    queued: bool,
    /// The app wants to know whether it is there.
    probed: bool,
    /// Calls since the app or the driver has closed it.
    late: Vec<&'static str>,
}

#[derive(Default)]
struct Ledgers {
    of: BTreeMap<ConnectionId, Ledger>,
    open: Vec<ConnectionId>,
    next: u64,
}

type Shared = Arc<Mutex<Ledgers>>;

/// A message that nobody else sends.
fn message(number: u64, len: usize) -> Vec<u8> {
    let mut message = format!("{number:0>10}:").into_bytes();
    message.extend((0..len).map(|at| b'a' + ((at as u64 * 7 + number) % 26) as u8));
    message
}

fn some_len(rng: &mut Rng) -> usize {
    match rng.u8(..20) {
        0 => rng.usize(..60_000),
        1..5 => rng.usize(..3000),
        _ => rng.usize(..100),
    }
}

impl Ledgers {
    fn of(&mut self, id: ConnectionId) -> &mut Ledger {
        self.of.get_mut(&id).expect("a connection that was opened")
    }

    fn send(&mut self, io: &mut dyn Io, id: ConnectionId, message: Vec<u8>) {
        let text = String::from_utf8(message).unwrap();
        let sent = io.send(id, Message::Text(&text));
        let Some(ledger) = self.of.get_mut(&id) else { return assert_eq!(sent, Sent::Closed) };
        match sent {
            Sent::Closed => {
                // The queue was full, or the peer is about to go; in the second case the driver tells how it ended.
                ledger.closed.get_or_insert(CloseCode::TRY_AGAIN_LATER);
            }
            sent => {
                assert_eq!(ledger.closed, None, "nothing is sent behind a close");
                ledger.queued |= sent == Sent::Queued;
                ledger.sent.push((text.into_bytes(), true));
            }
        }
    }

    fn publish(&mut self, io: &mut dyn Io, to: &[ConnectionId], slow: Slow, len: usize) {
        // One at a time, so that the numbers tell of whom they are; and all of them in a row as they would be.
        self.next += 1;
        let message = message(self.next, len);
        for id in to {
            let delivery = io.publish(&mut std::iter::once(*id), Message::Binary(&message), slow);
            let ledger = self.of.get_mut(id).expect("it was opened");
            ledger.dropped += delivery.dropped;
            match delivery {
                Delivery { sent: 1, .. } => {
                    assert_eq!(ledger.closed, None);
                    ledger.sent.push((message.clone(), false));
                }
                Delivery { disconnected: 1, .. } => {
                    assert_eq!(slow, Slow::Disconnect);
                    ledger.closed.get_or_insert(CloseCode::TRY_AGAIN_LATER);
                }
                Delivery { closed: 1, .. } => {}
                // The new one was dropped.
                delivery => {
                    assert_eq!(delivery, Delivery { dropped: 1, ..Delivery::default() });
                    ledger.dropped -= 1;
                }
            }
        }
    }
}

fn app(ledgers: Shared, mut rng: Rng) -> impl FnMut(&mut dyn Io, Call<'_>) + Send {
    move |io, call| {
        let mut all = ledgers.lock().unwrap();
        let (id, name) = match call {
            Call::Open(id) => (id, "open"),
            Call::Message(id, _) => (id, "message"),
            Call::Drained(id) => (id, "drained"),
            Call::Alive(id) => (id, "alive"),
            Call::Closed(id, _) => (id, "closed"),
            Call::Admit(_) | Call::Timer(_) => return,
        };
        if name == "open" {
            all.of.insert(id, Ledger::default());
            all.open.push(id);
        }
        if name != "closed" && all.of(id).closed == Some(CloseCode::INTERNAL_ERROR) {
            all.of(id).late.push(name);
        }
        if name == "alive" && all.of(id).closed.is_some() {
            all.of(id).late.push("alive, though closed");
        }
        match call {
            Call::Message(_, message) if message.as_bytes() == b"panic" => {
                all.of(id).closed.get_or_insert(CloseCode::INTERNAL_ERROR);
                drop(all);
                panic!("on purpose");
            }
            Call::Message(_, message) if message.as_bytes() == b"close" => {
                io.close(id, CloseCode::POLICY_VIOLATION, "as you wish");
                if all.of(id).closed.is_none() {
                    all.of(id).closed = Some(CloseCode::POLICY_VIOLATION);
                }
            }
            Call::Message(_, message) => match rng.u8(..10) {
                0 => {}
                1 => {
                    let slow = [Slow::Disconnect, Slow::DropOldest, Slow::KeepLatest][rng.usize(..3)];
                    let open = all.open.clone();
                    for _ in 0..rng.u8(1..3) {
                        all.publish(io, &open, slow, some_len(&mut rng));
                    }
                }
                2 => {
                    let other = all.open[rng.usize(..all.open.len())];
                    all.next += 1;
                    let message = self::message(all.next, some_len(&mut rng));
                    all.send(io, other, message);
                }
                3 => {
                    let other = all.open[rng.usize(..all.open.len())];
                    all.of(other).probed = true;
                    io.probe(other, secs(rng.u64(1..20)));
                }
                _ => all.send(io, id, message.as_bytes().to_vec()),
            },
            Call::Drained(_) => assert!(std::mem::take(&mut all.of(id).queued), "only after Queued"),
            Call::Alive(_) => assert!(std::mem::take(&mut all.of(id).probed), "only if it was asked"),
            Call::Closed(..) => all.open.retain(|open| *open != id),
            _ => {}
        }
    }
}

/// A client, and what it has sent.
struct Actor {
    client: Client,
    sent: Vec<Vec<u8>>,
    /// The rest of a message whose beginning is sent.
    rest: Option<Vec<u8>>,
}

impl Actor {
    fn send(&mut self, message: Vec<u8>, rng: &mut Rng) {
        if let Some(rest) = self.rest.take() {
            self.client.send(Part::Last, &rest);
            return;
        }
        if rng.u8(..5) > 0 || message.len() < 6 {
            if self.client.send(Part::Whole(Kind::Text), &message) {
                self.sent.push(message);
            }
            return;
        }
        let cut = rng.usize(..message.len());
        if self.client.send(Part::First(Kind::Text), &message[..cut]) {
            self.rest = Some(message[cut..].to_vec());
            self.sent.push(message);
        }
    }
}

fn connect(world: &mut World, rng: &mut Rng) -> Actor {
    let over = wire();
    {
        let mut wire = over.1.wire();
        wire.moods = rng.bool().then(|| rng.fork());
        wire.says_nothing = rng.u8(..4) == 0;
    }
    over.1.hold([0, 0, 5, 16_384][rng.usize(..4)]);
    if rng.bool() {
        over.1.take_only(rng.usize(..5000));
    }
    let mut sender = || Sender { window: WindowBits::new(rng.u8(8..=15)).unwrap(), takeover: rng.bool() };
    let agreed = Parameters { server: sender(), client: sender() };
    world.deflate = rng.bool().then_some(agreed);
    let peer = world.connect_over(over, &[]);
    Actor { client: Client::new(peer, world.now).with_deflate(world.deflate), sent: Vec::new(), rest: None }
}

fn step(world: &mut World, actors: &mut Vec<Actor>, rng: &mut Rng, number: &mut u64) {
    let index = rng.usize(..actors.len());
    let actor = &mut actors[index];
    let peer = actor.client.peer.clone();
    *number += 1;
    match rng.u16(..1000) {
        _ if !actor.client.is_open() => {}
        0..500 => {
            for _ in 0..rng.u8(1..4) {
                *number += 1;
                actor.send(message(1_000_000 + *number, some_len(rng)), rng);
            }
        }
        500..510 if actor.rest.is_none() => actor.send(b"panic".to_vec(), rng),
        510..520 if actor.rest.is_none() => actor.send(b"close".to_vec(), rng),
        520..530 => {
            actor.client.close(world.now, CloseCode::NORMAL);
            actor.rest = None;
        }
        530..540 => actor.client.reset(),
        540..550 => actor.client.end(),
        550..600 => actor.client.ping(world.now),
        600..700 => peer.take(rng.usize(1..20_000)),
        700..720 => peer.take_only(0),
        720..800 => actor.client.receive(world.now),
        800..810 => world.pass(Duration::from_millis(rng.u64(..15_000))),
        810..820 => {
            *number += 1;
            let next = connect(world, rng);
            actors.push(next);
        }
        _ => world.turn(),
    }
}

/// Lets everything that is left end as it should.
fn finish(world: &mut World, actors: &mut [Actor]) {
    for round in 0..10_000 {
        for actor in &mut *actors {
            actor.client.peer.take_all();
            actor.client.receive(world.now);
            if round == 20 && actor.client.is_open() {
                if let Some(rest) = actor.rest.take() {
                    actor.client.send(Part::Last, &rest);
                }
                actor.client.close(world.now, CloseCode::NORMAL);
            }
        }
        world.run();
        if world.event_loop.is_empty() {
            return;
        }
        if round > 1000 {
            world.pass(secs(1));
        }
    }
    panic!("connections are left");
}

fn check(world: &World, actor: &Actor, ledger: &Ledger) {
    let peer = &actor.client.peer;
    let ended = world.ended(peer).expect("closed, once");
    assert_eq!(ledger.late, [""; 0], "nothing after a close but its end");
    // What the app heard: a beginning of what was sent, each message whole.
    let heard: Vec<Vec<u8>> = world
        .of(peer)
        .into_iter()
        .filter_map(|happened| match happened {
            Happened::Text(_, text) => Some(text.into_bytes()),
            _ => None,
        })
        .collect();
    assert!(actor.sent.starts_with(&heard), "heard {} of {}", heard.len(), actor.sent.len());
    // What the client got: what was sent to it, in order; published messages may be missing, as many as were dropped.
    let (mut missing_own, mut missing_published, mut at) = (0, 0, 0);
    for (_, got) in &actor.client.messages {
        loop {
            let (sent, own) = ledger.sent.get(at).expect("nothing but what was sent to it, in order");
            at += 1;
            if sent == got {
                break;
            }
            missing_own += u64::from(*own);
            missing_published += u64::from(!*own);
        }
    }
    assert_eq!(missing_own, 0, "what was for it alone has no gaps");
    assert!(missing_published <= ledger.dropped, "{missing_published} of {} are missing", ledger.dropped);
    let told = peer.close_code();
    if told.is_some() || peer.wire().shut {
        let rest = &ledger.sent[at..];
        assert!(rest.iter().all(|(_, own)| !own), "the close frame comes behind everything");
        assert_eq!(missing_published + rest.len() as u64, ledger.dropped, "dropped exactly");
    }
    if let (Some(code), Ended::ClosedByUs { code: ours, .. }) = (told, ended) {
        assert_eq!(code, ours.as_u16());
    }
    if let Ended::ClosedByUs { code, .. } = ended {
        assert_eq!(Some(code), ledger.closed, "closed for the reason that the app knows");
    }
}

fn run(seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let ledgers = Shared::default();
    let config = if rng.bool() { QUIET } else { QUIET.ping_interval(Some(secs(20))).pong_timeout(secs(15)) };
    let mut world = World::new(app(ledgers.clone(), rng.fork()));
    world.profile = profile(config, [100, 5000, 100_000][rng.usize(..3)]);
    let mut actors: Vec<Actor> = (0..CLIENTS).map(|_| connect(&mut world, &mut rng)).collect();
    let mut number = 0;
    for _ in 0..STEPS {
        step(&mut world, &mut actors, &mut rng, &mut number);
    }
    finish(&mut world, &mut actors);
    world.assert_empty();
    assert_eq!(world.event_loop.next_timeout(), None, "no timer is left");
    let ledgers = ledgers.lock().unwrap();
    for actor in &mut actors {
        actor.client.receive(world.now);
        check(&world, actor, &ledgers.of[&actor.client.peer.id]);
    }
    let counters = *world.event_loop.counters();
    assert_eq!((counters.opened, counters.closed), (actors.len() as u64, actors.len() as u64));
    let sent: usize = ledgers.of.values().map(|ledger| ledger.sent.len()).sum();
    assert_eq!(counters.messages_out, sent as u64);
}

#[test]
fn whatever_happens_every_message_arrives_whole_and_in_order_or_the_connection_is_closed() {
    let only = std::env::var("TAUTLINE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let on_purpose = info.payload().downcast_ref::<&str>() == Some(&"on purpose");
        if !on_purpose {
            hook(info);
        }
    }));
    for seed in only.map_or(0..SEEDS, |seed| seed..seed + 1) {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "seed {seed}: TAUTLINE_SEED={seed} runs it alone");
    }
}
