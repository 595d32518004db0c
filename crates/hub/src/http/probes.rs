//! Whether the hub lives, whether it can work, and what it has counted: for whoever watches over it, without a password and
//! without secrets.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tautline::{Response, Tally};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::pages::{response, text};
use super::requests::Requests;
use crate::homes::ask;
use crate::metrics::{self, Snapshot};
use crate::site::Site;

pub(super) const LIVE: &str = "/livez";
pub(super) const READY: &str = "/readyz";
pub(super) const METRICS: &str = "/metrics";

/// How long everything together may take to answer.
const LIMIT: Duration = Duration::from_secs(1);

/// What is counted about HTTP, and since when.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    started: SystemTime,
    pub(super) requests: Requests,
    tally: Tally,
}

impl Counts {
    pub(super) fn new(tally: Tally) -> Self {
        Self { started: SystemTime::now(), requests: Requests::default(), tally }
    }
}

/// A question about the hub's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Whether the process serves at all.
    Live,
    /// Whether its parts answer.
    Ready,
    /// What it has counted.
    Metrics,
}

impl Probe {
    /// The question that a path is.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            LIVE => Some(Self::Live),
            READY => Some(Self::Ready),
            METRICS => Some(Self::Metrics),
            _ => None,
        }
    }

    pub(super) async fn answer(self, site: &Site, counts: &Counts) -> Response {
        let deadline = Instant::now() + LIMIT;
        match self {
            Self::Live => text(StatusCode::OK, "ok"),
            Self::Ready => match not_ready(site, deadline).await {
                problems if problems.is_empty() => text(StatusCode::OK, "ok"),
                problems => text(StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n"),
            },
            Self::Metrics => {
                let snapshot = snapshot(site, counts, deadline).await;
                response(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(&snapshot))
            }
        }
    }
}

/// What does not answer.
async fn not_ready(site: &Site, deadline: Instant) -> Vec<String> {
    if site.traffic().is_none() {
        return vec!["the hub shuts down".to_owned()];
    }
    let answers: Vec<_> = site.pulses().iter().map(|pulse| ask(pulse, |_, _| ())).collect();
    let stored = site.store().map(|store| {
        let (reply, answer) = oneshot::channel();
        // It waits for everything before it, and is dropped if it is refused.
        let _ = store.submit(Vec::new(), move |result| drop(reply.send(result)));
        answer
    });
    let mut problems = Vec::new();
    if let Some(task) = site.ingest_failed() {
        problems.push(format!("sensor data over UDP and TCP: the task `{task}` has failed, which is a bug"));
    }
    for (index, answer) in answers.into_iter().enumerate() {
        if !matches!(timeout_at(deadline, answer).await, Ok(Ok(()))) {
            problems.push(format!("event loop {index} does not answer"));
        }
    }
    if let Some(answer) = stored {
        match timeout_at(deadline, answer).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => problems.push(format!("the store does not take anything: {error}")),
            Ok(Err(_)) => problems.push("the store does not take anything: too much waits".to_owned()),
            Err(_) => problems.push("the store does not get done with what waits".to_owned()),
        }
    }
    problems
}

async fn snapshot(site: &Site, counts: &Counts, deadline: Instant) -> Snapshot {
    let (connections, loops) = site.traffic().unwrap_or_default();
    let ends = site.watch().ends();
    let store = site.store().map(tautline_store::Store::counters);
    Snapshot {
        started: counts.started,
        connections,
        loops,
        ends,
        requests: counts.requests.counts(),
        refused: counts.tally.refused().into(),
        rooms: rooms(site, deadline).await,
        store,
        ingest: site.ingested(),
    }
}

/// How many rooms and members there are, if all loops answer.
async fn rooms(site: &Site, deadline: Instant) -> Option<(usize, usize)> {
    let answers: Vec<_> = site.rooms()?.iter().map(|host| ask(host, |rooms, _| rooms.count())).collect();
    let mut sum = (0, 0);
    for answer in answers {
        let (rooms, members) = timeout_at(deadline, answer).await.ok()?.ok()?;
        sum = (sum.0 + rooms, sum.1 + members);
    }
    Some(sum)
}
