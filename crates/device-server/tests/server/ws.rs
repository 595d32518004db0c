//! The client's side of a WebSocket over a simulated connection, by the core.

use tautline_device_server::Handler;
use tautline_proto::{Config, Connection, Control, Event, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role, mask};

use crate::support::{Bed, Client};

pub(crate) static CONFIG: Config = Config::new().ping_interval(None);

pub(crate) const REQUEST: &str = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    Close(u16, String),
}

pub(crate) struct Ws {
    pub(crate) client: Client,
    pub(crate) core: Connection<&'static Config>,
    control: Control,
    input: Vec<u8>,
    message: Vec<u8>,
}

impl Ws {
    /// Opens one at this path.
    pub(crate) fn open<H: Handler + 'static>(bed: &mut Bed<H>, path: &str) -> Self {
        let client = bed.connect();
        let answer = bed.exchange(&client, format!("GET {path} HTTP/1.1\r\n{REQUEST}\r\n").as_bytes());
        let (head, frames) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        assert!(head.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        let input = frames.as_bytes().to_vec();
        let core = Connection::new(&CONFIG, Role::Client, bed.world.now(), 0);
        Self { client, core, control: Control::new(), input, message: Vec::new() }
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, part: Part, payload: &[u8]) {
        let key = [1, 2, 3, 4];
        let mut head = [0; MAX_HEADER];
        let len = self.core.send(part, payload, key, &mut head).expect("an open connection");
        let mut payload = payload.to_vec();
        mask::apply(key, 0, &mut payload);
        self.client.send(&head[..len]);
        self.client.send(&payload);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.send(Part::Whole(Kind::Text), text.as_bytes());
    }

    /// Begins to close.
    pub(crate) fn close<H: Handler + 'static>(&mut self, bed: &Bed<H>, code: u16) {
        let code = tautline_proto::CloseCode::new(code).expect("a code");
        self.core.close(bed.world.now(), code, "bye", &mut self.control);
        self.drain(bed);
    }

    pub(crate) fn ping<H: Handler + 'static>(&mut self, bed: &Bed<H>) {
        self.core.ping(bed.world.now()).expect("an open connection");
        self.drain(bed);
    }

    fn drain<H: Handler + 'static>(&mut self, bed: &Bed<H>) {
        let mut frame = [0; MAX_CONTROL_FRAME];
        loop {
            match self.core.poll_transmit(bed.world.now(), [5; 4], &mut self.control, &mut frame) {
                0 => return,
                len => self.client.send(&frame[..len]),
            }
        }
    }

    /// What has arrived by now; answers what the protocol wants answered.
    pub(crate) fn told<H: Handler + 'static>(&mut self, bed: &mut Bed<H>) -> Vec<Told> {
        bed.settle();
        self.input.extend(self.client.received());
        let mut told = Vec::new();
        let mut input = &mut self.input[..];
        while let Some(event) = self.core.receive(bed.world.now(), &mut input, &mut self.control) {
            match event {
                Event::Data(data) => {
                    self.message.extend_from_slice(data.bytes());
                    if data.is_last() {
                        let message = std::mem::take(&mut self.message);
                        told.push(match data.kind() {
                            Kind::Text => Told::Text(String::from_utf8(message).expect("text")),
                            Kind::Binary => Told::Binary(message),
                        });
                    }
                }
                Event::Compressed(_) => panic!("compression was not agreed on"),
                Event::Ping(_) => told.push(Told::Ping),
                Event::Pong { payload, .. } => told.push(Told::Pong(payload.to_vec())),
                Event::Close { code, reason } => told.push(Told::Close(code.as_u16(), reason.into())),
            }
        }
        let rest = input.len();
        self.input.drain(..self.input.len() - rest);
        self.drain(bed);
        bed.settle();
        told
    }
}

pub(crate) fn text(text: &str) -> Told {
    Told::Text(text.into())
}
