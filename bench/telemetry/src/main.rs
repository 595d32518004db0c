//! Durable readings per second over UDP and TCP, beside what the machine does without a hub: datagrams per second through
//! recvmmsg, and rows per second into the same table. And what a reading costs with ten devices and with ten thousand. The
//! table goes to standard output, progress to standard error.

mod ceilings;
mod fleet;
mod hub;
mod report;
mod wires;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use fleet::Fleet;
use hub::Hub;
use report::Report;
use wires::Transport;

/// How many devices send as fast as they can.
const DEVICES: usize = 50;
/// The numbers of devices whose readings are to cost the same.
const FLEETS: [usize; 4] = [10, 100, 1_000, 10_000];
/// Messages per second of all of them together, with six readings each.
const RATE: f64 = 2_000.0;
/// Time for queues to fill.
const WARM_UP: Duration = Duration::from_millis(500);

/// Measures what the hub does with sensor data, and prints a table
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    mode: Option<Mode>,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of each
    #[arg(long, default_value_t = 5.0)]
    secs: f64,
    /// Where databases are made: on the disk that is meant
    #[arg(long, default_value = ".")]
    disk: PathBuf,
    /// The file that the table is written to, besides standard output
    #[arg(long)]
    table: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Mode {
    /// What this program starts: a hub that keeps everything in this folder
    Hub { folder: PathBuf },
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    if let Some(Mode::Hub { folder }) = args.mode {
        return hub::serve(&folder);
    }
    let span = Duration::from_secs_f64(args.secs);
    let mut report = Report::default();
    // A B C A B C: what changes with time changes for all of them.
    for round in 1..=args.rounds {
        let (udp, shape) = durable(&args, Transport::Udp, span)?;
        let (tcp, _) = durable(&args, Transport::Tcp, span)?;
        let raw = ceilings::datagrams(shape.bytes, span)? * shape.readings;
        let sqlite = ceilings::rows(&folder(&args)?, span)?;
        eprintln!(
            "round {round}: UDP {udp:.0}, TCP {tcp:.0}, recvmmsg {raw:.0}, SQLite {sqlite:.0} readings per second"
        );
        report.add_rates([udp, tcp, raw, sqlite]);
        let mut costs = [0.0; FLEETS.len()];
        for (cost, devices) in costs.iter_mut().zip(FLEETS) {
            *cost = cost_of(&args, devices, span)?;
            eprintln!("round {round}: {devices} devices: {cost:.2} us of the hub's processor time for each reading");
        }
        report.add_costs(costs);
    }
    print!("{report}");
    args.table.map_or(Ok(()), |file| std::fs::write(file, report.to_string()))
}

/// Readings per second that are in the database, and the datagrams that brought them.
fn durable(args: &Args, transport: Transport, span: Duration) -> io::Result<(f64, fleet::Shape)> {
    let hub = Hub::start(folder(args)?)?;
    let mut fleet = Fleet::new(transport, hub.port, DEVICES)?;
    fleet.send_as_fast_as_possible(WARM_UP)?;
    let before = hub.stored()?;
    let took = fleet.send_as_fast_as_possible(span)?;
    Ok(((hub.stored()? - before) / took.as_secs_f64(), fleet.shape()))
}

/// Microseconds of the hub's processor time for each reading of so many devices.
fn cost_of(args: &Args, devices: usize, span: Duration) -> io::Result<f64> {
    let hub = Hub::start(folder(args)?)?;
    let mut fleet = Fleet::new(Transport::Udp, hub.port, devices)?;
    fleet.send_at(RATE, WARM_UP)?;
    let (stored, time) = (hub.stored()?, hub.processor_time()?);
    fleet.send_at(RATE, span)?;
    let readings = hub.stored()? - stored;
    Ok((hub.processor_time()? - time).as_secs_f64() * 1e6 / readings)
}

/// A folder on the disk, which is removed with what is in it.
fn folder(args: &Args) -> io::Result<hub::Folder> {
    hub::Folder::new(&args.disk)
}
