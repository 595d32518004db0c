//! What tests try on a board, without TLS, so that it fits the smallest one.

use core::cell::RefCell;

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use static_cell::{ConstStaticCell, StaticCell};
use tautline_device_trials::autobahn::{Buffers, Subject, go_through};
use tautline_device_trials::replay::replay;
use tautline_firmware_app::Chip;
use tautline_firmware_app::embassy::{EmbassyClock, Socket, Tcp};
use tautline_firmware_server as server;

/// The file with the client's name in Autobahn's reports, a blank, and the port that the fuzzing server believes to have.
const AUTOBAHN: &str = "autobahn";
/// The file with a recorded session.
const RECORDING: &str = "recording";
/// Where the emulator's network leads to this machine.
const HOST: &str = "10.0.2.100";
const PORT: u16 = 8000;

/// How many bytes TCP keeps of what comes, and of what goes.
const TCP_RECEIVE: usize = 2048;
const TCP_SEND: usize = 1024;
/// What is received, and what is sent, at once.
const RECEIVE: usize = 1024;
const TRANSMIT: usize = 512;
/// The longest message of the cases that are chosen.
const MESSAGE: usize = 1024;

/// The small server, and what the board's files ask for: with `autobahn`, it goes through the cases of a fuzzing server; with
/// `recording`, it replays a recorded session, and nothing else.
///
/// # Panics
///
/// If it is called twice.
pub fn trial(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Chip) {
    if let Some(recording) = board.files().text(RECORDING) {
        let replayed = replay(recording, &mut |line| board.print(line));
        return board.ended(replayed.is_ok());
    }
    server::start(spawner, stack, board);
    if let Some(file) = board.files().text(AUTOBAHN) {
        let subject = subject(file).expect("a name and a port");
        spawner.spawn(autobahn_task(stack, board, subject).expect("the only one"));
    }
}

/// It refuses requests for another port than its own.
fn subject(file: &'static str) -> Option<Subject<'static>> {
    let (agent, port) = file.split_once(' ')?;
    Some(Subject { host: HOST, port: port.parse().ok()?, agent })
}

#[embassy_executor::task]
async fn autobahn_task(stack: Stack<'static>, board: &'static dyn Chip, subject: Subject<'static>) {
    static SOCKET: StaticCell<Socket<'static>> = StaticCell::new();
    static FROM_SERVER: ConstStaticCell<[u8; TCP_RECEIVE]> = ConstStaticCell::new([0; TCP_RECEIVE]);
    static TO_SERVER: ConstStaticCell<[u8; TCP_SEND]> = ConstStaticCell::new([0; TCP_SEND]);
    static RECEIVED: ConstStaticCell<[u8; RECEIVE]> = ConstStaticCell::new([0; RECEIVE]);
    static SENT: ConstStaticCell<[u8; TRANSMIT]> = ConstStaticCell::new([0; TRANSMIT]);
    static WHOLE: ConstStaticCell<[u8; MESSAGE]> = ConstStaticCell::new([0; MESSAGE]);
    static OUTBOX: ConstStaticCell<[u8; 2 * MESSAGE]> = ConstStaticCell::new([0; 2 * MESSAGE]);
    let socket = SOCKET.init(RefCell::new(TcpSocket::new(stack, FROM_SERVER.take(), TO_SERVER.take())));
    let mut tcp = Tcp::new(stack, socket, HOST, PORT);
    let mut random = |bytes: &mut [u8]| board.random(bytes);
    let buffers =
        Buffers { receive: RECEIVED.take(), transmit: SENT.take(), whole: WHOLE.take(), outbox: OUTBOX.take() };
    let mut say = |line: core::fmt::Arguments<'_>| board.print(line);
    let gone = go_through(subject, &mut tcp, &EmbassyClock, &mut random, buffers, &mut say).await;
    if let Err(problem) = &gone {
        board.print(format_args!("{problem}"));
    }
    board.print(format_args!("{}", board.punctuality()));
    board.ended(gone.is_ok());
}
