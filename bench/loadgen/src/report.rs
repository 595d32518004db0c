//! What is measured besides the replies, and the object that a run prints.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::args::{Span, Target};
use crate::proc::{self, CpuTime};

/// The times at which measuring begins and ends.
pub(crate) struct Window {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    pub(crate) fn from_now(span: &Span) -> Self {
        let begin = Instant::now() + Duration::from_secs_f64(span.warmup);
        Self { begin, end: begin + Duration::from_secs_f64(span.secs) }
    }
}

/// CPU time from [`begin`](Self::begin) on, of this process, the server and whoever else uses their cores.
pub(crate) struct Usage<'a> {
    target: &'a Target,
    at: Instant,
    own: CpuTime,
    server: CpuTime,
    busy: f64,
}

impl<'a> Usage<'a> {
    pub(crate) fn begin(target: &'a Target) -> Self {
        Self {
            target,
            at: Instant::now(),
            own: own_time(),
            server: server_time(target),
            busy: proc::busy(&target.cores),
        }
    }

    /// The report of a run in which `ops` things were done since the beginning.
    pub(crate) fn report(self, mode: &str, ops: u64) -> Report {
        let secs = self.at.elapsed().as_secs_f64();
        let own = own_time() - self.own;
        let server = server_time(self.target) - self.server;
        let busy = proc::busy(&self.target.cores) - self.busy;
        let mut report = Report(Map::new());
        report.set("mode", mode);
        report.set("secs", rounded(secs, 3));
        report.set("ops", ops);
        report.set("ops_per_s", rounded(ops as f64 / secs, 1));
        report.set("client_cpu", rounded(own.total / secs, 3));
        if let Some(pid) = self.target.pid {
            let per_op = |seconds: f64| rounded(seconds * 1e6 / ops.max(1) as f64, 4);
            report.set("server_cpu", rounded(server.total / secs, 3));
            report.set("server_us_per_op", per_op(server.total));
            report.set("server_user_us_per_op", per_op(server.user()));
            report.set("server_system_us_per_op", per_op(server.system()));
            report.set("server_rss", proc::resident(pid));
        }
        if !self.target.cores.is_empty() {
            report.set("foreign_cpu", rounded((busy - own.total - server.total) / secs, 3));
        }
        report
    }
}

/// One JSON object.
pub(crate) struct Report(Map<String, Value>);

impl Report {
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    pub(crate) fn set_all<const N: usize>(&mut self, values: [(&str, Value); N]) {
        values.into_iter().for_each(|(name, value)| self.set(name, value));
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

fn own_time() -> CpuTime {
    CpuTime::of(std::process::id())
}

fn server_time(target: &Target) -> CpuTime {
    target.pid.map(CpuTime::of).unwrap_or_default()
}

/// Digits that mean nothing only make the results longer.
fn rounded(value: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((value * scale).round() / scale)
}
