//! A client that checks its answers.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use tautline_proto::compression::{DeflateSpace, Deflater, InflateSpace, Inflater};
use tautline_proto::{Config, Connection, Control, Event, Instant, Kind, MAX_HEADER, Part, Role};

use crate::cases::Case;

/// What the clients share.
#[derive(Default)]
pub(crate) struct Tools {
    deflate: DeflateSpace,
    inflate: InflateSpace,
    buffer: Vec<u8>,
}

/// An open connection.
pub(crate) struct Client {
    socket: TcpStream,
    core: Connection<&'static Config>,
    compression: Option<(Inflater, Deflater)>,
    expected: String,
    received_bytes: u64,
}

static CONFIG: Config = Config::new();

impl Client {
    pub(crate) fn new(socket: TcpStream, case: &Case) -> Self {
        let deflate = case.deflate();
        let core = Connection::new(&CONFIG, Role::Client, Instant::ZERO, 0).with_deflate(deflate);
        let compression =
            deflate.map(|agreed| (Inflater::new(Role::Client, agreed), Deflater::new(Role::Client, agreed)));
        Self { socket, core, compression, expected: String::new(), received_bytes: 0 }
    }

    /// Sends a message and waits for the same.
    pub(crate) fn exchange(&mut self, tools: &mut Tools, message: &str) -> io::Result<()> {
        self.send(tools, message)?;
        self.receive(tools)
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, tools: &mut Tools, message: &str) -> io::Result<()> {
        let (part, mut head) = (Part::Whole(Kind::Text), [0; MAX_HEADER]);
        let deflater = self.compression.as_mut().map(|(_, deflater)| deflater);
        let compressed = deflater.and_then(|deflater| deflater.deflate(&mut tools.deflate, message.as_bytes()));
        // Masked with zeros, which leave it as it is.
        let (len, payload) = match compressed {
            Some(payload) => (self.core.send_compressed(part, payload, [0; 4], &mut head), payload),
            None => (self.core.send(part, message.as_bytes(), [0; 4], &mut head), message.as_bytes()),
        };
        let len = len.map_err(|error| io::Error::other(format!("{error:?}")))?;
        self.expected = message.to_owned();
        self.socket.write_all(&[&head[..len], payload].concat())
    }

    /// Waits for the answer to the message that was sent last.
    pub(crate) fn receive(&mut self, tools: &mut Tools) -> io::Result<()> {
        let (mut control, mut answer, mut last) = (Control::new(), Vec::new(), false);
        tools.buffer.resize(64 * 1024, 0);
        let mut kept = 0;
        while !last {
            let read = self.socket.read(&mut tools.buffer[kept..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.received_bytes += read as u64;
            let end = kept + read;
            let mut input = &mut tools.buffer[..end];
            while let Some(event) = self.core.receive(Instant::ZERO, &mut input, &mut control) {
                match (event, &mut self.compression) {
                    (Event::Data(data), _) => {
                        answer.extend_from_slice(data.bytes());
                        last |= data.is_last();
                    }
                    (Event::Compressed(piece), Some((inflater, _))) => {
                        let mut inflation = inflater.inflate(&mut tools.inflate, piece);
                        while let Some(data) = inflation.next(&mut self.core, Instant::ZERO, &mut control) {
                            answer.extend_from_slice(data.bytes());
                            last |= data.is_last();
                        }
                    }
                    _ => {}
                }
            }
            kept = input.len();
            tools.buffer.copy_within(end - kept..end, 0);
        }
        match answer == self.expected.as_bytes() {
            true => Ok(()),
            false => Err(io::Error::other("an answer is not what was sent")),
        }
    }

    /// Bytes that have come, with their headers.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }
}
