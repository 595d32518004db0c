//! The server's memory per idle connection.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::args::Idle;
use crate::failure::{Failure, Result};
use crate::net::{Connection, raise_file_limit};
use crate::opening::open_all;
use crate::proc;
use crate::report::Usage;
use crate::tls;

/// Connections that come and go first: the code that they make the server load is no memory of a connection's.
const FIRST: usize = 16;
/// Time for the server to finish what a change of connections sets off.
const SETTLE: Duration = Duration::from_millis(500);

pub(crate) fn run(options: &Idle) -> Result<Value> {
    let pid = options.target.pid.ok_or_else(|| Failure::new("idle needs --pid"))?;
    drop(open(options, FIRST)?);
    sleep(SETTLE);
    let before = proc::resident(pid);
    let connections = open(options, options.conns)?;
    sleep(SETTLE);
    let after = proc::resident(pid);
    let usage = Usage::begin(&options.target);
    sleep(Duration::from_secs_f64(options.secs));
    let mut report = usage.report("idle", 0);
    // Keep them until here.
    drop(connections);
    report.set("conns", options.conns);
    report.set("rss_before", before);
    report.set("rss_after", after);
    report.set("bytes_per_conn", (after.saturating_sub(before) as f64 / options.conns as f64).round());
    Ok(report.into_json())
}

fn open(options: &Idle, count: usize) -> Result<Vec<Connection>> {
    let port = options.target.port;
    let Some(dir) = &options.tls else {
        return open_all(count, port, (!options.raw).then_some("/"));
    };
    raise_file_limit();
    let config = tls::client(dir, options.client_cert)?;
    (0..count).map(|index| tls::open(Connection::open(index, port)?, port, &config)).collect()
}
