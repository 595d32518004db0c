//! Every case of the table against `tautline`'s server and client, over TCP.
//!
//! The peer here writes the script's bytes and reads frames; it knows nothing else of the protocol. Each case runs
//! twice: once the application receives event by event and everything is sent, once it receives whole messages and
//! nothing is sent behind the byte that must end the connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tautline::{Config, Ended, Event, Kind, Message, Role, Server, WebSocket};
use tautline_conformance::{Outcome, Script, Seen, Sent, harness, table, wire};
use tautline_proto::handshake::server::{Handshake, Options, Progress};
use tautline_proto::{Instant, Violation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

/// No case takes a tenth of this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    harness::main(&table::cases(), tautline_conformance::Case::name, |case| {
        let script = closed_in_the_end(case.script());
        for way in [Way::Events, Way::Messages] {
            let result = runtime.block_on(async { tokio::time::timeout(PATIENCE, run(&script, way)).await });
            result.map_err(|_| format!("{way:?}: it takes for ever"))?.map_err(|e| format!("{way:?}: {e}"))?;
        }
        Ok(())
    })
}

/// How the application receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Event by event; the peer sends everything.
    Events,
    /// Message by message; the peer stops at the byte that ends the connection.
    Messages,
}

/// A script whose connection would stay open ends with a close frame, behind which everything is known to be there.
fn closed_in_the_end(mut script: Script) -> Script {
    if script.expected().ended.is_none() {
        script.close(1000, "the script ends");
    }
    script
}

async fn run(script: &Script, way: Way) -> Result<(), String> {
    let limits = script.limits();
    let config = Config::new()
        .ping_interval(None)
        .max_frame(limits.frame)
        .max_message(limits.message)
        .max_fragments(limits.fragments);
    let (stream, application) = match script.role() {
        Role::Server => server_under_test(script, way, config).await,
        Role::Client => client_under_test(script, way, config).await,
    }
    .map_err(|e| format!("no connection: {e}"))?;
    let sent = converse(script, way, stream).await?;
    let Observed { mut seen, ended } = application.await?;

    let mut expected = script.expected();
    if way == Way::Messages {
        let is_message = |seen: &Seen| matches!(seen, Seen::Text(_) | Seen::Binary(_));
        expected.seen.retain(is_message);
        seen.retain(is_message);
        if seen != expected.seen {
            return Err(format!("it received {} messages, not {}, or other ones", seen.len(), expected.seen.len()));
        }
        // The rest is compared as a whole.
        seen = script.expected().seen;
    }
    let outcome = Outcome { seen, sent, ended, transport: expected.transport };
    match way {
        Way::Events => script.check(&outcome),
        // Everything that came in one read may be handled before anything is sent.
        Way::Messages => script.check_late_answers(&outcome),
    }
}

/// An application at work.
type Application = Pin<Box<dyn Future<Output = Result<Observed, String>> + Send>>;

/// What the application observed.
struct Observed {
    seen: Vec<Seen>,
    ended: Option<Ended>,
}

/// The application: receives until the end, and closes when the script says so.
async fn application(mut ws: WebSocket, script: Script, way: Way) -> Observed {
    let mut seen = Vec::new();
    let mut text = Vec::new();
    let mut closing = script.closing();
    loop {
        if let Some(close) = closing.take_if(|close| seen.len() >= close.after_seen) {
            ws.sender().start_close(close.code, close.reason);
        }
        let next = match way {
            Way::Events => ws.recv_event().await.map(|event| observed(event, &mut text)),
            Way::Messages => ws.recv().await.map(|message| Some(received(message))),
        };
        match next {
            Some(next) => seen.extend(next),
            None => return Observed { seen, ended: ws.ended() },
        }
    }
}

fn observed(event: Event, message: &mut Vec<u8>) -> Option<Seen> {
    Some(match event {
        Event::Data(chunk) => {
            message.extend_from_slice(&chunk.data);
            if !chunk.is_last() {
                return None;
            }
            let message = std::mem::take(message);
            match chunk.kind {
                Kind::Text => Seen::Text(String::from_utf8(message).expect("what is handed up as text is text")),
                Kind::Binary => Seen::Binary(message),
            }
        }
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong { payload, .. } => Seen::Pong(payload.to_vec()),
        Event::Close { code, reason } => Seen::Close(code.as_u16(), reason),
    })
}

fn received(message: Message) -> Seen {
    match message.as_text() {
        Some(text) => Seen::Text(text.into()),
        None => Seen::Binary(message.as_bytes().into()),
    }
}

/// A connection of ours to `tautline`'s server, and what its handler observes.
async fn server_under_test(script: &Script, way: Way, config: Config) -> io::Result<(TcpStream, Application)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (observed, mut observations) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let handled = script.clone();
    let handler = move |ws, _| {
        let (observed, script) = (observed.clone(), handled.clone());
        async move { drop(observed.send(application(ws, script, way).await)) }
    };
    let shutdown = async move { drop(stopped.await) };
    tokio::spawn(Server::new().config(config).serve(listener, handler, shutdown));

    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    // Byte by byte, so that none of the frames behind it is taken along.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(io::Error::other(String::from_utf8_lossy(&head)));
    }
    let application = async move {
        let observed = observations.recv().await.ok_or("the handler panicked");
        drop(stop);
        Ok(observed?)
    };
    Ok((stream, Box::pin(application)))
}

/// A connection of `tautline`'s client to us, and what its owner observes.
async fn client_under_test(script: &Script, way: Way, config: Config) -> io::Result<(TcpStream, Application)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let uri = format!("ws://{}", listener.local_addr()?);
    let script = script.clone();
    let task = tokio::spawn(async move {
        let ws = tautline::connect(uri).config(config).await.map_err(|e| e.to_string())?;
        Ok(application(ws, script, way).await)
    });
    let (mut stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let mut handshake = Handshake::new(Instant::ZERO, &Options::default().limits);
    let mut head = Vec::new();
    let mut answer = [0; 512];
    let answer_len = loop {
        stream.read_buf(&mut head).await?;
        match handshake.receive(Instant::ZERO, &head) {
            Progress::Incomplete => {}
            Progress::Refused(refusal) => return Err(io::Error::other(refusal.to_string())),
            Progress::Complete(request) => {
                let accepted = request.accept(&Options::default()).map_err(|e| io::Error::other(e.to_string()))?;
                break accepted.write_response(&[], &mut answer).map_err(io::Error::other)?;
            }
        }
    };
    stream.write_all(&answer[..answer_len]).await?;
    Ok((stream, Box::pin(async move { task.await.map_err(|_| "the client panicked")? })))
}

/// Sends what the script says and answers what came back.
async fn converse(script: &Script, way: Way, stream: TcpStream) -> Result<Vec<Sent>, String> {
    let (reading, mut writing) = stream.into_split();
    let (closed, mut close_read) = watch::channel(false);
    let role = script.role();
    let reader = tokio::spawn(read_frames(reading, role, closed));
    // The endpoint may be gone before it has heard everything that nobody needs.
    let _ = write_script(script, way, &mut writing, &mut close_read).await;
    if !script.peer_ends() {
        // An error: the endpoint ended its side without a close frame, which shows below.
        let _ = close_read.wait_for(|closed| *closed).await;
    }
    let _ = writing.shutdown().await;
    reader.await.map_err(|_| "the reader panicked")?
}

async fn write_script(
    script: &Script,
    way: Way,
    writing: &mut OwnedWriteHalf,
    close_read: &mut watch::Receiver<bool>,
) -> io::Result<()> {
    let enough = match script.ended_at() {
        Some(at) if way == Way::Messages => at,
        _ => usize::MAX,
    };
    let mut at = 0;
    for piece in script.input() {
        for part in split_at_close(script, at, piece) {
            if script.closing().is_some_and(|close| close.after == at) {
                let _ = close_read.wait_for(|closed| *closed).await;
            }
            let part = &part[..part.len().min(enough.saturating_sub(at))];
            writing.write_all(part).await?;
            at += part.len();
        }
        // A chance to be read by itself.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// `piece`, which begins `at` bytes into the input, cut where the endpoint closes.
fn split_at_close<'p>(script: &Script, at: usize, piece: &'p [u8]) -> [&'p [u8]; 2] {
    match script.closing().and_then(|close| close.after.checked_sub(at)).and_then(|n| piece.split_at_checked(n)) {
        Some((before, after)) => [before, after],
        None => [piece, &[]],
    }
}

/// Reads everything that the endpoint sends, until it ends its side; says when a close frame is among it.
async fn read_frames(
    mut reading: OwnedReadHalf,
    role: Role,
    close_read: watch::Sender<bool>,
) -> Result<Vec<Sent>, String> {
    let mut bytes = Vec::new();
    let mut sent = Vec::new();
    loop {
        while let Some((frame, len)) = wire::read(&bytes)? {
            bytes.drain(..len);
            if frame.key.is_some() != (role == Role::Client) {
                return Err("a frame is masked in the wrong direction".into());
            }
            if matches!(sent.last(), Some(Sent::Close { .. })) {
                return Err("a frame is sent behind a close frame".into());
            }
            match frame.first {
                0x8a => sent.push(Sent::Pong(frame.payload)),
                0x88 => {
                    sent.push(sent_close(&frame.payload)?);
                    close_read.send_replace(true);
                }
                first => return Err(format!("a frame beginning with {first:#x} is sent")),
            }
        }
        match reading.read_buf(&mut bytes).await {
            Ok(0) if bytes.is_empty() => return Ok(sent),
            Ok(0) => return Err("it ends inside a frame".into()),
            Ok(_) => {}
            // Whoever has closed resets what is still sent to it. Everything before that was read.
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(sent),
            Err(e) => return Err(e.to_string()),
        }
    }
}

fn sent_close(payload: &[u8]) -> Result<Sent, String> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(Sent::Close { code: None, reason: Some(String::new()) }),
            _ => Err(Violation::TruncatedCloseCode.to_string()),
        };
    };
    let reason = String::from_utf8(reason.to_vec()).map_err(|e| e.to_string())?;
    Ok(Sent::Close { code: Some(u16::from_be_bytes(code)), reason: Some(reason) })
}
