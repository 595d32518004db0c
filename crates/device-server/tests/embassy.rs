//! The server on embassy-net, as on a chip: the real stack over a loop of Ethernet frames, in virtual time.

#![cfg(feature = "embassy")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time::{Duration, MockDriver};
use tautline_device_server::embassy::{EmbassyClock, Listener};
use tautline_device_server::{Asset, ClientId, Handler, Io, Outcome, Request, Respond, Server, Settings};
use tautline_proto::app::Opening;
use tautline_proto::{Config as CoreConfig, Data, Ended};

const ADDRESS: Ipv4Address = Ipv4Address::new(10, 0, 0, 1);
const PORT: u16 = 80;

/// A cable whose ends are in the same socket.
#[derive(Clone, Default)]
struct Loop {
    frames: Rc<RefCell<VecDeque<Vec<u8>>>>,
    /// One of so many frames is lost; 0: none.
    loses: usize,
    sent: Rc<Cell<usize>>,
}

impl Driver for Loop {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Self;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(Frame, Self)> {
        let frame = self.frames.borrow_mut().pop_front()?;
        Some((Frame(frame), self.clone()))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Self> {
        Some(self.clone())
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1])
    }
}

impl TxToken for Loop {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.sent.set(self.sent.get() + 1);
        if self.loses == 0 || !self.sent.get().is_multiple_of(self.loses) {
            self.frames.borrow_mut().push_back(frame);
        }
        result
    }
}

struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, read: F) -> R {
        read(&mut self.0)
    }
}

#[derive(Default)]
struct Program {
    told: Vec<String>,
}

static PAGE: Asset = Asset::new("/", "text/plain", &[b'x'; 10_000]);

impl Handler for Program {
    fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        match Asset::find(core::slice::from_ref(&PAGE), request.path()) {
            Some(page) => respond.asset(page).into(),
            None => respond.not_found().into(),
        }
    }

    fn open(&mut self, _: &mut dyn Io, _: ClientId, opening: &Opening<'_>) {
        let peer = opening.peer.expect("an address");
        self.told.push(format!("{} from {}", opening.path, peer.ip()));
    }

    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        io.send_part(client, data.part(), data.bytes()).expect("room for an echo");
    }

    fn closed(&mut self, _: &mut dyn Io, _: ClientId, ended: Ended) {
        self.told.push(ended.to_string());
    }
}

/// Without pings, which these clients would not answer.
static SETTINGS: Settings = Settings::new().websocket(CoreConfig::new().ping_interval(None));

/// A server for one client, with two acceptors.
type Small = Server<Program, EmbassyClock, 1, 512, 1024>;

/// Runs the stack and a server, and clients until they are done.
fn run(clients: impl AsyncFnOnce(Stack<'static>, &Small)) {
    run_over(Loop::default(), clients);
}

fn run_over(cable: Loop, clients: impl AsyncFnOnce(Stack<'static>, &Small)) {
    // All tests have one clock.
    static CLOCK: Mutex<()> = Mutex::new(());
    let _alone = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ADDRESS, 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(StackResources::<8>::new()));
    let (stack, mut runner) = embassy_net::new(cable, config, resources, 1);
    let server = Small::new(&SETTINGS, Program::default(), EmbassyClock);
    let mut network = pin!(runner.run());
    let mut serving = pin!(server.serve([listener(stack), listener(stack)]));
    let mut clients = pin!(clients(stack, &server));
    let mut context = Context::from_waker(Waker::noop());
    // Ten minutes of the clock that the stack goes by.
    for _ in 0..600_000 {
        assert!(network.as_mut().poll(&mut context).is_pending());
        let _ = serving.as_mut().poll(&mut context);
        if clients.as_mut().poll(&mut context).is_ready() {
            return;
        }
        MockDriver::get().advance(Duration::from_millis(1));
    }
    panic!("the clients are not done");
}

fn socket(stack: Stack<'static>) -> TcpSocket<'static> {
    TcpSocket::new(stack, Box::leak(Box::new([0; 2048])), Box::leak(Box::new([0; 2048])))
}

fn listener(stack: Stack<'static>) -> Listener<'static> {
    Listener::new(socket(stack), PORT)
}

async fn connect(stack: Stack<'static>) -> TcpSocket<'static> {
    let mut socket = socket(stack);
    socket.connect((ADDRESS, PORT)).await.expect("a connection");
    socket
}

async fn send(socket: &mut TcpSocket<'static>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = socket.write(bytes).await.expect("an open connection");
        bytes = &bytes[written..];
    }
}

/// Reads until what has come ends with this.
async fn receive(socket: &mut TcpSocket<'static>, end: &[u8]) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1024]);
    while !all.ends_with(end) {
        match socket.read(&mut buffer).await {
            Ok(len @ 1..) => all.extend_from_slice(&buffer[..len]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
    all
}

async fn receive_to_end(socket: &mut TcpSocket<'static>) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        match socket.read(&mut buffer).await.expect("no reset") {
            0 => return all,
            len => all.extend_from_slice(&buffer[..len]),
        }
    }
}

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn pages_and_websockets_are_served_one_after_the_other_and_a_client_too_many_is_told() {
    run(async |stack, server| {
        // Several times each socket.
        for _ in 0..3 {
            let mut page = connect(stack).await;
            send(&mut page, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let answer = receive_to_end(&mut page).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(&[b'x'; 10_000]));
            page.close();
            let _ = page.flush().await;

            let mut ws = connect(stack).await;
            send(&mut ws, REQUEST).await;
            receive(&mut ws, b"\r\n\r\n").await;
            send(&mut ws, b"\x81\x85\0\0\0\0hello").await;
            receive(&mut ws, b"\x81\x05hello").await;
            assert!(server.is_full());

            let mut late = connect(stack).await;
            let answer = receive_to_end(&mut late).await;
            assert!(answer.starts_with(b"HTTP/1.1 503 Service Unavailable\r\n"));
            late.close();
            let _ = late.flush().await;

            send(&mut ws, b"\x88\x82\0\0\0\0\x03\xe8").await;
            assert_eq!(receive_to_end(&mut ws).await, b"\x88\x02\x03\xe8");
            ws.close();
            let _ = ws.flush().await;
        }
        let expected = ["/ws from 10.0.0.1", "peer closed with 1000 (normal closure)"].repeat(3);
        server.with(|program, _| assert_eq!(program.told, expected));
    });
}

#[test]
fn what_a_network_loses_arrives_all_the_same() {
    run_over(Loop { loses: 7, ..Loop::default() }, async |stack, _| {
        let mut ws = connect(stack).await;
        send(&mut ws, REQUEST).await;
        receive(&mut ws, b"\r\n\r\n").await;
        for number in 0..30_u8 {
            let message = [&b"\x82\xfe\x01\x00\0\0\0\0"[..], &[number; 256]].concat();
            send(&mut ws, &message).await;
            let echo = receive(&mut ws, &[number; 256]).await;
            assert_eq!(echo[..4], *b"\x82\x7e\x01\x00");
        }
    });
}

#[test]
fn a_client_that_resets_leaves_its_place() {
    run(async |stack, server| {
        for _ in 0..3 {
            let mut ws = connect(stack).await;
            send(&mut ws, REQUEST).await;
            receive(&mut ws, b"\r\n\r\n").await;
            ws.abort();
            let _ = ws.flush().await;
        }
        let told = server.with(|program, _| program.told.clone());
        assert_eq!(told.iter().filter(|told| told.starts_with("/ws")).count(), 3);
        assert!(told.contains(&"transport failed".to_owned()), "{told:?}");
    });
}
