//! Clients, and an app that tells the test what happens.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tautline_engine::{Admitted, Connection, Counters, Engine, Handover, Host, Profile, Request, Settings};
use tautline_proto::app::{App, ConnectionId, Io, Message, Opening};
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{Config, Ended, Header, MAX_HEADER, OpCode, mask};

/// Nothing here takes that long; what does has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

// ---- the app ----

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    Admit(ConnectionId, String),
    Open(ConnectionId),
    Text(ConnectionId, String),
    Binary(ConnectionId, Vec<u8>),
    Drained(ConnectionId),
    Closed(ConnectionId, Option<Ended>),
    Timer(u64),
    Dropped,
}

type Act = dyn FnMut(&mut dyn Io, &Happened) + Send;

/// Tells of every call, and then does what `act` does. Refuses the path `/refused`, panics for `/panic`.
pub(crate) struct Recorder {
    record: Sender<Happened>,
    act: Box<Act>,
    /// For visitors.
    pub(crate) visits: u32,
}

pub(crate) struct Record(Receiver<Happened>);

impl Recorder {
    pub(crate) fn new(act: impl FnMut(&mut dyn Io, &Happened) + Send + 'static) -> (Self, Record) {
        let (record, receiver) = mpsc::channel();
        (Self { record, act: Box::new(act), visits: 0 }, Record(receiver))
    }

    /// Sends back every message.
    pub(crate) fn echo() -> (Self, Record) {
        Self::new(|io, happened| match happened {
            Happened::Text(id, text) => drop(io.send(*id, Message::Text(text))),
            Happened::Binary(id, bytes) => drop(io.send(*id, Message::Binary(bytes))),
            _ => {}
        })
    }

    fn happened(&mut self, io: &mut dyn Io, happened: Happened) {
        let _ = self.record.send(happened.clone());
        (self.act)(io, &happened);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.record.send(Happened::Dropped);
    }
}

impl App for Recorder {
    fn admit(&mut self, io: &mut dyn Io, id: ConnectionId, opening: &Opening<'_>) -> Result<(), Rejection> {
        match opening.path {
            "/refused" => return Err(Rejection::new(409)),
            "/panic" => panic!("on purpose"),
            path => self.happened(io, Happened::Admit(id, path.to_owned())),
        }
        Ok(())
    }

    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Happened::Open(id));
    }

    fn message(&mut self, io: &mut dyn Io, id: ConnectionId, message: Message<'_>) {
        let happened = match message {
            Message::Text(text) => Happened::Text(id, text.to_owned()),
            Message::Binary(bytes) => Happened::Binary(id, bytes.to_vec()),
        };
        self.happened(io, happened);
    }

    fn drained(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.happened(io, Happened::Drained(id));
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, ended: Option<Ended>) {
        self.happened(io, Happened::Closed(id, ended));
    }

    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        self.happened(io, Happened::Timer(timer));
    }
}

impl Record {
    pub(crate) fn next(&self) -> Happened {
        self.0.recv_timeout(LIMIT).expect("something happens")
    }

    /// Waits for what `wanted` finds.
    pub(crate) fn until<R>(&self, mut wanted: impl FnMut(&Happened) -> Option<R>) -> R {
        loop {
            if let Some(found) = wanted(&self.next()) {
                return found;
            }
        }
    }

    pub(crate) fn closed(&self, id: ConnectionId) -> Option<Ended> {
        self.until(|happened| match happened {
            Happened::Closed(closed, ended) if *closed == id => Some(*ended),
            _ => None,
        })
    }

    /// Everything that is left, once the app is gone.
    pub(crate) fn rest(self) -> Vec<Happened> {
        let mut rest = Vec::new();
        while rest.last() != Some(&Happened::Dropped) {
            rest.push(self.next());
        }
        rest
    }
}

// ---- the engine ----

pub(crate) fn engine(loops: usize) -> Engine {
    Engine::start(Settings::new().loops(loops)).expect("an engine")
}

/// Nobody is pinged, and anything is allowed.
pub(crate) fn profile() -> Arc<Profile> {
    static PROFILE: OnceLock<Arc<Profile>> = OnceLock::new();
    let config = Config::new().ping_interval(None).max_frame(u64::MAX).max_message(u64::MAX);
    PROFILE.get_or_init(|| Arc::new(Profile::new(config))).clone()
}

/// Asks for an admission and waits for the answer.
pub(crate) fn admit<A: ?Sized>(host: &Host<A>, path: &str) -> Result<Admitted, Rejection> {
    let request = Request { path: path.into(), profile: profile(), ..Request::default() };
    ask(host, request)
}

pub(crate) fn ask<A: ?Sized>(host: &Host<A>, request: Request) -> Result<Admitted, Rejection> {
    let (answer, answered) = mpsc::channel();
    host.admit(request, move |admitted| answer.send(admitted).expect("somebody waits"));
    answered.recv_timeout(LIMIT).expect("an answer")
}

/// The two ends of a connection, ours non-blocking.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.set_write_timeout(Some(LIMIT)).unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nonblocking(true).unwrap();
    (server, client)
}

pub(crate) fn handover(socket: TcpStream) -> Handover {
    Handover {
        socket,
        #[cfg(feature = "tls")]
        tls: None,
        leftover: Vec::new(),
    }
}

/// A client on a loop.
pub(crate) fn connect<A: ?Sized>(host: &Host<A>) -> (Connection, Client<TcpStream>) {
    let (server, client) = pair();
    let connection = admit(host, "/").expect("admitted").adopt(handover(server));
    (connection, Client::new(client))
}

/// Waits until a loop has counted what is wanted.
pub(crate) fn counted(engine: &Engine, index: usize, wanted: impl Fn(&Counters) -> bool) -> Counters {
    let start = Instant::now();
    loop {
        let counters = engine.counters()[index];
        if wanted(&counters) {
            return counters;
        }
        assert!(start.elapsed() < LIMIT, "{counters:?}");
        std::thread::yield_now();
    }
}

// ---- clients ----

/// A frame as a client sends it.
pub(crate) fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let key = [0x5a, payload.len() as u8, 0xc3, 0x0f];
    let mut head = [0; MAX_HEADER];
    let len =
        Header { fin: true, opcode, compressed: false, mask: Some(key), len: payload.len() as u64 }.encode(&mut head);
    let mut frame = [&head[..len], payload].concat();
    mask::apply(key, 0, &mut frame[len..]);
    frame
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(OpCode::Text, text.as_bytes())
}

/// The other end of a transport that blocks.
pub(crate) struct Client<T> {
    pub(crate) transport: T,
    read: Vec<u8>,
    at: usize,
}

impl<T: Read + Write> Client<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self { transport, read: Vec::new(), at: 0 }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.transport.write_all(bytes).expect("written");
        self.transport.flush().expect("flushed");
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.send_bytes(&self::text(text));
    }

    pub(crate) fn close(&mut self, code: u16) {
        self.send_bytes(&frame(OpCode::Close, &code.to_be_bytes()));
    }

    /// The next frame; `None` at the end.
    pub(crate) fn frame(&mut self) -> io::Result<Option<(OpCode, Vec<u8>)>> {
        loop {
            let unread = &self.read[self.at..];
            if let Some((header, len)) = Header::decode(unread).expect("a frame's header")
                && let Some(payload) = unread.get(len..len + header.len as usize)
            {
                assert!(header.fin && header.mask.is_none());
                let frame = (header.opcode, payload.to_vec());
                self.at += len + frame.1.len();
                return Ok(Some(frame));
            }
            self.read.drain(..self.at);
            self.at = 0;
            let mut chunk = [0; 64 * 1024];
            match self.transport.read(&mut chunk)? {
                0 => {
                    assert!(self.read.is_empty(), "a frame is cut off");
                    return Ok(None);
                }
                n => self.read.extend_from_slice(&chunk[..n]),
            }
        }
    }

    pub(crate) fn message(&mut self) -> Vec<u8> {
        let (opcode, payload) = self.frame().expect("read").expect("a message");
        assert!(!opcode.is_control(), "{opcode:?} {payload:?}");
        payload
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.message()).unwrap()
    }

    /// Skips to the close frame and answers its code.
    pub(crate) fn closed(&mut self) -> u16 {
        loop {
            let (opcode, payload) = self.frame().expect("read").expect("a close frame");
            if opcode == OpCode::Close {
                return u16::from_be_bytes(*payload.first_chunk().expect("a code"));
            }
        }
    }

    /// The end of the transport comes, properly or not.
    pub(crate) fn ends(&mut self) {
        while let Ok(Some(_)) = self.frame() {}
    }
}

impl Client<TcpStream> {
    /// Ends the sending direction.
    pub(crate) fn end(&self) {
        self.transport.shutdown(Shutdown::Write).unwrap();
    }
}
