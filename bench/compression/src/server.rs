//! The engine with one loop, which echoes.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tautline_engine::{Engine, Handover, Host, Profile, Request, Settings};
use tautline_proto::Config;
use tautline_proto::app::{App, ConnectionId, Io, Message};
use tautline_proto::compression::Backend;
use tautline_proto::handshake::deflate::Parameters;

use crate::allocator;

struct Echo;

impl App for Echo {
    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        io.send(id, message);
    }
}

/// A server, which ends when it is dropped.
pub(crate) struct Server {
    /// Owns the loop.
    _engine: Engine,
    host: Host<Echo>,
    listener: TcpListener,
    profile: Arc<Profile>,
}

impl Server {
    pub(crate) fn start(backend: Backend) -> io::Result<Self> {
        allocator::count_this_thread(true);
        let server = Self::start_counted(backend);
        allocator::count_this_thread(false);
        server
    }

    fn start_counted(backend: Backend) -> io::Result<Self> {
        let engine = Engine::start(Settings::new().loops(1).deflate_backend(backend))?;
        let host = engine.host(0, Echo);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        // Nothing happens by itself.
        let profile = Arc::new(Profile::new(Config::new().ping_interval(None)));
        let server = Self { _engine: engine, host, listener, profile };
        server.on_the_loop(|| allocator::count_this_thread(true));
        Ok(server)
    }

    /// A client's socket, whose other end is open on the loop.
    pub(crate) fn connect(&self, deflate: Option<Parameters>) -> io::Result<TcpStream> {
        // What is allocated here is partly the loop's then.
        allocator::count_this_thread(true);
        let client = self.connect_counted(deflate);
        allocator::count_this_thread(false);
        client
    }

    fn connect_counted(&self, deflate: Option<Parameters>) -> io::Result<TcpStream> {
        let client = TcpStream::connect(self.listener.local_addr()?)?;
        client.set_nodelay(true)?;
        let (socket, peer) = self.listener.accept()?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let (opened, open) = mpsc::channel();
        let request = Request { peer: Some(peer), deflate, profile: self.profile.clone(), ..Request::default() };
        self.host.admit(request, move |admitted| {
            let admitted = admitted.map(|admitted| {
                admitted.adopt(Handover { socket, leftover: Vec::new() });
            });
            let _ = opened.send(admitted.is_ok());
        });
        match open.recv() {
            Ok(true) => Ok(client),
            _ => Err(io::Error::other("the loop has ended")),
        }
    }

    /// What the loop holds of the heap, when it has done what it was asked for.
    pub(crate) fn heap(&self) -> i64 {
        allocator::count_this_thread(true);
        self.on_the_loop(|| {});
        let held = self.on_the_loop(allocator::held);
        allocator::count_this_thread(false);
        held
    }

    /// Processor time that the loop's thread has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let time = self.on_the_loop(|| clock_gettime(ClockId::ThreadCPUTime));
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }

    fn on_the_loop<R: Send + 'static>(&self, call: impl FnOnce() -> R + Send + 'static) -> R {
        let (told, tell) = mpsc::channel();
        let visit = self.host.visit(move |_, _| drop(told.send(call())));
        visit.ok().and_then(|()| tell.recv().ok()).expect("the loop runs as long as its engine")
    }
}
