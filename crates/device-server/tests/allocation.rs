//! The server never allocates: a thousand connections of every kind under a counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};
use tautline_device_server::{
    Acceptor, Asset, ClientId, Clock, Handler, Io, Method, Outcome, Peer, Request, Respond, Responded, Server,
    Settings, Transport,
};
use tautline_proto::app::{Message, Slow};
use tautline_proto::{Data, Instant};

struct Counting;

thread_local! {
    /// Of this thread: the test program itself has others.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator that counts")]
// SAFETY: everything is the system's allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const PLACES: usize = 2;

/// What one connection sends; the last of each ends it.
const SCRIPTS: [&[u8]; 7] = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\
      \r\n4\r\ntrue\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\
      \x81\x85\0\0\0\0hello\x89\x80\0\0\0\0\x01\x82\0\0\0\0ab\x80\x82\0\0\0\0cd\x88\x82\0\0\0\0\x03\xe8",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\xff\xff",
    b"half a request",
];

/// Time, and connections that play the scripts one after the other.
#[derive(Default)]
struct World {
    now: Cell<u64>,
    begun: Cell<usize>,
    ended: Cell<usize>,
    /// How many connections may begin.
    most: Cell<usize>,
    sent: Cell<usize>,
}

struct Wire {
    world: &'static World,
    script: &'static [u8],
    at: Cell<usize>,
    len: Cell<usize>,
}

impl Clock for &'static World {
    fn now(&self) -> Instant {
        Instant::from_millis(self.now.get())
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> {
        poll_fn(move |_| if self.now() >= at { Poll::Ready(()) } else { Poll::Pending })
    }
}

struct Listener(&'static World);

impl Acceptor for Listener {
    type Error = Infallible;
    type Transport<'a> = Wire;

    fn accept(&mut self) -> impl Future<Output = Result<Wire, Infallible>> {
        let world = self.0;
        poll_fn(move |_| {
            let number = world.begun.get();
            if number == world.most.get() {
                return Poll::Pending;
            }
            world.begun.set(number + 1);
            Poll::Ready(Ok(Wire {
                world,
                script: SCRIPTS[number % SCRIPTS.len()],
                at: Cell::new(0),
                len: Cell::new(0),
            }))
        })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.world.ended.set(self.world.ended.get() + 1);
        assert!(self.len.get() > 0 || self.script == SCRIPTS[6], "every complete request is answered");
    }
}

impl Transport for Wire {
    type Reader<'t> = Half<'t>;
    type Writer<'t> = Half<'t>;

    fn peer(&self) -> Peer {
        Peer::default()
    }

    fn split(&mut self) -> (Half<'_>, Half<'_>) {
        (Half(self), Half(self))
    }

    async fn end(&mut self) {}
}

struct Half<'t>(&'t Wire);

impl ErrorType for Half<'_> {
    type Error = Infallible;
}

impl Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let rest = &self.0.script[self.0.at.get()..];
        let len = rest.len().min(buffer.len()).min(50);
        buffer[..len].copy_from_slice(&rest[..len]);
        self.0.at.set(self.0.at.get() + len);
        Ok(len)
    }
}

impl Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.len.set(self.0.len.get() + bytes.len());
        self.0.world.sent.set(self.0.world.sent.get() + bytes.len());
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Program;

static PAGE: Asset = Asset::new("/", "text/plain", b"hello").tagged("\"1\"");

impl Handler for Program {
    fn request(&mut self, _: &mut dyn Io, request: &Request<'_>, respond: Respond<'_>) -> Outcome {
        match request.method() {
            Method::Post => Outcome::Json { limit: 100 },
            _ => respond.asset(&PAGE).into(),
        }
    }

    fn complete(&mut self, io: &mut dyn Io, _: ClientId, respond: Respond<'_>) -> Responded {
        io.broadcast(Message::Text("posted"), Slow::DropOldest);
        respond.json(200, 42)
    }

    fn message(&mut self, io: &mut dyn Io, client: ClientId, data: &Data<'_>) {
        io.send_part(client, data.part(), data.bytes()).expect("room for an echo");
        io.broadcast(Message::Binary(b"news"), Slow::KeepLatest);
    }
}

#[test]
fn a_thousand_connections_allocate_nothing() {
    static SETTINGS: Settings = Settings::new();
    let world: &'static World = Box::leak(Box::default());
    let server = Server::<_, _, PLACES, 512, 512>::new(&SETTINGS, Program, world);
    let serving = server.serve([Listener(world), Listener(world), Listener(world)]);
    let in_memory = size_of_val(&serving) + size_of_val(&server);
    let mut serving = pin!(serving);
    let mut context = Context::from_waker(Waker::noop());
    let mut run = |connections: usize| {
        world.most.set(connections);
        for _ in 0..1_000_000 {
            assert!(serving.as_mut().poll(&mut context).is_pending());
            world.now.set(world.now.get() + 10);
            if world.ended.get() == connections {
                return;
            }
        }
        panic!("{} of {connections} connections have ended", world.ended.get());
    };
    // Once around, for what the standard library itself sets up.
    run(SCRIPTS.len());
    let before = ALLOCATIONS.get();
    run(1000);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(world.sent.get() > 100_000);
    // All of the server's memory, on a host: the documentation tells what it is on a chip.
    assert!(in_memory <= PLACES * (440 + 512) + 3 * (1300 + 512) + 200, "{in_memory}");
}
