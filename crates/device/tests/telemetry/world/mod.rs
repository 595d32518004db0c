//! A device, a hub and the network between them, in virtual time.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test program uses its own part")]

mod air;
#[path = "../../device/world/basis.rs"]
mod basis;
mod hub;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::telemetry::{
    Command, Config, Event, FromHub, Identity, Key, Link, Outcome, Sensor, Status, Type, Value,
};
use tautline_device::{Clock, Instant};

pub use air::{Air, Faults};
pub use basis::{MS, SECOND, Time, Woken, random, select};
pub use hub::Hub;

pub const DEVICE: u32 = 7;
pub const KEY: [u8; 32] = [9; 32];
/// The calendar's time when the world's clock shows zero.
pub const EPOCH: u64 = 1_800_000_000_000;

static SENSORS: [Sensor<'static>; 1] = [Sensor { index: 1, kind: Type::U32, name: "count", unit: "" }];

pub type TestLink<'m> = Link<'m, NoopRawMutex>;

/// The clock, the network and the hub. Cloning gives another hand on the same.
#[derive(Clone)]
pub struct World {
    pub time: Time,
    pub air: Air,
    pub hub: Rc<RefCell<Hub>>,
}

impl World {
    /// A hub that is 5 ms away, by datagrams or a stream.
    pub fn new(stream: bool, seed: u64) -> Self {
        let time = Time::new();
        let air = Air::new(time.now.clone(), seed);
        let mut hub = Hub::new(seed);
        hub.stream = stream;
        Self { time, air, hub: Rc::new(RefCell::new(hub)) }
    }

    pub fn now(&self) -> Instant {
        self.time.now()
    }

    /// Everything that happens within `duration`. Answers what the future gives if it comes to its end.
    pub fn run_for<T>(&self, duration: Duration, future: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Option<T> {
        self.run(self.now() + duration, &mut || false, future)
    }

    /// Everything until `done`.
    ///
    /// # Panics
    /// If that takes more than a day.
    pub fn run_until<T>(
        &self,
        mut done: impl FnMut() -> bool,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let result = self.run(self.now() + 24 * 3600 * SECOND, &mut done, future);
        assert!(result.is_some() || done(), "it does not come to that");
        result
    }

    fn run<T>(
        &self,
        end: Instant,
        done: &mut dyn FnMut() -> bool,
        future: &mut Pin<Box<dyn Future<Output = T> + '_>>,
    ) -> Option<T> {
        let mut turn = || {
            self.air.with(|air| self.hub.borrow_mut().turn(self.now(), air));
            let arrival = self.air.with(|air| air.next_arrival());
            (!done()).then(|| [arrival, self.hub.borrow().poll_timeout()].into_iter().flatten().min())
        };
        self.time.run(end, &mut turn, future)
    }

    /// The values in the store, in their order; twice if they are there twice.
    pub fn stored(&self) -> Vec<u32> {
        let mut values: Vec<u32> = self.hub.borrow().store.values.iter().map(|(value, _)| *value).collect();
        values.sort_unstable();
        values
    }

    /// A link that begins now, over an outbox of 4 KiB.
    pub fn link(&self, seed: u64) -> TestLink<'static> {
        let config = if self.hub.borrow().stream { Config::STREAM } else { Config::DATAGRAM };
        let key = Some(Key::new(&KEY));
        let identity = Identity { device: DEVICE, name: "counter", firmware: "", sensors: &SENSORS, key };
        let outbox = Box::leak(Box::new([0; 4096]));
        Link::new(identity, config, outbox, &self.time, &mut random(seed)).unwrap()
    }
}

/// What a device did, and what it was told.
#[derive(Clone, Default)]
pub struct Diary(Rc<RefCell<Entries>>);

#[derive(Default)]
struct Entries {
    next: u32,
    /// The values of each message that is not acknowledged.
    waiting: BTreeMap<u32, Vec<u32>>,
    acknowledged: Vec<u32>,
    carried_out: Vec<u32>,
    notes: Vec<String>,
}

impl Diary {
    /// Reads the counter. Answers whether there was room.
    pub fn push(&self, world: &World, link: &TestLink<'_>) -> bool {
        let mut entries = self.0.borrow_mut();
        let value = entries.next;
        let Ok(number) = link.push(world.now(), 1, Value::U32(value)) else { return false };
        entries.waiting.entry(number).or_default().push(value);
        entries.next += 1;
        true
    }

    /// A handler that notes everything, and carries commands out.
    pub fn handler<'l, 'm>(&self, link: &'l TestLink<'m>) -> impl FnMut(Event<'_>) + use<'l, 'm> {
        let entries = self.0.clone();
        move |event: Event<'_>| {
            let mut entries = entries.borrow_mut();
            match event {
                Event::Hub(FromHub::Linked(stored) | FromHub::Acknowledged(stored)) => {
                    let (done, open) = std::mem::take(&mut entries.waiting)
                        .into_iter()
                        .partition(|(number, _): &(u32, Vec<u32>)| stored.covers(*number));
                    entries.waiting = open;
                    entries.acknowledged.extend(BTreeMap::into_values(done).flatten());
                }
                Event::Hub(FromHub::Command { number, command }) => {
                    assert_eq!(command, Command::Set { key: "number", value: Some(Value::U32(number)) });
                    assert!(!entries.carried_out.contains(&number), "{number} was carried out twice");
                    entries.carried_out.push(number);
                    let outcome = Outcome { status: Status::Done, value: Some(Value::U32(number)) };
                    assert_eq!(link.answer(number, &outcome), Ok(true));
                }
                _ => {}
            }
            entries.notes.push(words(&event));
        }
    }

    /// The device has restarted: it knows nothing of what it sent and did.
    pub fn restarted(&self) {
        let mut entries = self.0.borrow_mut();
        entries.waiting.clear();
        entries.carried_out.clear();
    }

    pub fn acknowledged(&self) -> Vec<u32> {
        let mut values = self.0.borrow().acknowledged.clone();
        values.sort_unstable();
        values
    }

    /// What was read.
    pub fn read(&self) -> Vec<u32> {
        (0..self.0.borrow().next).collect()
    }

    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().notes)
    }

    /// How many notes begin so.
    pub fn count(&self, start: &str) -> usize {
        self.0.borrow().notes.iter().filter(|note| note.starts_with(start)).count()
    }

    pub fn has(&self, start: &str) -> bool {
        self.count(start) > 0
    }
}

fn words(event: &Event<'_>) -> String {
    match event {
        Event::BeforeConnect { attempt } => format!("before-connect {attempt}"),
        Event::Hub(FromHub::Linked(_)) => "linked".into(),
        Event::Hub(FromHub::Acknowledged(_)) => "acknowledged".into(),
        Event::Hub(event) => format!("{event:?}"),
        Event::Ignored(why) => format!("ignored: {why}"),
        Event::Disconnected { cause, retry_in } => {
            format!("disconnected: {cause}; {}", if retry_in.is_some() { "again" } else { "for good" })
        }
        other => panic!("no words for {other:?}"),
    }
}
