//! Starting the device: its tasks, and the memory that they have.

use core::cell::RefCell;
use core::time::Duration;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use static_cell::{ConstStaticCell, StaticCell};
use tautline_device::rooms::{Incoming, Member, SUBPROTOCOL};
use tautline_device::{Client, Clock, Event, Settings, Stopped, Text};
use tautline_device_tls::READ_BUFFER;
use tautline_proto::{Backoff, Config};

use super::EmbassyClock;
use super::setup::Setup;
use super::tcp::Tcp;
use super::way::{Secure, Way};
use crate::Board;
use crate::device::{Ears, control, heard, told};
use crate::plan::Plan;

/// How many bytes TCP keeps of what comes, and of what goes.
const TCP_RECEIVE: usize = 2048;
const TCP_SEND: usize = 1024;
/// What is received, and what is sent, at once.
const RECEIVE: usize = 1024;
const TRANSMIT: usize = 512;
/// What waits while there is no link: about a dozen times SOS.
const OUTBOX: usize = 1024;
/// The longest message of an envelope.
const MESSAGE: usize = 1024;
/// How long what was not yet sent may take, after the last cycle.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// A record of ours: what the client sends at once, or our certificate.
const WRITE_BUFFER: usize = 1536;
/// The longest path of a configuration, and where the client's id goes.
const PATH_LENGTH: usize = 256 + 16;
/// How long the server may take for its side of a goodbye.
const CLOSE: Duration = Duration::from_secs(3);
/// How long a link has to be up before the waits begin anew, in times the first wait.
const STABLE: u32 = 4;
/// The longest wait, in times the first one.
const LONGEST: u32 = 16;

/// The way from the control loop to the client. Its mutex fits all priorities.
type Link = tautline_device::Link<'static, CriticalSectionRawMutex>;
type Room = tautline_device::rooms::Room<'static, 'static, CriticalSectionRawMutex>;

/// Starts the device on a board that has a network.
///
/// # Panics
///
/// If it is called twice.
pub fn start(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Board, setup: Setup) {
    static LINK: StaticCell<Link> = StaticCell::new();
    static MEMORY: ConstStaticCell<[u8; OUTBOX]> = ConstStaticCell::new([0; OUTBOX]);
    let link = LINK.init(Link::new(MEMORY.take()));
    let mut run = [0; 4];
    board.random(&mut run);
    let room = Room::new(link, u32::from_le_bytes(run));
    spawner.spawn(control_task(setup.plan, link, room).expect("the only one"));
    spawner.spawn(client_task(setup, link, room, stack, board).expect("the only one"));
}

#[embassy_executor::task]
async fn control_task(plan: Plan, link: &'static Link, room: Room) {
    control(&plan, link, room, &EmbassyClock).await;
    link.flush(&EmbassyClock, EmbassyClock.now() + LAST_WORDS).await;
    link.stop();
}

#[embassy_executor::task]
async fn client_task(setup: Setup, link: &'static Link, room: Room, stack: Stack<'static>, board: &'static dyn Board) {
    static RECEIVED: ConstStaticCell<[u8; RECEIVE]> = ConstStaticCell::new([0; RECEIVE]);
    static SENT: ConstStaticCell<[u8; TRANSMIT]> = ConstStaticCell::new([0; TRANSMIT]);
    static MESSAGES: ConstStaticCell<[u8; MESSAGE]> = ConstStaticCell::new([0; MESSAGE]);
    static PATH: ConstStaticCell<[u8; PATH_LENGTH]> = ConstStaticCell::new([0; PATH_LENGTH]);
    let settings = settings(&setup, PATH.take());
    let mut ears = if setup.plan.envelopes {
        Ears::Envelopes(Member::new(room, MESSAGES.take(), |incoming: Incoming<'_>| heard(board, room, &incoming)))
    } else {
        Ears::Raw(|event: Event<'_>| told(board, &event))
    };
    let mut client = Client::new(&settings, link, RECEIVED.take(), SENT.take());
    let mut way = way(&setup, stack, board);
    let mut random = |bytes: &mut [u8]| board.random(bytes);
    let stopped = client.run(&mut way, &EmbassyClock, &mut random, &mut ears).await;
    board.print(format_args!("{stopped}"));
    let counters = link.counters();
    board.print(format_args!("messages {} sent, {} dropped", counters.sent, counters.dropped));
    board.ended(stopped == Stopped::Asked);
}

/// Apart from the task, whose future would keep every step of it.
fn settings(setup: &Setup, memory: &'static mut [u8]) -> Settings<'static> {
    let Setup { config, plan, .. } = setup;
    let mut path = Text::new(memory);
    path.put(config.server.path);
    path.put("{client_id}");
    let path = path.finish().expect("a configuration's path fits");
    let settings = Settings::new(config.server.host, config.server.port).secure(config.server.secure).path(path);
    let settings = settings.config(limits(plan)).backoff(backoff(plan));
    let settings = if plan.envelopes { settings.subprotocols(&[SUBPROTOCOL]) } else { settings };
    match config.client_id {
        Some(id) => settings.client_id(id),
        None => settings,
    }
}

fn way(setup: &Setup, stack: Stack<'static>, board: &'static dyn Board) -> Way<'static> {
    static SOCKET: StaticCell<RefCell<TcpSocket<'static>>> = StaticCell::new();
    static FROM_SERVER: ConstStaticCell<[u8; TCP_RECEIVE]> = ConstStaticCell::new([0; TCP_RECEIVE]);
    static TO_SERVER: ConstStaticCell<[u8; TCP_SEND]> = ConstStaticCell::new([0; TCP_SEND]);
    static READ: ConstStaticCell<[u8; READ_BUFFER]> = ConstStaticCell::new([0; READ_BUFFER]);
    static WRITE: ConstStaticCell<[u8; WRITE_BUFFER]> = ConstStaticCell::new([0; WRITE_BUFFER]);
    let socket = SOCKET.init(RefCell::new(TcpSocket::new(stack, FROM_SERVER.take(), TO_SERVER.take())));
    let tcp = Tcp::new(stack, socket, setup.config.server.host, setup.config.server.port);
    Way::new(tcp, setup.tls.map(|credentials| Secure::new(board, credentials, READ.take(), WRITE.take())))
}

fn limits(plan: &Plan) -> Config {
    Config::new().ping_interval(Some(plan.ping)).pong_timeout(plan.ping).close_timeout(CLOSE)
}

fn backoff(plan: &Plan) -> Backoff {
    Backoff::new(plan.retry, plan.retry * LONGEST, plan.retry * STABLE)
}
