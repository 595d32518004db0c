//! `tautline simulate`: a fleet of devices that send sensor data.

mod arguments;
mod crew;
mod fleet;
mod ledger;
mod link;
mod plan;
mod poster;
mod schedule;
mod sensors;
mod station;
mod tally;
mod tcp;
mod tls;
mod udp;
mod wire;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::listen;
use crate::output::{complain, say};
use crate::shutdown::Shutdown;

pub(crate) use arguments::Args;

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let members = args.crew()?;
    let devices = members.len();
    let target = args.target().await?;
    let file =
        |error| Failure::new(format!("cannot write what was acknowledged: {error}: choose another file with --dump"));
    let tally = tally::Tally::new(args.dump.as_deref()).map_err(file)?;
    listen::raise_file_limit();
    let shutdown = Shutdown::on_signal().map_err(|error| Failure::new(format!("cannot handle signals: {error}")))?;
    let fleet = fleet::Fleet { members, plan: args.plan(), target, limits: args.limits(), tally };
    let fleet = std::sync::Arc::new(fleet);
    let time = fleet::run(&fleet, shutdown).await?;
    let tally = &fleet.tally;
    tally.finish_dump().map_err(file)?;
    if args.json {
        say(tally.to_json(args.transport.name(), devices, time));
    } else {
        say(tally);
    }
    match (tally.lost(), tally.skipped.now()) {
        (0, skipped) => {
            if skipped > 0 {
                complain(format_args!(
                    "{skipped} readings were skipped: the hub was not there, or slower than the fleet"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        (lost, _) => {
            let why = match tally.complaint() {
                Some(complaint) => format!("the hub says: {complaint}"),
                None if tally.acknowledged.now() > 0 => "the hub was away, or slow: --drain waits longer".to_owned(),
                None => format!("is there a hub at {}?", fleet.target),
            };
            Err(Failure::new(format!("{lost} of {} readings were never acknowledged: {why}", tally.sent.now())))
        }
    }
}
