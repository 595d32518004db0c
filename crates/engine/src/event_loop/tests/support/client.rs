//! A client: the protocol core in the other role, at the other end of a simulated transport.

use tautline_proto::compression::{DeflateSpace, Deflater, InflateSpace, Inflater};
use tautline_proto::handshake::deflate::Parameters;
use tautline_proto::{
    Config, Connection, Control, Data, Ended, Event, Instant, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role,
    Transport, mask,
};

use super::sim::Peer;

struct Compression {
    inflater: Inflater,
    deflater: Deflater,
    inflating: InflateSpace,
    deflating: DeflateSpace,
}

static CONFIG: Config = Config::new().ping_interval(None);

/// Answers pings and close frames, and puts messages together.
pub(crate) struct Client {
    pub(crate) peer: Peer,
    core: Connection<&'static Config>,
    control: Control,
    /// How much of what was written has been looked at.
    seen: usize,
    unread: Vec<u8>,
    message: Vec<u8>,
    compression: Option<Compression>,
    pub(crate) messages: Vec<(Kind, Vec<u8>)>,
    over: bool,
}

impl Client {
    pub(crate) fn new(peer: Peer, now: Instant) -> Self {
        Self {
            peer,
            core: Connection::new(&CONFIG, Role::Client, now, 0),
            control: Control::new(),
            seen: 0,
            unread: Vec::new(),
            message: Vec::new(),
            compression: None,
            messages: Vec::new(),
            over: false,
        }
    }

    /// Compresses as was agreed.
    pub(crate) fn with_deflate(mut self, agreed: Option<Parameters>) -> Self {
        self.core = self.core.with_deflate(agreed);
        self.compression = agreed.map(|agreed| Compression {
            inflater: Inflater::new(Role::Client, agreed),
            deflater: Deflater::new(Role::Client, agreed),
            inflating: InflateSpace::default(),
            deflating: DeflateSpace::default(),
        });
        self
    }

    pub(crate) fn is_open(&self) -> bool {
        self.core.is_open() && !self.over
    }

    /// Sends a message, or a part of one.
    pub(crate) fn send(&mut self, part: Part, payload: &[u8]) -> bool {
        let key = [7, payload.len() as u8, 99, 3];
        let mut head = [0; MAX_HEADER];
        let open = self.core.is_open() && !self.core.is_message_in_progress();
        let compressed = match (&mut self.compression, part) {
            (Some(Compression { deflater, deflating, .. }), Part::Whole(_)) if open => {
                deflater.deflate(deflating, payload)
            }
            _ => None,
        };
        let (sent, payload) = match compressed {
            Some(compressed) => (self.core.send_compressed(part, compressed, key, &mut head), compressed),
            None => (self.core.send(part, payload, key, &mut head), payload),
        };
        let Ok(len) = sent else { return false };
        let mut frame = [&head[..len], payload].concat();
        mask::apply(key, 0, &mut frame[len..]);
        self.peer.send_bytes(&frame);
        true
    }

    pub(crate) fn ping(&mut self, now: Instant) {
        let _ = self.core.ping(now);
        self.transmit(now);
    }

    pub(crate) fn close(&mut self, now: Instant, code: tautline_proto::CloseCode) {
        self.core.close(now, code, "", &mut self.control);
        self.transmit(now);
    }

    /// Ends both directions, whatever was to come.
    pub(crate) fn end(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.peer.end();
        }
    }

    pub(crate) fn reset(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.peer.reset();
        }
    }

    /// Looks at what has come.
    pub(crate) fn receive(&mut self, now: Instant) {
        let new = self.peer.wire().written[self.seen..].to_vec();
        self.seen += new.len();
        let mut bytes = std::mem::take(&mut self.unread);
        bytes.extend(new);
        let mut input = &mut bytes[..];
        while let Some(event) = self.core.receive(now, &mut input, &mut self.control) {
            let Self { core, control, compression, message, messages, .. } = self;
            let mut take = |data: &Data<'_>| {
                message.extend_from_slice(data.bytes());
                if data.is_last() {
                    messages.push((data.kind(), std::mem::take(message)));
                }
            };
            match (event, compression) {
                (Event::Data(data), _) => take(&data),
                (Event::Compressed(piece), Some(Compression { inflater, inflating, .. })) => {
                    let mut inflation = inflater.inflate(inflating, piece);
                    while let Some(data) = inflation.next(core, now, control) {
                        take(&data);
                    }
                }
                _ => {}
            }
        }
        self.unread = input.to_vec();
        if let Some(Ended::Violation(violation)) = self.core.ended() {
            panic!("the server broke a rule: {violation}");
        }
        self.transmit(now);
        let wire_ended = {
            let wire = self.peer.wire();
            wire.shut || wire.dropped
        };
        if wire_ended {
            self.core.receive_end();
        }
        if self.core.transport() == Transport::Close {
            self.end();
        }
    }

    fn transmit(&mut self, now: Instant) {
        let mut out = [0; MAX_CONTROL_FRAME];
        loop {
            let n = self.core.poll_transmit(now, [1, 2, 3, 4], &mut self.control, &mut out);
            if n == 0 {
                return;
            }
            if !self.over {
                self.peer.send_bytes(&out[..n]);
            }
        }
    }
}
