//! Devices that post their readings by HTTP, each over a connection of its own that is kept.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::crew::Member;
use super::ledger::json;
use super::plan::{Clock, Orders, Plan, changed};
use super::schedule::Schedule;
use super::sensors::{Room, SENSORS};
use super::tally::Tally;
use super::tcp::back_off;

/// How many times all sensors are read before readings are skipped.
const WAITING: usize = 300;
/// How many of these are posted at once.
const BATCH: usize = 64;
/// How long a request may take.
const ANSWER: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;

type Connection = SendRequest<Full<Bytes>>;

/// Readings of one moment.
struct Reading {
    at_ms: u64,
    values: Map<String, Value>,
}

/// A device, until everything is done and acknowledged, or it is told to stop.
///
/// A request that was sent and not answered is sent again, and the hub may store it again: HTTP has no session that would tell.
pub(super) async fn run(
    hub: SocketAddr,
    host: &str,
    member: &Member,
    plan: &Plan,
    tally: &Tally,
    clock: Clock,
    orders: watch::Receiver<Orders>,
) {
    let (readings, waiting) = mpsc::channel(WAITING);
    let poster = Poster { hub, host, member, tally, connection: None, was_open: false };
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
        let values: Map<_, _> = due.map(|sensor| (name(sensor), json(room.read(sensor)))).collect();
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
    hub: SocketAddr,
    host: &'a str,
    member: &'a Member,
    tally: &'a Tally,
    connection: Option<Connection>,
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
                    self.connection = None;
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
        let body = batch.iter().map(|Reading { at_ms, values }| json!({ "at_ms": at_ms, "readings": values }));
        let body = Bytes::from(body.collect::<Value>().to_string());
        self.tally.messages.add(1);
        let (start, mut attempts) = (Instant::now(), 0);
        loop {
            match timeout(ANSWER, self.try_post(body.clone())).await {
                Ok(Some((status, _))) if status.is_success() => break,
                Ok(Some((status, text))) if !is_passing(status) => {
                    self.tally.complain(format!("{status}: {}", crate::output::harmless(&text)));
                    return self.tally.refused.add(count);
                }
                Ok(Some((status, _))) => self.tally.complain(status.to_string()),
                Ok(None) | Err(_) => self.connection = None,
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
    async fn try_post(&mut self, body: Bytes) -> Option<(StatusCode, String)> {
        let connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => self.connection.insert(connection),
            None => {
                let opened = open(self.hub).await?;
                if std::mem::replace(&mut self.was_open, true) {
                    self.tally.reconnected.add(1);
                }
                self.connection.insert(opened)
            }
        };
        connection.ready().await.ok()?;
        let device = utf8_percent_encode(&self.member.name, NON_ALPHANUMERIC);
        let request = Request::post(format!("/api/devices/{device}/readings"))
            .header(header::HOST, self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .ok()?;
        let answer = connection.send_request(request).await.ok()?;
        let status = answer.status();
        let text = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await.ok()?.to_bytes();
        Some((status, explanation(&text)))
    }
}

async fn open(hub: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(hub).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (connection, driver) = handshake(TokioIo::new(stream)).await.ok()?;
    // It ends when the connection does.
    tokio::spawn(driver);
    Some(connection)
}

async fn stopped(mut orders: watch::Receiver<Orders>) {
    // Without anybody to give orders there is nothing to wait for.
    let _ = orders.wait_for(|orders| orders.stop).await;
}

/// Whether the same request may be taken later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// What a problem (RFC 9457) says, in one line.
fn explanation(body: &[u8]) -> String {
    let detail = serde_json::from_slice::<Value>(body).ok().and_then(|body| Some(body["detail"].as_str()?.to_owned()));
    detail.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
