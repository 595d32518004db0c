//! A server of the core, for one connection at a time.

use std::collections::VecDeque;

use tautline_device::Instant;
use tautline_proto::handshake::{Limits, server};
use tautline_proto::{
    CloseCode, Config, Connection, Control, Ended, Event, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role, Transport,
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
    /// Whether it reads. What it does not read fills the pipe.
    pub reads: bool,
    /// Whether it notes what comes. Otherwise it needs no memory.
    pub notes: bool,
    pub targets: Vec<String>,
    pub heads: Vec<String>,
    pub messages: Vec<(Kind, String)>,
    /// How many frames the messages came in.
    pub frames: usize,
    pub pongs: Vec<u8>,
    pub ended: Vec<Ended>,
    seen: u32,
    input: Vec<u8>,
    session: Session,
}

enum Session {
    None,
    Opening(Box<server::Handshake>),
    Open(Box<(Connection<&'static Config>, Control, Vec<u8>)>),
}

impl Server {
    pub fn new() -> Self {
        Self {
            answers: VecDeque::new(),
            subprotocols: &[],
            reads: true,
            notes: true,
            targets: Vec::new(),
            heads: Vec::new(),
            messages: Vec::new(),
            frames: 0,
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

    pub fn text(&mut self, now: Instant, net: &Net, text: &str) {
        self.send(now, net, Part::Whole(Kind::Text), text.as_bytes());
    }

    pub fn ping(&mut self, now: Instant) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        session.0.ping(now).unwrap();
    }

    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        let Session::Open(session) = &mut self.session else { panic!("no connection") };
        let (connection, control, _) = &mut **session;
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
        let (connection, control, message) = &mut **session;
        let mut input = &mut self.input[..];
        while let Some(event) = connection.receive(now, &mut input, control) {
            if !self.notes {
                continue;
            }
            if let Event::Pong { payload, .. } = event {
                self.pongs.extend_from_slice(payload);
            }
            let Event::Data(data) = event else { continue };
            message.extend_from_slice(data.bytes());
            self.frames += usize::from(data.offset() == 0);
            if data.is_last() {
                let text = String::from_utf8_lossy(message).into_owned();
                self.messages.push((data.kind(), text));
                message.clear();
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
                let options = server::Options { subprotocols: self.subprotocols, ..server::Options::default() };
                let accepted = request.accept(&options).expect("a good request");
                let mut out = [0; 512];
                let len = accepted.write_response(&[], &mut out).unwrap();
                to_client.put(now, &out[..len]);
                let head_len = request.head_len();
                self.input.drain(..head_len);
                let connection = Connection::new(&CONFIG, Role::Server, now, 0);
                self.session = Session::Open(Box::new((connection, Control::new(), Vec::new())));
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
