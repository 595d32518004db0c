//! Starting the device: its tasks, and the memory that they have.

use core::cell::RefCell;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use static_cell::{ConstStaticCell, StaticCell};
use tautline_device::{Link, Stopped};
use tautline_device_app::{Buffers, Device, OUTBOX, TEXTS};
use tautline_device_tls::READ_BUFFER;

use super::EmbassyClock;
use super::setup::Setup;
use super::tcp::Tcp;
use super::way::{Secure, Way};
use crate::Chip;

/// How many bytes TCP keeps of what comes, and of what goes.
const TCP_RECEIVE: usize = 2048;
const TCP_SEND: usize = 1024;
/// What is received, and what is sent, at once.
const RECEIVE: usize = 1024;
const TRANSMIT: usize = 512;
/// The longest message of an envelope.
const MESSAGE: usize = 1024;
/// A record of ours: what the client sends at once, or our certificate.
const WRITE_BUFFER: usize = 1536;

/// The device. The mutex of its link fits all priorities.
type ThisDevice = Device<'static, 'static, CriticalSectionRawMutex>;

/// Starts the device on a board that has a network.
///
/// # Panics
///
/// If it is called twice.
pub fn start(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Chip, setup: Setup) {
    static LINK: StaticCell<Link<'static, CriticalSectionRawMutex>> = StaticCell::new();
    static DEVICE: StaticCell<ThisDevice> = StaticCell::new();
    static MEMORY: ConstStaticCell<[u8; OUTBOX]> = ConstStaticCell::new([0; OUTBOX]);
    static FOR_TEXTS: ConstStaticCell<[u8; TEXTS]> = ConstStaticCell::new([0; TEXTS]);
    let link = LINK.init(Link::new(MEMORY.take()));
    let Setup { config, plan, tls } = &setup;
    let name = tls.and_then(|credentials| credentials.identity?.name());
    let device = DEVICE.init(Device::new(board, config, name, plan, link, FOR_TEXTS.take()));
    spawner.spawn(control_task(device).expect("the only one"));
    spawner.spawn(client_task(setup, device, stack, board).expect("the only one"));
}

#[embassy_executor::task]
async fn control_task(device: &'static ThisDevice) {
    device.control(&EmbassyClock).await;
}

#[embassy_executor::task]
async fn client_task(setup: Setup, device: &'static ThisDevice, stack: Stack<'static>, board: &'static dyn Chip) {
    static RECEIVED: ConstStaticCell<[u8; RECEIVE]> = ConstStaticCell::new([0; RECEIVE]);
    static SENT: ConstStaticCell<[u8; TRANSMIT]> = ConstStaticCell::new([0; TRANSMIT]);
    static MESSAGES: ConstStaticCell<[u8; MESSAGE]> = ConstStaticCell::new([0; MESSAGE]);
    let buffers = Buffers { receive: RECEIVED.take(), transmit: SENT.take(), message: MESSAGES.take() };
    let mut way = way(&setup, stack, board);
    let stopped = device.talk(&mut way, &EmbassyClock, buffers).await;
    board.ended(stopped == Stopped::Asked);
}

fn way(setup: &Setup, stack: Stack<'static>, board: &'static dyn Chip) -> Way<'static> {
    static SOCKET: StaticCell<RefCell<TcpSocket<'static>>> = StaticCell::new();
    static FROM_SERVER: ConstStaticCell<[u8; TCP_RECEIVE]> = ConstStaticCell::new([0; TCP_RECEIVE]);
    static TO_SERVER: ConstStaticCell<[u8; TCP_SEND]> = ConstStaticCell::new([0; TCP_SEND]);
    static READ: ConstStaticCell<[u8; READ_BUFFER]> = ConstStaticCell::new([0; READ_BUFFER]);
    static WRITE: ConstStaticCell<[u8; WRITE_BUFFER]> = ConstStaticCell::new([0; WRITE_BUFFER]);
    let socket = SOCKET.init(RefCell::new(TcpSocket::new(stack, FROM_SERVER.take(), TO_SERVER.take())));
    let tcp = Tcp::new(stack, socket, setup.config.server.host, setup.config.server.port);
    Way::new(tcp, setup.tls.map(|credentials| Secure::new(board, credentials, READ.take(), WRITE.take())))
}
