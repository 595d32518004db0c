//! What compression costs the engine, way by way: the heap of an idle connection that has been used, what a loop needs once, bytes
//! on the wire, and processor time for each message that is received and sent back. The table goes to standard output, progress to
//! standard error.

mod allocator;
mod cases;
mod client;
mod messages;
mod report;
mod server;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use cases::{CASES, Case};
use client::{Client, Tools};
use messages::Messages;
use report::{Measured, Report};
use server::Server;

/// How many connections share the memory that is counted.
const CONNECTIONS: usize = 400;
/// How many of them talk at once when time is counted.
const BUSY: usize = 32;
/// How many messages each connection has received and sent before its memory is counted.
const BEFORE: usize = 3;
/// How many connections there are when it is counted what a loop holds for all of them.
const FIRST: usize = 8;

/// Measures what compression costs, and prints a table
#[derive(Parser)]
struct Args {
    /// How often each way is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of each
    #[arg(long, default_value_t = 2.0)]
    secs: f64,
    /// The file that the table is written to, besides standard output
    #[arg(long)]
    table: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let mut report = Report::default();
    // A B C A B C: what changes with time changes for all of them.
    for round in 1..=args.rounds {
        for (index, case) in CASES.iter().enumerate() {
            let measured = measure(case, Duration::from_secs_f64(args.secs))?;
            eprintln!("round {round}: {}: {measured:?}", case.name);
            report.add(index, measured);
        }
    }
    print!("{report}");
    args.table.map_or(Ok(()), |file| std::fs::write(file, report.to_string()))
}

fn measure(case: &Case, span: Duration) -> io::Result<Measured> {
    let server = Server::start(case.backend)?;
    let mut tools = Tools::default();
    let mut messages = Messages::new(case.kind);
    let mut clients = Vec::with_capacity(FIRST + CONNECTIONS);
    let without_any = server.heap();
    open(&server, case, FIRST, &mut clients, &mut tools, &mut messages)?;
    let with_first = server.heap();
    open(&server, case, CONNECTIONS, &mut clients, &mut tools, &mut messages)?;
    let each = (server.heap() - with_first) / CONNECTIONS as i64;
    let busy = &mut clients[..BUSY];
    // What is sent and received before is for the histories to fill.
    turn(busy, &mut tools, &mut messages)?;
    let wire = |clients: &[Client]| clients.iter().map(Client::received_bytes).sum::<u64>();
    let (wire_before, time_before, start) = (wire(busy), server.processor_time(), Instant::now());
    let mut count = 0;
    while start.elapsed() < span {
        turn(busy, &mut tools, &mut messages)?;
        count += BUSY as u32;
    }
    Ok(Measured {
        connection: each,
        once: with_first - without_any - each * FIRST as i64,
        wire: (wire(busy) - wire_before) as f64 / f64::from(count),
        micros: (server.processor_time() - time_before).as_secs_f64() * 1e6 / f64::from(count),
    })
}

/// Opens so many connections more, each of which is used.
fn open(
    server: &Server,
    case: &Case,
    count: usize,
    clients: &mut Vec<Client>,
    tools: &mut Tools,
    messages: &mut Messages,
) -> io::Result<()> {
    for _ in 0..count {
        let mut client = Client::new(server.connect(case.deflate())?, case);
        for _ in 0..BEFORE {
            client.exchange(tools, &messages.next())?;
        }
        clients.push(client);
    }
    Ok(())
}

/// Each client sends a message, and then each gets its answer.
fn turn(clients: &mut [Client], tools: &mut Tools, messages: &mut Messages) -> io::Result<()> {
    for client in clients.iter_mut() {
        client.send(tools, &messages.next())?;
    }
    clients.iter_mut().try_for_each(|client| client.receive(tools))
}
