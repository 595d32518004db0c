//! What connections of a server cost in memory: how much they hold, and how often they allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use tautline::deflate::{Acceptance, Sender, WindowBits};
use tautline::{Request, Server, WebSocket};

/// The system's allocator; counts what the server's thread allocates.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory was allocated, and how many bytes of it were freed.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count(allocated: usize, freed: usize) {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(usize::from(allocated > 0), Relaxed);
        ALLOCATED.fetch_add(allocated, Relaxed);
        FREED.fetch_add(freed, Relaxed);
    }
}

// SAFETY: every call is passed on as it is.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What is counted is counted for all tests together.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn held() -> usize {
    ALLOCATED.load(Relaxed) - FREED.load(Relaxed)
}

/// A server on a thread of its own, which ends with the process.
fn serve<F: Future<Output = ()> + Send + 'static>(
    handler: impl Fn(WebSocket, Request) -> F + Send + Sync + 'static,
) -> SocketAddr {
    serve_by(Server::new(), handler)
}

fn serve_by<F: Future<Output = ()> + Send + 'static>(
    server: Server,
    handler: impl Fn(WebSocket, Request) -> F + Send + Sync + 'static,
) -> SocketAddr {
    let (address, listening) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(listener.local_addr().unwrap()).unwrap();
            COUNTED.set(true);
            server.serve(listener, handler, pending::<()>()).await.unwrap();
        });
    });
    listening.recv().unwrap()
}

async fn echo(mut ws: WebSocket) {
    while let Some(message) = ws.recv().await {
        let _ = ws.send(message).await;
    }
}

fn open(server: SocketAddr) -> TcpStream {
    open_with(server, "")
}

/// With further lines of the request's head.
fn open_with(server: SocketAddr, lines: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "GET /path?query HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    stream.write_all(format!("{request}{lines}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream
}

const PAYLOAD: usize = 64;

/// Sends messages in one write, and waits for their echoes.
fn exchange(stream: &mut TcpStream, messages: usize) {
    let mut frame = vec![0x82, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];
    frame.extend([b'x'; PAYLOAD]);
    stream.write_all(&frame.repeat(messages)).unwrap();
    let mut echoes = vec![0; (2 + PAYLOAD) * messages];
    stream.read_exact(&mut echoes).unwrap();
}

/// Sends a compressed message that refers to nothing before it, and waits for its echo, which is compressed, too.
fn exchange_compressed(stream: &mut TcpStream) {
    /// zlib's of "temperature, temperature, temperature".
    const COMPRESSED: &[u8] = b"\x2a\x49\xcd\x2d\x48\x2d\x4a\x2c\x29\x2d\x4a\xd5\x51\x28\xc1\xc1\x01\x00";
    let mut frame = vec![0xc1, 0x80 | COMPRESSED.len() as u8, 0, 0, 0, 0];
    frame.extend(COMPRESSED);
    stream.write_all(&frame).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0xc1);
    stream.read_exact(&mut vec![0; head[1].into()]).unwrap();
}

/// As [`bytes_per_idle_connection`], of connections that compress like that and have been used.
fn bytes_per_connection_that_compresses(sender: Sender) -> usize {
    const CONNECTIONS: usize = 200;
    let acceptance = Acceptance { server: sender, client: sender, ..Acceptance::default() };
    let server = serve_by(Server::new().deflate(acceptance), |ws, _| echo(ws));
    let open = || {
        let mut stream = open_with(server, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
        (0..2).for_each(|_| exchange_compressed(&mut stream));
        stream
    };
    let mut streams: Vec<_> = std::iter::repeat_with(open).take(100).collect();
    let before = held();
    streams.extend(std::iter::repeat_with(open).take(CONNECTIONS));
    (held() - before) / CONNECTIONS
}

/// How many bytes each further connection adds to what the server holds.
fn bytes_per_idle_connection(server: SocketAddr) -> usize {
    const CONNECTIONS: usize = 900;
    let mut streams: Vec<_> = (0..100).map(|_| open(server)).collect();
    // The server takes what comes in turn: with this answer, everything before is done.
    exchange(&mut streams[99], 1);
    let before = held();
    streams.extend((0..CONNECTIONS).map(|_| open(server)));
    exchange(streams.last_mut().unwrap(), 1);
    (held() - before) / CONNECTIONS
}

/// Allocations per echoed message, once everything that is kept has been allocated.
fn allocations_per_message(batch: usize) -> f64 {
    const ROUNDS: usize = 200;
    const WINDOWS: usize = 20;
    let mut stream = open(serve(|ws, _| echo(ws)));
    (0..20).for_each(|_| exchange(&mut stream, batch));
    let window = || {
        let before = ALLOCATIONS.load(Relaxed);
        (0..ROUNDS).for_each(|_| exchange(&mut stream, batch));
        ALLOCATIONS.load(Relaxed) - before
    };
    // The servers of other tests may still be busy with the ends of their connections. That only adds, so the least counts.
    let least = std::iter::repeat_with(window).take(WINDOWS).min().unwrap_or_default();
    least as f64 / (ROUNDS * batch) as f64
}

#[test]
fn an_idle_connection_holds_1400_bytes_at_most() {
    let _alone = alone();
    let bytes = bytes_per_idle_connection(serve(|ws, _| echo(ws)));
    assert!(bytes <= 1400, "{bytes}");
}

#[test]
fn a_connection_that_compresses_holds_200_bytes_more_and_what_it_takes_over() {
    let _alone = alone();
    for (bits, takeover) in [(9, true), (12, true), (15, true), (15, false)] {
        let window = WindowBits::new(bits).unwrap();
        let memory = if takeover { window.history_bytes() + window.window_bytes() } else { 0 };
        let bytes = bytes_per_connection_that_compresses(Sender { window, takeover });
        assert!((memory..=memory + 1600).contains(&bytes), "{bytes} with {bits} bits, takeover {takeover}");
    }
}

#[test]
fn a_handler_that_keeps_its_request_does_not_keep_what_it_was_read_into() {
    let _alone = alone();
    let bytes = bytes_per_idle_connection(serve(|ws, request| async move {
        echo(ws).await;
        drop(request);
    }));
    assert!(bytes <= 2800, "{bytes}");
}

#[test]
fn a_received_message_is_one_allocation_and_its_echo_none() {
    let _alone = alone();
    for batch in [1, 16] {
        let allocations = allocations_per_message(batch);
        assert!(allocations <= 1.03, "{allocations} in batches of {batch}");
    }
}
