//! Devices that hand in their readings by HTTP or WebSocket, each over a connection of its own that is kept.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::crew::Member;
use super::ledger;
use super::link::{Link, Outcome, Place};
use super::plan::{Clock, Orders, Plan, changed};
use super::schedule::Schedule;
use super::sensors::{Room, SENSORS};
use super::tally::Tally;
use super::tcp::back_off;
use crate::calendar::now_ms;

/// How many times all sensors are read before readings are skipped.
const WAITING: usize = 300;
/// How many of these are posted at once.
const BATCH: usize = 64;
/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Readings of one moment.
pub(super) struct Reading {
    pub(super) at_ms: i64,
    pub(super) values: Map<String, Value>,
}

/// A device, until everything is done and acknowledged, or it is told to stop.
///
/// A request that was sent and not answered is sent again, and the hub may store it again: there is no session that would tell.
pub(super) async fn run(
    place: Place<'_>,
    member: &Member,
    plan: &Plan,
    tally: &Tally,
    clock: Clock,
    orders: watch::Receiver<Orders>,
) {
    let (readings, waiting) = mpsc::channel(WAITING);
    let poster = Poster { place, member, tally, link: None, was_open: false };
    // The device ends with the poster, which ends when there is nothing left to post, or with the orders.
    tokio::join!(read(member, plan, tally, clock, orders.clone(), readings), poster.run(waiting, orders));
}

/// Reads the sensors.
async fn read(
    member: &Member,
    plan: &Plan,
    tally: &Tally,
    clock: Clock,
    mut orders: watch::Receiver<Orders>,
    readings: mpsc::Sender<Reading>,
) {
    let mut room = Room::new(plan.seed_of(member, 1));
    let mut schedule = Schedule::new(clock.now(), plan.interval, plan.count, plan.seed_of(member, 2));
    while !schedule.is_over() {
        tokio::select! {
            () = clock.until(schedule.due()) => {}
            new = changed(&mut orders) => {
                if new.end {
                    schedule.end();
                }
            }
        }
        let name = |sensor: u8| SENSORS.get(usize::from(sensor)).map_or("", |sensor| sensor.name).to_owned();
        let due = schedule.take(clock.now());
        let values: Map<_, _> = due.map(|sensor| (name(sensor), ledger::json(room.read(sensor)))).collect();
        if values.is_empty() {
            continue;
        }
        let count = values.len() as u64;
        match readings.try_send(Reading { at_ms: now_ms(), values }) {
            Ok(()) => tally.sent.add(count),
            Err(_) => tally.skipped.add(count),
        }
    }
    tally.finished.add(1);
}

struct Poster<'a> {
    place: Place<'a>,
    member: &'a Member,
    tally: &'a Tally,
    link: Option<Link>,
    /// Whether there was one before.
    was_open: bool,
}

impl Poster<'_> {
    async fn run(mut self, mut waiting: mpsc::Receiver<Reading>, mut orders: watch::Receiver<Orders>) {
        let mut storms = orders.borrow().storms;
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let new = tokio::select! {
                count = waiting.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    None
                }
                new = changed(&mut orders) => Some(new),
            };
            if let Some(new) = new {
                if new.stop {
                    return;
                }
                if new.storms != storms {
                    self.link = None;
                    storms = new.storms;
                }
                continue;
            }
            tokio::select! {
                () = self.post(&batch) => {}
                () = stopped(orders.clone()) => return,
            }
        }
    }

    /// Posts these until they are stored or refused.
    async fn post(&mut self, batch: &[Reading]) {
        let count = batch.iter().map(|reading| reading.values.len() as u64).sum();
        self.tally.messages.add(1);
        let (start, mut attempts) = (Instant::now(), 0);
        loop {
            match timeout(ANSWER, self.try_post(batch)).await {
                Ok(Some(Outcome::Stored)) => break,
                Ok(Some(Outcome::Refused(why))) => {
                    self.tally.complain(crate::output::harmless(&why).to_string());
                    return self.tally.refused.add(count);
                }
                Ok(Some(Outcome::Later(why))) => self.tally.complain(why),
                Ok(None) | Err(_) => self.link = None,
            }
            tokio::time::sleep(Duration::from_millis(back_off(attempts))).await;
            attempts += 1;
            self.tally.retransmitted.add(1);
        }
        self.tally.acknowledged.add(count);
        self.tally.took(start.elapsed());
        if self.tally.dumps() {
            for Reading { at_ms, values } in batch {
                for (sensor, value) in values {
                    let line = json!({ "device": self.member.name, "sensor": sensor, "at_ms": at_ms, "value": value });
                    self.tally.dump(&line);
                }
            }
        }
    }

    /// The answer; `None` if there is none.
    async fn try_post(&mut self, batch: &[Reading]) -> Option<Outcome> {
        let link = match self.link.take().filter(|link| !link.is_over()) {
            Some(link) => self.link.insert(link),
            None => {
                let opened = Link::open(self.place, &self.member.name).await?;
                if std::mem::replace(&mut self.was_open, true) {
                    self.tally.reconnected.add(1);
                }
                self.link.insert(opened)
            }
        };
        link.hand_in(batch).await
    }
}

async fn stopped(mut orders: watch::Receiver<Orders>) {
    // Without anybody to give orders there is nothing to wait for.
    let _ = orders.wait_for(|orders| orders.stop).await;
}
