//! What connections of a server cost in memory: how much they hold, and how often they allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};

use tautline::{Request, WebSocket};

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
    let (address, listening) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            address.send(listener.local_addr().unwrap()).unwrap();
            COUNTED.set(true);
            tautline::serve(listener, handler, pending::<()>()).await.unwrap();
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
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "GET /path?query HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
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
