//! What must not creep in: memory of idle connections, allocations, system calls. A program of its own, since it replaces
//! the allocator. Counted is what the test's thread and its loop do: the test harness allocates too, whenever it likes.

#![allow(unsafe_code, reason = "a global allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tautline_engine::{Counters, Engine, Handover, Host, Profile, Request, Settings, Shown};
use tautline_proto::Config;
use tautline_proto::app::{App, ConnectionId, Io, Message, Slow};
use tautline_proto::compression::{Backend, DeflateSpace};
use tautline_proto::handshake::deflate::{Parameters, Sender, WindowBits};

struct Counting;

static BYTES: AtomicU64 = AtomicU64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(1, Relaxed);
            BYTES.fetch_add(layout.size() as u64, Relaxed);
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTED.get() {
            BYTES.fetch_sub(layout.size() as u64, Relaxed);
        }
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test at a time: they count what the whole process does.
fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Echoes text; publishes what is binary to everybody.
#[derive(Default)]
struct EchoAndPublish {
    all: Vec<ConnectionId>,
}

impl App for EchoAndPublish {
    fn open(&mut self, _: &mut dyn Io, id: ConnectionId) {
        self.all.push(id);
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        match message {
            Message::Text(_) => drop(io.send(id, message)),
            Message::Binary(_) => drop(io.publish(&mut self.all.iter().copied(), message, Slow::Disconnect)),
        }
    }
}

struct Server {
    engine: Engine,
    host: Host<EchoAndPublish>,
    listener: TcpListener,
    profile: Arc<Profile>,
}

impl Server {
    fn start() -> Self {
        let engine = Engine::start(Settings::new().loops(1)).unwrap();
        let host = engine.host(0, EchoAndPublish::default());
        COUNTED.set(true);
        host.visit(|_, _| COUNTED.set(true)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nothing may happen by itself while something is counted.
        let profile = Arc::new(Profile::new(Config::new().ping_interval(None)));
        Self { engine, host, listener, profile }
    }

    fn connect(&self) -> TcpStream {
        self.connect_with(None)
    }

    fn connect_with(&self, deflate: Option<Parameters>) -> TcpStream {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (socket, peer) = self.listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let (opened, open) = mpsc::channel();
        let request = Request { peer: Some(peer), deflate, profile: self.profile.clone(), ..Request::default() };
        self.host.admit(request, move |admitted| {
            admitted.unwrap().adopt(Handover { socket, tls: None, leftover: Vec::new() });
            opened.send(()).unwrap();
        });
        open.recv().unwrap();
        client
    }

    /// The connection that came last.
    fn newest(&self) -> ConnectionId {
        let (told, tell) = mpsc::channel();
        self.host.connections(None, 1, move |newest| told.send(newest[0].id).unwrap());
        tell.recv().unwrap()
    }

    /// Waits until the loop has done everything that it was asked for so far.
    fn settle(&self) -> Counters {
        let (done, wait) = mpsc::channel();
        // Two turns: the counters show what the turn before has done.
        for _ in 0..2 {
            let done = done.clone();
            self.host.visit(move |_, _| done.send(()).unwrap()).unwrap();
            wait.recv().unwrap();
        }
        self.engine.counters()[0]
    }
}

/// A masked frame of 64 bytes; the mask is zero.
fn frame(opcode: u8) -> [u8; 70] {
    let mut frame = [b'x'; 70];
    frame[..6].copy_from_slice(&[0x80 | opcode, 0x80 | 64, 0, 0, 0, 0]);
    frame
}

fn exchange(client: &mut TcpStream, request: &[u8], reply: &mut [u8]) {
    client.write_all(request).unwrap();
    client.read_exact(reply).unwrap();
}

#[test]
fn an_idle_connection_holds_less_than_200_bytes_of_the_heap() {
    const CONNECTIONS: u64 = 1024;
    let _alone = alone();
    let server = Server::start();
    let mut clients = Vec::with_capacity(CONNECTIONS as usize);
    server.settle();
    let before = BYTES.load(Relaxed);
    for _ in 0..CONNECTIONS {
        clients.push(server.connect());
    }
    // Everybody says something, so that what a message needs and an idle connection does not would show.
    for client in &mut clients {
        exchange(client, &frame(1), &mut [0; 66]);
    }
    server.settle();
    let each = (BYTES.load(Relaxed).wrapping_sub(before)) / CONNECTIONS;
    // The app's own list is 8 bytes of it.
    assert!(each < 200, "{each} bytes");
}

/// A compressed text of 92 bytes that refers to nothing before it, masked with zeros.
fn compressed_frame() -> Vec<u8> {
    let text = r#"{"sensor":"kitchen-3","number":4711,"time":1700000000,"celsius":21.57,"humidity":43.1,"v":3}"#;
    let mut space = DeflateSpace::default();
    let payload = space.deflate(WindowBits::MIN, Backend::Small, text.as_bytes()).unwrap();
    [&[0xc1, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

/// Sends a compressed message, and waits for its echo, which is compressed, too.
fn exchange_compressed(client: &mut TcpStream, frame: &[u8]) {
    let (mut head, mut payload) = ([0; 2], [0; 125]);
    exchange(client, frame, &mut head);
    assert_eq!(head[0], 0xc1);
    client.read_exact(&mut payload[..usize::from(head[1])]).unwrap();
}

/// What a connection holds of the heap that compresses like that, when it has received and sent compressed messages.
fn bytes_per_connection_that_compresses(sender: Sender) -> u64 {
    const CONNECTIONS: u64 = 256;
    let server = Server::start();
    let agreed = Some(Parameters { server: sender, client: sender });
    let frame = compressed_frame();
    // What all connections share is there from the first message on.
    let mut first = server.connect_with(agreed);
    exchange_compressed(&mut first, &frame);
    let mut clients = Vec::with_capacity(CONNECTIONS as usize);
    server.settle();
    let before = BYTES.load(Relaxed);
    for _ in 0..CONNECTIONS {
        clients.push(server.connect_with(agreed));
    }
    for client in &mut clients {
        exchange_compressed(client, &frame);
        exchange_compressed(client, &frame);
    }
    server.settle();
    BYTES.load(Relaxed).wrapping_sub(before) / CONNECTIONS
}

#[test]
fn a_connection_that_compresses_each_message_by_itself_holds_400_bytes_more_than_one_that_does_not() {
    let _alone = alone();
    for bits in [9, 15] {
        let each =
            bytes_per_connection_that_compresses(Sender { window: WindowBits::new(bits).unwrap(), takeover: false });
        assert!(each < 600, "{each} bytes with {bits} bits");
    }
}

#[test]
fn a_connection_that_takes_its_context_over_holds_a_history_and_a_window_besides() {
    let _alone = alone();
    for bits in [9, 12, 15] {
        let window = WindowBits::new(bits).unwrap();
        let each = bytes_per_connection_that_compresses(Sender { window, takeover: true });
        let memory = (window.history_bytes() + window.window_bytes()) as u64;
        assert!((memory..memory + 600).contains(&each), "{each} bytes with {bits} bits");
    }
}

#[test]
fn a_compressed_echo_allocates_nothing() {
    let _alone = alone();
    for takeover in [true, false] {
        let server = Server::start();
        let sender = Sender { window: WindowBits::new(12).unwrap(), takeover };
        let mut client = server.connect_with(Some(Parameters { server: sender, client: sender }));
        let frame = compressed_frame();
        for _ in 0..20 {
            exchange_compressed(&mut client, &frame);
        }
        server.settle();
        let before = ALLOCATIONS.load(Relaxed);
        for _ in 0..500 {
            exchange_compressed(&mut client, &frame);
        }
        assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0, "takeover {takeover}");
    }
}

#[test]
fn an_echo_allocates_nothing() {
    let _alone = alone();
    let server = Server::start();
    let mut client = server.connect();
    let pipeline = frame(1).repeat(16);
    let mut replies = vec![0; 16 * 66];
    for _ in 0..10 {
        exchange(&mut client, &pipeline, &mut replies);
    }
    server.settle();
    let before = ALLOCATIONS.load(Relaxed);
    for _ in 0..500 {
        exchange(&mut client, &frame(1), &mut [0; 66]);
        exchange(&mut client, &pipeline, &mut replies);
    }
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
}

#[test]
fn an_echo_that_somebody_has_looked_at_allocates_nothing_afterwards() {
    let _alone = alone();
    let server = Server::start();
    let mut client = server.connect();
    let (told, frames) = mpsc::channel();
    let id = server.newest();
    let inspection = server.engine.inspect(id, move |shown| told.send(shown).unwrap()).unwrap();
    assert_eq!(frames.recv(), Ok(Shown::Begun));
    exchange(&mut client, &frame(1), &mut [0; 66]);
    assert!(frames.iter().take(2).all(|shown| matches!(shown, Shown::Frame(frame) if frame.len == 64)));
    drop(inspection);
    assert_eq!(frames.recv(), Err(mpsc::RecvError), "nobody is left who tells");
    server.settle();
    let before = ALLOCATIONS.load(Relaxed);
    for _ in 0..500 {
        exchange(&mut client, &frame(1), &mut [0; 66]);
    }
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
}

#[test]
fn a_fan_out_allocates_nothing() {
    const SUBSCRIBERS: usize = 100;
    let _alone = alone();
    let server = Server::start();
    let mut clients: Vec<_> = (0..SUBSCRIBERS).map(|_| server.connect()).collect();
    let mut reply = [0; 4 * 66];
    let batch = frame(2).repeat(4);
    let mut before = 0;
    for round in 0..60 {
        if round == 10 {
            server.settle();
            before = ALLOCATIONS.load(Relaxed);
        }
        clients[round % SUBSCRIBERS].write_all(&batch).unwrap();
        for client in &mut clients {
            client.read_exact(&mut reply).unwrap();
        }
    }
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
}

#[test]
fn messages_that_arrive_together_cost_one_read_and_one_write() {
    const ROUNDS: u64 = 200;
    let _alone = alone();
    let server = Server::start();
    let mut client = server.connect();
    let pipeline = frame(1).repeat(16);
    let before = server.settle();
    for _ in 0..ROUNDS {
        exchange(&mut client, &pipeline, &mut [0; 16 * 66]);
    }
    let after = server.settle();
    assert_eq!(after.messages_in - before.messages_in, 16 * ROUNDS);
    assert_eq!(after.messages_out - before.messages_out, 16 * ROUNDS);
    assert_eq!(after.reads - before.reads, ROUNDS);
    assert_eq!(after.writes - before.writes, ROUNDS);
    // And as many waits for events, besides those for the settling.
    assert!(after.turns - before.turns <= ROUNDS + 4, "{} turns", after.turns - before.turns);
}

#[test]
fn what_is_published_in_a_turn_costs_one_write_for_each_receiver() {
    const SUBSCRIBERS: u64 = 50;
    const ROUNDS: u64 = 20;
    let _alone = alone();
    let server = Server::start();
    let mut clients: Vec<_> = (0..SUBSCRIBERS).map(|_| server.connect()).collect();
    let batch = frame(2).repeat(16);
    let before = server.settle();
    for _ in 0..ROUNDS {
        clients[0].write_all(&batch).unwrap();
        for client in &mut clients {
            client.read_exact(&mut [0; 16 * 66]).unwrap();
        }
    }
    let after = server.settle();
    assert_eq!(after.messages_out - before.messages_out, 16 * SUBSCRIBERS * ROUNDS);
    assert_eq!(after.reads - before.reads, ROUNDS);
    assert_eq!(after.writes - before.writes, SUBSCRIBERS * ROUNDS);
}
