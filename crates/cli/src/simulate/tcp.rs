//! Devices with a TCP connection each.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tautline_telemetry::device::Config;
use tautline_telemetry::{MAX_MESSAGE, message_length};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::crew::Member;
use super::plan::{Clock, Orders, Plan, changed};
use super::station::{OUTBOX, Station};
use super::tally::Tally;
use super::tls::Tls;

/// How long opening a connection may take.
const OPENING: Duration = Duration::from_secs(5);
/// The longest first wait between attempts, and the longest of all, in milliseconds.
const WAIT: (u64, u64) = (200, 5_000);

/// Bytes that wait for the socket. The rest stays in the outbox.
const WAITING: usize = 16 * MAX_MESSAGE;

/// How long to wait after so many attempts that failed: a random time, so that a fleet does not come back at one moment.
pub(super) fn back_off(attempts: u32) -> u64 {
    let (first, longest) = WAIT;
    let most = (first << attempts.min(10)).min(longest);
    20 + rand::random_range(0..most)
}

/// Where the hub is, and how its devices speak to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hub<'a> {
    pub(super) address: SocketAddr,
    /// `None`: nothing is encrypted.
    pub(super) tls: Option<&'a Tls>,
}

/// A device, until everything is done and acknowledged, or it is told to stop.
pub(super) async fn run(
    hub: Hub<'_>,
    member: &Member,
    plan: &Plan,
    tally: &Tally,
    clock: Clock,
    mut orders: watch::Receiver<Orders>,
) {
    let mut outbox = vec![0; OUTBOX];
    let Ok(mut station) = Station::new(clock.now(), member, plan, Config::STREAM, tally, &mut outbox) else {
        tally.complain(format!("{} does not fit into a hello", member.name));
        return;
    };
    let (mut attempts, mut first) = (0, true);
    while !station.is_done() {
        let stream = tokio::select! {
            stream = open(hub) => stream,
            () = keep_reading(&mut station, clock, &mut orders) => return,
        };
        if let Some(stream) = stream {
            if !std::mem::take(&mut first) {
                station.reconnected(clock.now());
            }
            match talk(stream, &mut station, clock, &mut orders).await {
                Over::Device => return,
                Over::Storm => continue,
                // One that answered is there, whatever has ended it.
                Over::Connection { answered: true } => attempts = 0,
                Over::Connection { answered: false } => attempts += 1,
            }
        } else {
            attempts += 1;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(back_off(attempts))) => {}
            () = keep_reading(&mut station, clock, &mut orders) => return,
        }
    }
}

/// What has ended.
enum Over {
    /// Everything.
    Device,
    /// The connection, and whether the hub ever said anything over it.
    Connection { answered: bool },
    /// The connection, as all others.
    Storm,
}

/// A connection; `None` if there is none to be had.
async fn open(hub: Hub<'_>) -> Option<Box<dyn Stream>> {
    let opening = async {
        let stream = TcpStream::connect(hub.address).await.ok()?;
        // A message is sent because it is time for it.
        stream.set_nodelay(true).ok()?;
        match hub.tls {
            Some(Tls { connector, host }) => {
                Some(Box::new(connector.connect(host.clone(), stream).await.ok()?) as Box<dyn Stream>)
            }
            None => Some(Box::new(stream) as Box<dyn Stream>),
        }
    };
    timeout(OPENING, opening).await.ok()?
}

/// A connection, encrypted or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Reads sensors while there is no connection. Returns when there is nothing left to do.
async fn keep_reading(station: &mut Station<'_>, clock: Clock, orders: &mut watch::Receiver<Orders>) {
    loop {
        station.handle_timeout(clock.now());
        if station.is_done() {
            return;
        }
        tokio::select! {
            () = clock.until(station.poll_timeout(false)) => {}
            new = changed(orders) => {
                if new.stop {
                    return;
                }
                if new.end {
                    station.end();
                }
            }
        }
    }
}

async fn talk(
    stream: Box<dyn Stream>,
    station: &mut Station<'_>,
    clock: Clock,
    orders: &mut watch::Receiver<Orders>,
) -> Over {
    let (mut reading, mut writing) = split(stream);
    let (mut came, mut goes) = (Vec::new(), Vec::new());
    let mut message = [0; MAX_MESSAGE];
    let (mut answered, mut unflushed) = (false, false);
    let storms = orders.borrow().storms;
    loop {
        let now = clock.now();
        station.handle_timeout(now);
        while goes.len() < WAITING
            && let Some(len) = station.poll_transmit(now, &mut message)
        {
            goes.extend_from_slice(&message[..len]);
            unflushed = true;
        }
        if station.is_done() && goes.is_empty() && !unflushed {
            return Over::Device;
        }
        // While something waits for the socket, nothing more is taken from the session.
        let next = station.poll_timeout(goes.is_empty());
        tokio::select! {
            read = reading.read_buf(&mut came) => {
                if !matches!(read, Ok(1..)) || !receive(&mut came, station, clock.now()) {
                    return Over::Connection { answered };
                }
                answered = true;
            }
            written = advance(&mut writing, &goes), if !goes.is_empty() || unflushed => match written {
                Ok(n) => {
                    goes.drain(..n);
                    unflushed = n > 0;
                }
                Err(_) => return Over::Connection { answered },
            },
            () = clock.until(next) => {}
            new = changed(orders) => {
                if new.stop {
                    return Over::Device;
                }
                if new.end {
                    station.end();
                }
                if new.storms != storms {
                    return Over::Storm;
                }
            }
        }
    }
}

/// Writes some of what goes and answers how much; if there is nothing, what TLS still holds of what it has taken.
async fn advance(stream: &mut (impl AsyncWrite + Unpin), goes: &[u8]) -> io::Result<usize> {
    if goes.is_empty() {
        return stream.flush().await.map(|()| 0);
    }
    match stream.write(goes).await {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written,
    }
}

/// Hands up the whole messages of what came, and leaves the rest. Returns whether these are messages at all.
fn receive(came: &mut Vec<u8>, station: &mut Station<'_>, now: u64) -> bool {
    let mut rest = &came[..];
    loop {
        match message_length(rest) {
            Err(_) => return false,
            Ok(Some(length)) if length <= rest.len() => {
                let (message, behind) = rest.split_at(length);
                station.receive(now, message);
                rest = behind;
            }
            Ok(_) => break,
        }
    }
    let done = came.len() - rest.len();
    came.drain(..done);
    true
}
