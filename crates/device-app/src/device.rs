//! The device itself: its control loop, and its link to the server.

use core::fmt::{self, Write};
use core::time::Duration;

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_device::rooms::{Incoming, Member, Room, SUBPROTOCOL};
use tautline_device::{Client, Clock, Connector, Event, Link, Message, Policy, Settings, Stopped, Text};
use tautline_device_config::Config;
use tautline_proto::Backoff;

use crate::Board;
use crate::ears::{Ears, heard, told};
use crate::plan::Plan;

/// What waits while there is no link, in bytes: about a dozen times SOS.
pub const OUTBOX: usize = 1024;

/// Memory for texts that a device puts together, in bytes: its path and its id.
pub const TEXTS: usize = PATH + ID;

/// The longest path of a configuration, and where the client's id goes.
const PATH: usize = 256 + CLIENT_ID.len();
const CLIENT_ID: &str = "{client_id}";
/// The digits of 64 bits.
const ID: usize = 20;

/// What a device says in each cycle. With nowhere to go the oldest ones make room; the outbox counts them.
const DISTRESS: &str = "SOS";
const POLICY: Policy = Policy::DropOldest;

/// How long what was not yet sent may take, after the last cycle.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// How long the server may take for its side of a goodbye.
const CLOSE: Duration = Duration::from_secs(3);
/// How long a link has to be up before the waits begin anew, in times the first wait.
const STABLE: u32 = 4;
/// The longest wait, in times the first one.
const LONGEST: u32 = 16;

/// A device: [`control`](Self::control) and [`talk`](Self::talk) are its two tasks.
pub struct Device<'a, 'm, M: RawMutex> {
    board: &'a dyn Board,
    plan: Plan,
    settings: Settings<'a>,
    link: &'a Link<'m, M>,
    room: Room<'a, 'm, M>,
}

/// The buffers of a device's client.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// What is received at once. The server's answer to the handshake has to fit; messages that are larger are printed in pieces.
    pub receive: &'b mut [u8],
    /// What is sent at once. The request has to fit.
    pub transmit: &'b mut [u8],
    /// The longest message of an envelope.
    pub message: &'b mut [u8],
}

impl<'a, 'm, M: RawMutex> Device<'a, 'm, M> {
    /// A device that does what its configuration and its plan say, over this link, which has no other.
    ///
    /// `name` is the name in the device's certificate, if it has one. A configuration that gives no client id leaves it at that
    /// name, or at a random number where there is none, and also where the plan is raw: the labs' servers know numbers only.
    pub fn new(
        board: &'a dyn Board,
        config: &Config<'a>,
        name: Option<&'a str>,
        plan: &Plan,
        link: &'a Link<'m, M>,
        texts: &'a mut [u8; TEXTS],
    ) -> Self {
        let mut run = [0; 4];
        board.random(&mut run);
        let (path, id) = texts.split_at_mut(PATH);
        let id = config.client_id.or(name.filter(|_| plan.envelopes)).unwrap_or_else(|| number(board, id));
        let settings = settings(config, plan, path).client_id(id);
        Self { board, plan: *plan, settings, link, room: Room::new(link, u32::from_le_bytes(run)) }
    }

    /// The control loop: sends in each cycle, whether there is a link or not, and never waits for the network. After the
    /// plan's last cycle it says what is still to be said, stops the client and returns.
    pub async fn control(&self, clock: &impl Clock) {
        let Self { plan, link, room, .. } = self;
        let mut next = clock.now();
        let mut cycle: u32 = 0;
        loop {
            cycle = cycle.wrapping_add(1);
            if plan.sends {
                // A message that is refused is among what the counters say.
                let _ = if plan.envelopes {
                    room.publish_text(DISTRESS, POLICY).map(drop)
                } else {
                    link.try_send(Message::text(DISTRESS).policy(POLICY))
                };
            }
            // There is a link to leave only while it is up: an attempt has the time that it takes.
            if plan.leave_every > 0 && cycle.is_multiple_of(plan.leave_every) && link.is_open() {
                link.reconnect();
            }
            next = next + plan.cycle;
            clock.sleep_until(next).await;
            if plan.ends_with(cycle) {
                break;
            }
        }
        link.flush(clock, clock.now() + LAST_WORDS).await;
        link.stop();
    }

    /// The link: connects, and connects again, until it was stopped or until that is of no use; says what became of the messages.
    ///
    /// # Panics
    ///
    /// If a buffer is smaller than the client's least.
    pub async fn talk(&self, connector: &mut impl Connector, clock: &impl Clock, buffers: Buffers<'_>) -> Stopped {
        let Self { board, plan, settings, link, room } = self;
        let mut ears = if plan.envelopes {
            let hear = |incoming: Incoming<'_>| heard(*board, *room, &incoming);
            Ears::Envelopes(Member::new(*room, buffers.message, hear))
        } else {
            Ears::Raw(|event: Event<'_>| told(*board, &event))
        };
        let mut client = Client::new(settings, link, buffers.receive, buffers.transmit);
        let mut random = |bytes: &mut [u8]| board.random(bytes);
        let stopped = client.run(connector, clock, &mut random, &mut ears).await;
        board.print(format_args!("{stopped}"));
        let counters = link.counters();
        board.print(format_args!("messages {} sent, {} dropped", counters.sent, counters.dropped));
        stopped
    }
}

impl<M: RawMutex> fmt::Debug for Device<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, settings, link, .. } = self;
        f.debug_struct("Device")
            .field("plan", plan)
            .field("settings", settings)
            .field("link", link)
            .finish_non_exhaustive()
    }
}

/// Apart from the tasks, whose futures would keep every step of it.
fn settings<'a>(config: &Config<'a>, plan: &Plan, memory: &'a mut [u8]) -> Settings<'a> {
    let mut path = Text::new(memory);
    path.put(config.server.path);
    path.put(CLIENT_ID);
    let path = path.finish().expect("a configuration's path fits");
    let settings = Settings::new(config.server.host, config.server.port).secure(config.server.secure).path(path);
    let limits = tautline_proto::Config::new().ping_interval(Some(plan.ping)).pong_timeout(plan.ping);
    let backoff = Backoff::new(plan.retry, plan.retry * LONGEST, plan.retry * STABLE);
    let settings = settings.config(limits.close_timeout(CLOSE)).backoff(backoff);
    if plan.envelopes { settings.subprotocols(&[SUBPROTOCOL]) } else { settings }
}

/// A random number.
fn number<'a>(board: &dyn Board, memory: &'a mut [u8]) -> &'a str {
    let mut bits = [0; 8];
    board.random(&mut bits);
    let mut text = Text::new(memory);
    // It never fails, and has room for all numbers.
    let _ = write!(text, "{}", u64::from_le_bytes(bits));
    text.finish().expect("a number fits")
}
