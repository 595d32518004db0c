//! The desk against devices over a bad network, in virtual time; and against those who are no devices.

mod forgetting;
mod greeting;
mod tasks;

use std::collections::BTreeMap;
use std::sync::mpsc;

use tautline_store::{DeviceKey, Secret, Settings, Store, Value as Stored};
use tautline_telemetry::device::{Config, Event, Identity, Session as Device};
use tautline_telemetry::{
    Address, Body, Hello, Key, MAX_MESSAGE, Message, Readings, Record, Sensor, Time, Type, Value, messages,
};

use super::clock::Now;
use super::commands::News;
use super::desk::{Desk, Peer, Reply, Sender};
use crate::telemetry::Telemetry;
use crate::watch::Watch;

/// When it begins, in milliseconds since 1970.
const START: u64 = 1_790_000_000_000;

const SENSORS: [Sensor<'static>; 2] = [
    Sensor { index: 0, kind: Type::U32, name: "count", unit: "" },
    Sensor { index: 9, kind: Type::F32, name: "temperature", unit: "Cel" },
];

const KEY: [u8; 32] = [7; 32];

fn peer(number: u32) -> Peer {
    Peer::Udp(0, ([127, 0, 0, 1], number as u16).into())
}

fn sender(number: u32) -> Sender<'static> {
    Sender { peer: peer(number), may_be_keyless: true, certified: None }
}

fn device(number: u32, key: Option<Key>, random: &mut fastrand::Rng) -> Device<'static, Vec<u8>> {
    let names = ["lamp", "door", "kitchen"];
    let identity = Identity { device: number, name: names[number as usize - 1], firmware: "", sensors: &SENSORS, key };
    Device::new(0, identity, Config::DATAGRAM, random.u64(1..), random.u64(..), vec![0; 20_000]).unwrap()
}

/// To whom (the hub, or a device), of which device, and the bytes.
type Posted = (Option<u32>, u32, Vec<u8>);

/// So many milliseconds after the start.
fn at(ms: u64) -> Now {
    Now { calendar_ms: START + ms, ms }
}

struct World {
    random: fastrand::Rng,
    /// Milliseconds since the start.
    now: u64,
    store: Store,
    telemetry: Telemetry,
    desk: Desk,
    /// On their way: by when they arrive, and a number.
    network: BTreeMap<(u64, u64), Posted>,
    sent: u64,
    /// When the commit that is under way ends, and whether it works.
    commit: Option<(u64, bool)>,
    bad: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let store = Store::in_memory(Settings::new()).unwrap();
        let telemetry = Telemetry::new(Some(store.clone()), Watch::default(), Vec::new());
        let desk = Desk::new(telemetry.clone(), &[1; 32], &[]);
        let random = fastrand::Rng::with_seed(seed);
        let network = BTreeMap::new();
        let mut world = Self { random, now: 0, store, telemetry, desk, network, sent: 0, commit: None, bad: true };
        world.set_keys();
        world
    }

    /// The first device has a key.
    fn set_keys(&mut self) {
        let key = DeviceKey {
            number: 1,
            name: "lamp".into(),
            key: Secret(KEY),
            previous: None,
            created_ms: 0,
            revoked_ms: None,
        };
        self.desk.set_keys(vec![key]);
    }

    /// What was not committed is lost, and so is all that is only in memory.
    fn restart(&mut self) {
        let (store, random) = (self.store.clone(), self.random.u8(..));
        let (sensors, sessions) = store.read(|reader| Ok((reader.sensors()?, reader.device_sessions()?))).unwrap();
        self.telemetry = Telemetry::new(Some(store), Watch::default(), sensors);
        self.desk = Desk::new(self.telemetry.clone(), &[random; 32], &sessions);
        self.set_keys();
        self.commit = None;
    }

    /// To the hub from a device, or the other way round.
    fn post(&mut self, to: Option<u32>, device: u32, bytes: &[u8]) {
        let copies = match self.random.u8(..100) {
            _ if !self.bad => 1,
            0..20 => 0,
            20..30 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let latency = if self.bad { self.random.u64(1..400) } else { 5 };
            self.sent += 1;
            self.network.insert((self.now + latency, self.sent), (to, device, bytes.to_vec()));
        }
    }

    fn post_replies(&mut self, replies: Vec<Reply>) {
        for Reply { to, bytes } in replies {
            let Peer::Udp(_, address) = to else { panic!() };
            self.post(Some(address.port().into()), address.port().into(), &bytes);
        }
    }

    fn step(&mut self, devices: &mut BTreeMap<u32, Device<'static, Vec<u8>>>) {
        self.now += 10;
        while let Some(entry) = self.network.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, device, bytes) = entry.remove();
            match to {
                None => {
                    let mut replies = Vec::new();
                    for message in messages(&bytes) {
                        let _ = self.desk.receive(at(self.now), sender(device), &message.unwrap(), &mut replies);
                    }
                    for reply in &replies {
                        assert!(reply.bytes.len() <= bytes.len(), "no amplification");
                    }
                    self.post_replies(replies);
                }
                Some(number) => {
                    let (message, _) = Message::parse(&bytes).unwrap();
                    let heard = devices.get_mut(&number).unwrap().receive(self.now, &message);
                    assert!(!matches!(heard, Ok(Some(Event::Refused { .. } | Event::Ended))), "{heard:?}");
                }
            }
        }
        for number in 1..=3 {
            let mut out = [0; MAX_MESSAGE];
            while let Some(length) = devices.get_mut(&number).unwrap().poll_transmit(self.now, &mut out) {
                self.post(None, number, &out[..length]);
            }
        }
        self.commit();
    }

    fn commit(&mut self) {
        if let Some((at, works)) = self.commit {
            if at > self.now {
                return;
            }
            let mut replies = Vec::new();
            self.desk.committed(works, &mut replies);
            self.commit = None;
            self.post_replies(replies);
        }
        let Some((readings, writes)) = self.desk.next_batch(at(self.now)) else { return };
        let works = !self.bad || self.random.u8(..10) > 0;
        if works {
            let (told, stored) = mpsc::channel();
            self.telemetry.submit(readings, writes, move |result| told.send(result).unwrap()).unwrap();
            stored.recv().unwrap().unwrap();
        }
        self.commit = Some((self.now + self.random.u64(1..100), works));
    }

    /// The counts that the store has of a device, in order.
    fn stored(&self, name: &str) -> Vec<i64> {
        let known = self.telemetry.sensors_of(name).into_iter().find(|known| &*known.sensor.name == "count");
        let Some(known) = known else { return Vec::new() };
        let of = tautline_store::Readings { sensor: known.sensor.id, from_ms: 0, to_ms: i64::MAX };
        let readings = self.store.read(|reader| reader.readings(&of, None, usize::MAX)).unwrap();
        let count = |reading: tautline_store::PastReading| match reading.value {
            Stored::Integer(count) => count,
            other => panic!("{other:?}"),
        };
        let mut counts: Vec<i64> = readings.into_iter().map(count).collect();
        counts.sort_unstable();
        counts
    }
}

#[test]
fn every_reading_is_stored_once_whatever_the_network_and_the_hub_do() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        let mut random = fastrand::Rng::with_seed(seed + 1000);
        let key = |number: u32| (number == 1).then(|| Key::new(&KEY));
        let mut devices: BTreeMap<_, _> =
            (1..=3).map(|number| (number, device(number, key(number), &mut random))).collect();
        let mut pushed = [0; 4];
        for _ in 0..1000 {
            for (number, device) in &mut devices {
                let count = &mut pushed[*number as usize];
                if random.u8(..4) == 0 && device.push(world.now, 0, Value::U32(*count)).is_ok() {
                    *count += 1;
                }
            }
            if random.u16(..200) == 0 {
                world.restart();
            }
            world.step(&mut devices);
        }
        world.bad = false;
        // What was lost often is sent again within a minute.
        while devices.values().any(|device| device.outstanding() > 0) {
            world.step(&mut devices);
            assert!(world.now < 180_000, "seed {seed}");
        }
        for (number, name) in [(1, "lamp"), (2, "door"), (3, "kitchen")] {
            let count = i64::from(pushed[number as usize]);
            assert!(count > 100, "seed {seed} tests little: {count}");
            assert_eq!(world.stored(name), (0..count).collect::<Vec<_>>(), "seed {seed}, {name}");
        }
    }
}

/// Hands a message to the desk; answers whether its sender is who it says, and the answers.
fn hand(world: &mut World, from: Sender<'_>, bytes: &[u8]) -> (bool, Vec<Vec<u8>>) {
    let mut replies = Vec::new();
    let (message, _) = Message::parse(bytes).unwrap();
    let authentic = world.desk.receive(at(0), from, &message, &mut replies).is_ok();
    (authentic, replies.into_iter().map(|reply| reply.bytes).collect())
}

fn transmit(device: &mut Device<'_, Vec<u8>>, now: u64) -> Vec<u8> {
    let mut out = [0; MAX_MESSAGE];
    let length = device.poll_transmit(now, &mut out).unwrap();
    out[..length].to_vec()
}

/// A device that is linked and has one reading to send.
fn linked(world: &mut World, number: u32, key: Option<Key>) -> Device<'static, Vec<u8>> {
    let mut device = device(number, key, &mut fastrand::Rng::with_seed(number.into()));
    let hello = transmit(&mut device, 0);
    let (authentic, replies) = hand(world, sender(number), &hello);
    assert!(authentic);
    device.receive(1, &Message::parse(&replies[0]).unwrap().0).unwrap();
    assert!(device.is_linked());
    device.push(1, 0, Value::U32(0)).unwrap();
    device
}

#[test]
fn forged_and_changed_messages_change_nothing_and_are_counted() {
    let mut world = World::new(1);
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let good = transmit(&mut lamp, 1000);
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 0x10;
        if let Ok((message, _)) = Message::parse(&bad) {
            let mut replies = Vec::new();
            let authentic = world.desk.receive(at(0), sender(1), &message, &mut replies).is_ok();
            assert!(!authentic || message.header().address.device != 1, "byte {byte}");
            assert!(replies.iter().all(|reply| reply.bytes.len() <= bad.len()));
        }
    }
    let mut other = device(1, Some(Key::new(&[8; 32])), &mut fastrand::Rng::with_seed(3));
    let hello = transmit(&mut other, 0);
    assert!(!hand(&mut world, sender(1), &hello).0, "another key");
    let mut keyless = device(1, None, &mut fastrand::Rng::with_seed(3));
    let hello = transmit(&mut keyless, 0);
    assert!(!hand(&mut world, sender(1), &hello).0, "no key although there is one");
    assert!(world.desk.next_batch(at(0)).is_none(), "nothing is to be stored");
    let refused: u64 = world.desk.counters.refusals().map(|(_, count)| count).sum();
    assert!(refused > 50, "{refused}");
    assert!(hand(&mut world, sender(1), &good).0);
    assert_eq!(world.desk.next_batch(at(0)).unwrap().0.len(), 1);
}

#[test]
fn who_is_elsewhere_needs_a_key() {
    let mut world = World::new(1);
    let mut door = device(2, None, &mut fastrand::Rng::with_seed(3));
    let hello = transmit(&mut door, 0);
    let elsewhere = Sender { may_be_keyless: false, ..sender(2) };
    assert!(!hand(&mut world, elsewhere, &hello).0);
    assert!(hand(&mut world, sender(2), &hello).0);
}

#[test]
fn what_was_recorded_before_a_restart_is_worthless_after_it() {
    let mut world = World::new(1);
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let recorded = transmit(&mut lamp, 1000);
    world.restart();
    assert!(hand(&mut world, sender(1), &recorded).0);
    assert!(world.desk.next_batch(at(0)).is_none());
}

#[test]
fn a_copy_from_elsewhere_does_not_turn_answers_away() {
    let mut world = World::new(1);
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let readings = transmit(&mut lamp, 1000);
    hand(&mut world, sender(1), &readings);
    hand(&mut world, sender(999), &readings);
    world.desk.next_batch(at(0)).unwrap();
    let mut replies = Vec::new();
    world.desk.committed(true, &mut replies);
    assert_eq!(replies.iter().map(|reply| reply.to).collect::<Vec<_>>(), [peer(1)]);
}

#[test]
fn a_revoked_key_and_one_that_was_replaced_are_not_good_any_longer() {
    let mut world = World::new(1);
    let (old, new) = (Secret([1; 32]), Secret([2; 32]));
    let kept = |revoked_ms| DeviceKey {
        number: 1,
        name: "lamp".into(),
        key: new,
        previous: Some(old),
        created_ms: 0,
        revoked_ms,
    };
    world.desk.set_keys(vec![kept(None)]);
    let says_hello = |world: &mut World, key: Secret, seed| {
        let mut device = device(1, Some(Key::new(&key.0)), &mut fastrand::Rng::with_seed(seed));
        let hello = transmit(&mut device, 0);
        hand(world, sender(1), &hello).0
    };
    assert!(says_hello(&mut world, old, 1), "it does not know the new one yet");
    assert!(says_hello(&mut world, new, 2));
    assert!(!says_hello(&mut world, old, 3), "now it does");
    world.desk.set_keys(vec![kept(None)]);
    assert!(!says_hello(&mut world, old, 4), "reading the keys again changes nothing");
    world.desk.set_keys(vec![kept(Some(5))]);
    assert!(!says_hello(&mut world, new, 5));
}

#[test]
fn a_name_is_of_one_device() {
    let mut world = World::new(1);
    linked(&mut world, 2, None);
    let identity = |device, name| Identity { device, name, firmware: "", sensors: &SENSORS, key: None };
    for (number, name, code) in [(4, "door", 7), (5, "lamp", 7), (6, "a\nb", 1)] {
        let mut other = Device::new(0, identity(number, name), Config::DATAGRAM, 1, 1, vec![0; 100]).unwrap();
        let hello = transmit(&mut other, 0);
        let (_, replies) = hand(&mut world, sender(number), &hello);
        // The code stands behind the header and the kind.
        assert_eq!(replies[0][33], code, "{name:?}");
    }
}

#[test]
fn a_hub_with_too_much_to_do_says_so_and_takes_it_later() {
    let mut world = World::new(1);
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let readings = transmit(&mut lamp, 1000);
    world.desk.fill();
    let (_, replies) = hand(&mut world, sender(1), &readings);
    assert_eq!(replies[0][3], 0x85, "busy");
    world.desk.next_batch(at(0)).unwrap();
    let mut replies = Vec::new();
    world.desk.committed(false, &mut replies);
    hand(&mut world, sender(1), &readings);
    assert_eq!(world.desk.next_batch(at(0)).unwrap().0.len(), 1);
}

#[test]
fn numbers_of_32_bits_are_stored_as_they_were_meant() {
    for (given, meant) in [
        (21.3, 21.3),
        (-0.1, -0.1),
        (1013.25, 1013.25),
        (3.0, 3.0),
        (1e-9, f64::from(1e-9_f32)),
        (1e30, f64::from(1e30_f32)),
    ] {
        assert_eq!(super::values::value(&Value::F32(given)), crate::senml::Value::Real(meant));
    }
}

#[test]
fn a_revoked_device_is_sent_away_and_a_used_key_is_told() {
    let mut world = World::new(1);
    let key = Key::new(&KEY);
    let mut lamp = linked(&mut world, 1, Some(key.clone()));
    let readings = transmit(&mut lamp, 1000);
    hand(&mut world, sender(1), &readings);
    assert!(matches!(&std::mem::take(&mut world.desk.news)[..], [News::Came { device: 1, proven: true, .. }]));
    let kept = |previous, revoked_ms| {
        let (number, name) = (1, "lamp".into());
        DeviceKey { number, name, key: Secret(KEY), previous, created_ms: 0, revoked_ms }
    };
    world.desk.set_keys(vec![kept(Some(Secret([1; 32])), None)]);
    hand(&mut world, sender(1), &readings);
    let used = [News::KeyUsed { device: 1, key: Secret(KEY) }];
    assert_eq!(std::mem::take(&mut world.desk.news), used);
    // It could not be stored.
    world.desk.set_keys(vec![kept(Some(Secret([2; 32])), None)]);
    assert_eq!(std::mem::take(&mut world.desk.news), used);
    world.desk.set_keys(vec![kept(None, Some(5))]);
    assert!(matches!(&std::mem::take(&mut world.desk.news)[..], [News::Left { device: 1, .. }]));
    world.desk.set_keys(vec![kept(None, None)]);
    let (_, replies) = hand(&mut world, sender(1), &readings);
    assert_eq!((replies[0][3], replies[0][33]), (0x86, 2), "no link: it has to say hello");
}

#[test]
fn a_copy_of_a_hello_changes_nothing() {
    let mut world = World::new(1);
    let sensors = |unit| [Sensor { index: 0, kind: Type::U32, name: "count", unit }];
    let (old, new) = (sensors("K"), sensors("Cel"));
    let hello = |sensors, sequence| {
        let hello = Hello { last_command: 0, name: "door", firmware: "", sensors };
        let mut bytes = [0; MAX_MESSAGE];
        let address = Address { device: 2, session: 5, link: 0 };
        let length = Body::Hello(hello).encode(address, sequence, None, &mut bytes).unwrap();
        bytes[..length].to_vec()
    };
    let (_, welcome) = hand(&mut world, sender(2), &hello((&new[..]).into(), 2));
    let link = Message::parse(&welcome[0]).unwrap().0.header().address.link;
    hand(&mut world, sender(2), &hello((&old[..]).into(), 1));
    let record = [Record { offset: 0, sensor: 0, value: Value::U32(1) }];
    let readings = Readings { time: Time::Age(0), records: (&record[..]).into() };
    let mut bytes = [0; MAX_MESSAGE];
    let address = Address { device: 2, session: 5, link };
    let length = Body::Readings(readings).encode(address, 1, None, &mut bytes).unwrap();
    hand(&mut world, sender(2), &bytes[..length]);
    assert_eq!(&*world.telemetry.sensors_of("door")[0].sensor.unit, "Cel");
    let other = [Sensor { index: 0, kind: Type::U32, name: "count", unit: "F" }];
    let mut again = hello((&other[..]).into(), 1);
    // Of another session, which says nothing more.
    again[23] = 6;
    hand(&mut world, sender(2), &again);
    assert_eq!(&*world.telemetry.sensors_of("door")[0].sensor.unit, "Cel");
}
