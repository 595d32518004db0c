//! Scripts against the core itself, in every way that bytes can arrive.

use std::mem;

use tautline_proto::{
    Config, Connection, Control, Data, Event, Instant, Kind, MAX_CONTROL_FRAME, MAX_HEADER, Part, Role, mask,
};

use crate::outcome::{Outcome, Seen, Sent};
use crate::script::Script;
use crate::wire::{self, BINARY, CLOSE, FIN, PONG, TEXT};

/// Inputs up to this length are tried byte by byte.
const MOST_BYTE_BY_BYTE: usize = 200_000;
/// Inputs up to this length are tried with a cut at every place.
const MOST_CUTS: usize = 700;
/// Messages up to this length are sent back.
const MOST_ECHO: usize = 1 << 20;

/// Runs the script in one piece, in the pieces that it names, byte by byte, cut once at every place, and cut at random.
/// Something different must never come of it.
///
/// # Errors
///
/// What was wrong, and for which way of cutting.
pub fn run(script: &Script) -> Result<(), String> {
    let whole = script.input().concat();
    let check = |way: &str, cuts: &[usize]| {
        let outcome = converse(script, &whole, cuts, Answers::AtOnce).map_err(|e| format!("{way}: {e}"))?;
        script.check(&outcome).map_err(|e| format!("{way}: {e}"))
    };
    check("in one piece", &[])?;
    let mut at = 0;
    let pauses: Vec<usize> = script.input().iter().map(|piece| (at += piece.len(), at).1).collect();
    check("in the script's pieces", &pauses)?;
    let outcome = converse(script, &whole, &[], Answers::AtTheEnd)?;
    script.check_late_answers(&outcome).map_err(|e| format!("with answers at the end: {e}"))?;
    if whole.len() <= MOST_BYTE_BY_BYTE {
        check("byte by byte", &(1..whole.len()).collect::<Vec<_>>())?;
    }
    if whole.len() <= MOST_CUTS {
        for cut in 1..whole.len() {
            check(&format!("cut at {cut}"), &[cut])?;
        }
    }
    let rounds = if whole.len() <= MOST_BYTE_BY_BYTE { 8 } else { 2 };
    for seed in 0..rounds {
        check(&format!("cut at random, seed {seed}"), &random_cuts(whole.len(), seed))?;
    }
    Ok(())
}

/// When the transport takes what the endpoint has to answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    AtOnce,
    AtTheEnd,
}

/// Carries the input to a connection, cut at `cuts`, and checks on the way what no outcome shows.
fn converse(script: &Script, input: &[u8], cuts: &[usize], answers: Answers) -> Result<Outcome, String> {
    let limits = script.limits();
    let config = Config::new()
        .ping_interval(None)
        .max_frame(limits.frame)
        .max_message(limits.message)
        .max_fragments(limits.fragments);
    let mut endpoint = Endpoint::new(&config, script.role(), answers);
    let close_at = script.closing().map(|close| close.after);
    let mut ended_at = None;
    let mut at = 0;
    // The connection's own closing is one more place to cut at.
    let mut cuts: Vec<usize> = cuts.iter().copied().chain(close_at).chain([0, input.len()]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    // From 0 to the length, both included.
    let byte_by_byte = cuts.len() == input.len() + 1;
    for cut in cuts {
        endpoint.receive(&input[at..cut])?;
        at = cut;
        if let Some(close) = script.closing().filter(|close| close.after == at) {
            endpoint.connection.close(NOW, close.code, close.reason, &mut endpoint.control);
            endpoint.answer()?;
        }
        if ended_at.is_none() && endpoint.connection.ended().is_some() {
            ended_at = Some(at);
        }
    }
    // Cut at every byte, this is exact; cut elsewhere, it is not early.
    if let (Some(actual), Some(expected)) = (ended_at, script.ended_at())
        && (actual < expected || (byte_by_byte && actual != expected))
    {
        return Err(format!("it ended after {actual} bytes, not {expected}"));
    }
    if script.peer_ends() {
        endpoint.connection.receive_end();
    }
    endpoint.transmit()?;
    if !endpoint.control.is_empty() {
        return Err("after the last frame something still waits in the control memory".into());
    }
    Ok(Outcome {
        seen: endpoint.seen,
        sent: endpoint.sent,
        ended: endpoint.connection.ended(),
        transport: endpoint.connection.transport(),
    })
}

/// Time stands still here; the timers have tests of their own.
const NOW: Instant = Instant::from_millis(1);

/// A connection with a driver that checks its promises.
struct Endpoint<'c> {
    connection: Connection<&'c Config>,
    control: Control,
    answers: Answers,
    leftover: Vec<u8>,
    message: Vec<u8>,
    frame_at: u64,
    seen: Vec<Seen>,
    sent: Vec<Sent>,
    keys: u32,
}

impl<'c> Endpoint<'c> {
    fn new(config: &'c Config, role: Role, answers: Answers) -> Self {
        Self {
            connection: Connection::new(config, role, NOW, 0),
            control: Control::new(),
            answers,
            leftover: Vec::new(),
            message: Vec::new(),
            frame_at: 0,
            seen: Vec::new(),
            sent: Vec::new(),
            keys: 0,
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut buffer = mem::take(&mut self.leftover);
        buffer.extend_from_slice(bytes);
        let mut input = &mut buffer[..];
        loop {
            let before = input.len();
            let event = self.connection.receive(NOW, &mut input, &mut self.control);
            if input.len() > before {
                return Err("more input is left than was given".into());
            }
            match event {
                None => break,
                Some(Event::Data(data)) => self.data(&data)?,
                Some(Event::Compressed(_)) => return Err("a compressed message that nobody agreed on".into()),
                Some(Event::Ping(payload)) => self.seen.push(Seen::Ping(payload.to_vec())),
                Some(Event::Pong { payload, latency: None }) => self.seen.push(Seen::Pong(payload.to_vec())),
                Some(Event::Pong { .. }) => return Err("a latency without a ping".into()),
                Some(Event::Close { code, reason }) => self.seen.push(Seen::Close(code.as_u16(), reason.into())),
            }
            self.answer()?;
        }
        if input.len() > 130 {
            return Err(format!("{} bytes are left over", input.len()));
        }
        if self.connection.ended().is_some() && !input.is_empty() {
            return Err("after the end, input is left over".into());
        }
        self.leftover = input.to_vec();
        self.answer()
    }

    fn data(&mut self, data: &Data<'_>) -> Result<(), String> {
        if data.is_first() {
            self.message.clear();
            self.frame_at = 0;
        }
        if data.offset() == 0 {
            self.frame_at = 0;
        }
        if data.offset() != self.frame_at {
            return Err(format!("a piece at {} of a frame follows one that ended at {}", data.offset(), self.frame_at));
        }
        self.frame_at += data.bytes().len() as u64;
        if data.payload_len() - self.frame_at != self.connection.payload_outstanding() {
            return Err(format!("{} bytes are said to be outstanding", self.connection.payload_outstanding()));
        }
        if data.text().is_some_and(|text| data.kind() != Kind::Text || text.as_bytes() != data.bytes()) {
            return Err("a piece's text is not its bytes".into());
        }
        if data.is_whole() && data.kind() == Kind::Text && data.text().is_none() {
            return Err("a whole text message is not handed up as text".into());
        }
        self.message.extend_from_slice(data.bytes());
        if data.is_last() {
            let message = mem::take(&mut self.message);
            if message.len() <= MOST_ECHO {
                self.echo(data.kind(), &message)?;
            }
            self.seen.push(match data.kind() {
                Kind::Text => Seen::Text(String::from_utf8(message).map_err(|e| e.to_string())?),
                Kind::Binary => Seen::Binary(message),
            });
        }
        Ok(())
    }

    /// What can be received must be possible to send (§5.2, §5.3), and nothing while closing (§5.5.1).
    fn echo(&mut self, kind: Kind, message: &[u8]) -> Result<(), String> {
        let key = self.next_key();
        let mut head = [0; MAX_HEADER];
        let sent = self.connection.send(Part::Whole(kind), message, key, &mut head);
        let Ok(head_len) = sent else {
            return if self.connection.is_open() { Err("an open connection does not send".into()) } else { Ok(()) };
        };
        if !self.connection.is_open() {
            return Err("a message is sent behind a close frame".into());
        }
        let mut bytes = head[..head_len].to_vec();
        bytes.extend_from_slice(message);
        if self.connection.role() == Role::Client {
            mask::apply(key, 0, &mut bytes[head_len..]);
        }
        let frame = self.read_back(&bytes)?;
        let opcode = if kind == Kind::Text { TEXT } else { BINARY };
        if frame.first != FIN | opcode || frame.payload != message {
            return Err("the echo of a message is another message".into());
        }
        Ok(())
    }

    /// Sends what there is to send, unless that is to wait.
    fn answer(&mut self) -> Result<(), String> {
        if self.answers == Answers::AtOnce { self.transmit() } else { Ok(()) }
    }

    fn transmit(&mut self) -> Result<(), String> {
        let mut out = [0; MAX_CONTROL_FRAME];
        loop {
            let key = self.next_key();
            let len = self.connection.poll_transmit(NOW, key, &mut self.control, &mut out);
            if len == 0 {
                return Ok(());
            }
            let frame = self.read_back(&out[..len])?;
            if matches!(self.sent.last(), Some(Sent::Close { .. })) {
                return Err("a frame is sent behind a close frame".into());
            }
            self.sent.push(match frame.first {
                first if first == FIN | PONG => Sent::Pong(frame.payload),
                first if first == FIN | CLOSE => sent_close(&frame.payload)?,
                first => return Err(format!("a frame beginning with {first:#x} is sent")),
            });
        }
    }

    fn read_back(&self, bytes: &[u8]) -> Result<wire::Frame, String> {
        let Some((frame, len)) = wire::read(bytes)? else { return Err("an incomplete frame is sent".into()) };
        if len != bytes.len() {
            return Err("a frame is followed by more".into());
        }
        // §5.1: a client masks, a server does not.
        if frame.key.is_some() != (self.connection.role() == Role::Client) {
            return Err("a frame is sent masked in the wrong direction".into());
        }
        Ok(frame)
    }

    fn next_key(&mut self) -> [u8; 4] {
        self.keys = self.keys.wrapping_add(0x0123_4567);
        self.keys.to_be_bytes()
    }
}

fn sent_close(payload: &[u8]) -> Result<Sent, String> {
    let (code, reason) = match payload.split_first_chunk() {
        Some((&code, reason)) => (Some(u16::from_be_bytes(code)), reason),
        None if payload.is_empty() => (None, payload),
        None => return Err("a close frame with one byte is sent".into()),
    };
    let reason = String::from_utf8(reason.to_vec()).map_err(|_| "a close reason is sent that is not UTF-8")?;
    Ok(Sent::Close { code, reason: Some(reason) })
}

/// Cuts of mixed sizes: runs of short pieces, so that headers are cut, and long ones, so that large inputs end.
fn random_cuts(len: usize, seed: u64) -> Vec<usize> {
    let mut random = Random(seed + 1);
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < len {
        let most = [2, 7, 130, 5_000, 200_000][random.below(5)];
        for _ in 0..4 {
            at += 1 + random.below(most);
            cuts.push(at.min(len));
        }
    }
    cuts
}

/// A small generator, so that a seed means the same cuts everywhere and for ever (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % bound
    }
}
