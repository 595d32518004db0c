//! All devices together, from their start to their end.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::arguments::Transport;
use super::crew::Member;
use super::link::{Place, Way};
use super::plan::{Clock, Orders, Plan};
use super::tally::Tally;
use super::tls::Tls;
use super::{poster, tcp, udp};
use crate::failure::Failure;
use crate::output::complain;
use crate::shutdown::Shutdown;

/// How many devices share a UDP socket. Its buffer holds some hundred acknowledgements.
const SHARING: usize = 256;
/// How many UDP sockets there are at the most.
const SOCKETS: usize = 16;
/// How often the terminal shows how far it is.
const SHOWN: Duration = Duration::from_millis(250);

/// Who does what, where, and for how long.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) members: Vec<Member>,
    pub(super) plan: Plan,
    pub(super) target: Target,
    pub(super) limits: Limits,
    pub(super) tally: Tally,
}

/// Where the hub is. It shows as `udp://127.0.0.1:65433`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    /// As the user has named it, with a port.
    pub(super) host: String,
    /// If it is spoken to with TLS.
    pub(super) tls: Option<Tls>,
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Sensors are read for so long; `None`: until all of them were read as often as they are to be.
    pub(super) time: Option<Duration>,
    /// Acknowledgements are waited for so long, at the end.
    pub(super) drain: Duration,
    /// All reconnect so often.
    pub(super) storm: Option<Duration>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.name(), self.host)
    }
}

/// Runs a fleet to its end, and returns how long that took.
///
/// # Errors
///
/// The system gives no sockets.
pub(super) async fn run(fleet: &Arc<Fleet>, shutdown: Shutdown) -> Result<Duration, Failure> {
    let clock = Clock::start();
    let (orders, told) = watch::channel(Orders::default());
    let mut devices = JoinSet::new();
    let mut sorters = JoinSet::new();
    match fleet.target.transport {
        Transport::Tcp => start_tcp(fleet, clock, &told, &mut devices),
        Transport::Http => start_posters(Way::Http, fleet, clock, &told, &mut devices),
        Transport::Ws => start_posters(Way::WebSocket, fleet, clock, &told, &mut devices),
        Transport::Udp => start_udp(fleet, clock, &told, &mut devices, &mut sorters)
            .await
            .map_err(|error| Failure::new(format!("cannot send to {}: {error}", fleet.target)))?,
    }
    drop(told);
    command(fleet, clock, &orders, &mut devices, shutdown).await;
    Ok(clock.elapsed())
}

/// Gives the orders, and shows how far it is, until all devices have ended.
async fn command(
    fleet: &Fleet,
    clock: Clock,
    orders: &watch::Sender<Orders>,
    devices: &mut JoinSet<()>,
    shutdown: Shutdown,
) {
    let Limits { time, drain, storm } = fleet.limits;
    let terminal = io::stderr().is_terminal();
    let mut shown = interval(SHOWN);
    shown.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next_storm = storm;
    let time_is_up = wait(time);
    let asked = shutdown.wait();
    tokio::pin!(time_is_up, asked);
    let mut all_read = false;
    while !all_read {
        tokio::select! {
            ended = devices.join_next() => if ended.is_none() { break },
            () = &mut time_is_up => all_read = true,
            () = &mut asked => all_read = true,
            () = clock.until(next_storm.map(millis)) => {
                orders.send_modify(|orders| orders.storms += 1);
                next_storm = next_storm.zip(storm).map(|(last, every)| last + every);
            }
            _ = shown.tick() => {
                if terminal {
                    show(fleet, clock, "running");
                }
                // Once all were read as often as they are to be, what is left is waiting.
                all_read = fleet.tally.finished.now() >= fleet.members.len() as u64;
            }
        }
    }
    orders.send_modify(|orders| orders.end = true);
    let given_up = sleep(drain);
    tokio::pin!(given_up);
    loop {
        tokio::select! {
            ended = devices.join_next() => if ended.is_none() { break },
            () = &mut given_up => break,
            _ = shown.tick(), if terminal => show(fleet, clock, "waiting for acknowledgements"),
        }
    }
    orders.send_modify(|orders| orders.stop = true);
    while devices.join_next().await.is_some() {}
    if terminal {
        show(fleet, clock, "done");
        complain("");
    }
}

fn start_tcp(fleet: &Arc<Fleet>, clock: Clock, orders: &watch::Receiver<Orders>, devices: &mut JoinSet<()>) {
    for place in 0..fleet.members.len() {
        let (fleet, orders) = (fleet.clone(), orders.clone());
        devices.spawn(async move {
            let Fleet { members, plan, target, tally, .. } = &*fleet;
            let hub = tcp::Hub { address: target.address, tls: target.tls.as_ref() };
            tcp::run(hub, &members[place], plan, tally, clock, orders).await;
        });
    }
}

fn start_posters(
    way: Way,
    fleet: &Arc<Fleet>,
    clock: Clock,
    orders: &watch::Receiver<Orders>,
    devices: &mut JoinSet<()>,
) {
    for place in 0..fleet.members.len() {
        let (fleet, orders) = (fleet.clone(), orders.clone());
        devices.spawn(async move {
            let Fleet { members, plan, target, tally, .. } = &*fleet;
            let there = Place { way, hub: target.address, host: &target.host };
            poster::run(there, &members[place], plan, tally, clock, orders).await;
        });
    }
}

async fn start_udp(
    fleet: &Arc<Fleet>,
    clock: Clock,
    orders: &watch::Receiver<Orders>,
    devices: &mut JoinSet<()>,
    sorters: &mut JoinSet<()>,
) -> io::Result<()> {
    let sockets = fleet.members.len().div_ceil(SHARING).clamp(1, SOCKETS);
    for first in 0..sockets {
        let socket = Arc::new(udp::socket(fleet.target.address).await?);
        let mut mailboxes = HashMap::new();
        for place in (first..fleet.members.len()).step_by(sockets) {
            let (mailbox, mail) = udp::mailbox();
            mailboxes.insert(fleet.members[place].number, mailbox);
            let (fleet, orders, socket) = (fleet.clone(), orders.clone(), socket.clone());
            devices.spawn(async move {
                let Fleet { members, plan, tally, .. } = &*fleet;
                udp::run(&members[place], plan, tally, clock, &socket, mail, orders).await;
            });
        }
        sorters.spawn(udp::sort(socket, mailboxes));
    }
    Ok(())
}

/// How far it is, in a line of the terminal that the next one overwrites.
fn show(fleet: &Fleet, clock: Clock, what: &str) {
    let Fleet { members, tally, target, .. } = fleet;
    let (sent, acknowledged, again) = (tally.sent.now(), tally.acknowledged.now(), tally.retransmitted.now());
    let (seconds, devices) = (clock.elapsed().as_secs_f64(), members.len());
    let mut terminal = io::stderr().lock();
    // Nobody may look.
    let _ = write!(
        terminal,
        "\r{seconds:6.1} s  {devices} devices to {target}: {sent} sent, {acknowledged} acknowledged, {again} again; {what}\x1b[K"
    );
    let _ = terminal.flush();
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
