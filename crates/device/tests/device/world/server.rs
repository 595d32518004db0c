//! A server of the core, for one connection at a time.

use std::collections::VecDeque;

use tautline_device::Instant;
use tautline_proto::compression::{DeflateSpace, Deflater, InflateSpace, Inflater};
use tautline_proto::handshake::deflate::{Acceptance, Parameters};
use tautline_proto::handshake::{Limits, server};
use tautline_proto::{
    CloseCode, Config, Connection, Control, Data, Ended, Event, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role,
    Transport,
};

use super::Net;

static CONFIG: Config = Config::new();

/// How a handshake is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Accept,
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// Nothing.
    Silence,
}

/// A server, what it was told, and how it behaves.
pub struct Server {
    /// How the next handshakes are answered; those after them are accepted.
    pub answers: VecDeque<Answer>,
    pub subprotocols: &'static [&'static str],
    /// How it compresses, if it does.
    pub deflate: Option<Acceptance>,
    /// Whether it reads. What it does not read fills the pipe.
    pub reads: bool,
    /// Whether it notes what comes. Otherwise it needs no memory.
    pub notes: bool,
    pub targets: Vec<String>,
    pub heads: Vec<String>,
    pub messages: Vec<(Kind, String)>,
    /// How many frames the messages came in.
    pub frames: usize,
    /// How many messages came compressed.
    pub compressed: usize,
    pub pongs: Vec<u8>,
    pub ended: Vec<Ended>,
    seen: u32,
    input: Vec<u8>,
    session: Session,
}

enum Session {
    None,
    Opening(Box<server::Handshake>),
    Open(Box<Open>),
}

/// A connection, what it owes, the message that is coming in, and what compresses.
type Open = (Connection<&'static Config>, Control, Vec<u8>, Option<Codec>);

/// What was agreed, and what it takes.
struct Codec {
    inflater: Inflater,
    deflater: Deflater,
    inflate: InflateSpace,
    deflate: DeflateSpace,
}

impl Codec {
    fn new(agreed: Parameters) -> Self {
        Self {
            inflater: Inflater::new(Role::Server, agreed),
            deflater: Deflater::new(Role::Server, agreed),
            inflate: InflateSpace::default(),
            deflate: DeflateSpace::default(),
        }
    }
}

impl Server {
    pub fn new() -> Self {
        Self {
            answers: VecDeque::new(),
            subprotocols: &[],
            deflate: None,
            reads: true,
            notes: true,
            targets: Vec::new(),
            heads: Vec::new(),
            messages: Vec::new(),
            frames: 0,
            compressed: 0,
            pongs: Vec::new(),
            ended: Vec::new(),
            seen: 0,
            input: Vec::new(),
            session: Session::None,
        }
    }

    /// The payloads that came, in their order.
    pub fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|(_, text)| text.as_str()).collect()
    }

    pub fn is_open(&self) -> bool {
        matches!(&self.session, Session::Open(session) if session.0.is_open())
    }

    /// Sends one frame.
    pub fn send(&mut self, now: Instant, net: &Net, part: Part, payload: &[u8]) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        let mut head = [0; MAX_HEADER];
        let len = session.0.send(part, payload, [0; 4], &mut head).unwrap();
        net.to_client.borrow_mut().put(now, &head[..len]);
        net.to_client.borrow_mut().put(now, payload);
    }

    /// Sends a message compressed, in frames of at most so many bytes.
    pub fn send_compressed(&mut self, now: Instant, net: &Net, payload: &[u8], cut: usize) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        let (connection, _, _, codec) = &mut **session;
        let Codec { deflater, deflate, .. } = codec.as_mut().expect("compression was agreed on");
        let payload = deflater.deflate(deflate, payload).expect("it is worth it").to_vec();
        let last = payload.len().div_ceil(cut) - 1;
        for (index, frame) in payload.chunks(cut).enumerate() {
            let part = match (index, index == last) {
                (0, true) => Part::Whole(Kind::Text),
                (0, false) => Part::First(Kind::Text),
                (_, false) => Part::Next,
                (_, true) => Part::Last,
            };
            let mut head = [0; MAX_HEADER];
            let len = connection.send_compressed(part, frame, [0; 4], &mut head).unwrap();
            net.to_client.borrow_mut().put(now, &head[..len]);
            net.to_client.borrow_mut().put(now, frame);
        }
    }

    pub fn text(&mut self, now: Instant, net: &Net, text: &str) {
        self.send(now, net, Part::Whole(Kind::Text), text.as_bytes());
    }

    pub fn ping(&mut self, now: Instant) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        session.0.ping(now).unwrap();
    }

    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        let (connection, control, ..) = &mut **session;
        connection.close(now, code, reason, control);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.session {
            Session::Open(session) => session.0.poll_timeout(),
            _ => None,
        }
    }

    /// Does what is to be done now.
    pub fn turn(&mut self, now: Instant, net: &Net) {
        if net.connections.get() != self.seen {
            self.seen = net.connections.get();
            self.input.clear();
            self.session = Session::Opening(Box::new(server::Handshake::new(now, &Limits::DEFAULT)));
        }
        let mut ended = false;
        if self.reads {
            let mut piece = [0; 4096];
            while let Some(len) = net.to_server.borrow_mut().take(now, &mut piece) {
                self.input.extend_from_slice(&piece[..len]);
                ended = len == 0;
                if ended {
                    break;
                }
            }
        }
        if matches!(self.session, Session::Opening(_)) {
            self.open(now, net);
        }
        let Session::Open(session) = &mut self.session else { return };
        let (connection, control, message, codec) = &mut **session;
        let mut input = &mut self.input[..];
        while let Some(event) = connection.receive(now, &mut input, control) {
            if !self.notes {
                continue;
            }
            if let Event::Pong { payload, .. } = event {
                self.pongs.extend_from_slice(payload);
            }
            let mut take = |data: Data<'_>| {
                message.extend_from_slice(data.bytes());
                if data.is_last() {
                    let text = String::from_utf8_lossy(message).into_owned();
                    self.messages.push((data.kind(), text));
                    message.clear();
                }
                usize::from(data.is_last())
            };
            match event {
                Event::Data(data) => {
                    self.frames += usize::from(data.offset() == 0);
                    take(data);
                }
                Event::Compressed(piece) => {
                    let Codec { inflater, inflate, .. } = codec.as_mut().expect("compression was agreed on");
                    let mut inflation = inflater.inflate(inflate, piece);
                    while let Some(data) = inflation.next(connection, now, control) {
                        self.compressed += take(data);
                    }
                }
                _ => {}
            }
        }
        let left = input.len();
        self.input.drain(..self.input.len() - left);
        if ended {
            connection.receive_end();
        }
        connection.handle_timeout(now);
        let mut out = [0; MAX_CONTROL_FRAME];
        loop {
            let len = connection.poll_transmit(now, [0; 4], control, &mut out);
            if len == 0 {
                break;
            }
            net.to_client.borrow_mut().put(now, &out[..len]);
        }
        if connection.transport() == Transport::Close {
            if self.notes {
                self.ended.extend(connection.ended());
            }
            net.to_client.borrow_mut().finish(now);
            self.session = Session::None;
        }
    }

    fn open(&mut self, now: Instant, net: &Net) {
        let Session::Opening(handshake) = &mut self.session else { return };
        let server::Progress::Complete(request) = handshake.receive(now, &self.input) else { return };
        if self.notes {
            self.targets.push(request.target().to_owned());
            self.heads.push(String::from_utf8(self.input[..request.head_len()].to_vec()).unwrap());
        }
        let mut to_client = net.to_client.borrow_mut();
        match self.answers.pop_front().unwrap_or(Answer::Accept) {
            Answer::Accept => {
                let options = server::Options {
                    subprotocols: self.subprotocols,
                    deflate: self.deflate,
                    ..server::Options::default()
                };
                let accepted = request.accept(&options).expect("a good request");
                let mut out = [0; 512];
                let len = accepted.write_response(&[], &mut out).unwrap();
                let agreed = accepted.deflate();
                to_client.put(now, &out[..len]);
                let head_len = request.head_len();
                self.input.drain(..head_len);
                let connection = Connection::new(&CONFIG, Role::Server, now, 0).with_deflate(agreed);
                let codec = agreed.map(Codec::new);
                self.session = Session::Open(Box::new((connection, Control::new(), Vec::new(), codec)));
            }
            Answer::Bytes(bytes) => {
                to_client.put(now, &bytes);
                to_client.finish(now);
                self.session = Session::None;
            }
            Answer::Silence => self.session = Session::None,
        }
    }
}
