//! The small server on a board, for three clients: what the labs' libwebsockets servers do, on a chip.
//!
//! | | |
//! |---|---|
//! | `GET /` | a page with the counter |
//! | `GET /light` | how punctual the light is, in JSON |
//! | `POST /lamp` | `true` or `false`, in JSON: switches the lamp |
//! | `POST` elsewhere | any body; the answer is the libwebsockets server's |
//! | WebSocket at `/counter` | the labs' counter |
//! | WebSocket elsewhere | an echo |

#![no_std]

mod program;

use core::net::{IpAddr, SocketAddr};

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use static_cell::{ConstStaticCell, StaticCell};
use tautline_device_server::embassy::{EmbassyClock, Listener};
use tautline_device_server::{Server, Settings};
use tautline_firmware_app::Board;
use tautline_firmware_app::embassy::{ipv4, ipv6};

use program::Program;

/// How many clients it serves at a time. One more is told that it has to come back.
pub const CLIENTS: usize = 3;
/// How many of the stack's sockets it takes: one tells the client that is too many.
pub const SOCKETS: usize = CLIENTS + 1;

const PORT: u16 = 80;
/// Bytes of a request's head, and of what may wait for a client.
const BUFFER: usize = 1024;
/// How many bytes TCP keeps of what comes, and of what goes.
const TCP_RECEIVE: usize = 1024;
const TCP_SEND: usize = 1024;

static SETTINGS: Settings = Settings::new().subprotocols(&["echo_server"]);

type Small = Server<Program, EmbassyClock, CLIENTS, BUFFER, BUFFER>;

/// Starts the server on a board that has a network, at port 80 of all its addresses.
///
/// # Panics
///
/// If it is called twice.
pub fn start(spawner: Spawner, stack: Stack<'static>, board: &'static dyn Board) {
    static SERVER: StaticCell<Small> = StaticCell::new();
    let server = SERVER.init_with(|| Server::new(&SETTINGS, Program::new(board), EmbassyClock));
    spawner.spawn(server_task(server, stack).expect("the only one"));
    spawner.spawn(address_task(stack, board).expect("the only one"));
}

#[embassy_executor::task]
async fn server_task(server: &'static Small, stack: Stack<'static>) {
    static MEMORY: ConstStaticCell<[([u8; TCP_RECEIVE], [u8; TCP_SEND]); SOCKETS]> =
        ConstStaticCell::new([([0; TCP_RECEIVE], [0; TCP_SEND]); SOCKETS]);
    let listeners = MEMORY.take().each_mut().map(|(receive, send)| {
        let socket = TcpSocket::new(stack, receive, send);
        Listener::new(socket, PORT)
    });
    server.serve(listeners).await;
}

/// Prints where clients find the server.
#[embassy_executor::task]
async fn address_task(stack: Stack<'static>, board: &'static dyn Board) {
    let say = |address: IpAddr| {
        let address = SocketAddr::new(address, PORT);
        board.print(format_args!("serving {CLIENTS} clients at {address}"));
    };
    if let Some(address) = ipv6(stack) {
        say(address.into());
    }
    say(ipv4(stack).await.into());
}
