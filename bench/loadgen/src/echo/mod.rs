//! Echo: each connection sends numbered messages and gets each of them back.

mod client;
mod closed;
mod open;

use serde_json::Value;

use crate::args::Echo;
use crate::failure::{Failure, Result};
use crate::frame::{BINARY, Messages, TEXT};
use crate::net::Poll;
use crate::opening::open_all;

use client::Client;

/// How many bytes are read at a time.
const READ: usize = 256 * 1024;

pub(crate) fn run(options: &Echo) -> Result<Value> {
    if options.conns == 0 {
        return Err(Failure::new("--conns must be at least 1"));
    }
    let port = options.target.port;
    let path = (!options.raw).then_some(options.path.as_str());
    let messages = Messages::new(options.size, if options.text { TEXT } else { BINARY }, options.raw);
    // They stay open, and nothing happens on them.
    let _neighbours = open_all(options.neighbours, port, path)?;
    let mut clients: Vec<Client> = open_all(options.conns, port, path)?.into_iter().map(Client::new).collect();
    let poll = Poll::new()?;
    for (token, client) in clients.iter().enumerate() {
        poll.add(&client.connection, token)?;
    }
    let mut report = match options.rate {
        None => closed::run(options, &messages, &mut clients, poll)?,
        Some(rate) => open::run(options, rate, &messages, &mut clients, poll)?,
    };
    report.set("conns", options.conns);
    report.set("size", options.size);
    report.set("neighbours", options.neighbours);
    Ok(report.into_json())
}
