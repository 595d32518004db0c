//! Takes the device's client through the cases of an Autobahn fuzzing server:
//! `autobahn-device-client ws://127.0.0.1:9001 [--window BITS]`.
//!
//! Each case is one connection on which everything is echoed. What the server thinks of it stands in its reports; this
//! program fails only if a case could not be run to its end.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::host::{HostClock, HostRandom, Tcp};
use tautline_device::{Client, Deflate, Event, Kind, Link, Message, Put, Settings, Whole, WindowBits};
use tokio::time::timeout;

/// How long one case may take, or writing the reports. The slowest cases send some megabytes in tiny pieces through Python.
const CASE: Duration = Duration::from_secs(100);

/// The name in the reports.
const AGENT: &str = "device";

/// The longest message of the cases.
const MESSAGE: usize = 16 << 20;

/// What a case takes: the buffers of a chip, but room for its messages.
struct Buffers {
    receive: Vec<u8>,
    transmit: Vec<u8>,
    whole: Vec<u8>,
    outbox: Vec<u8>,
    windows: Vec<u8>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((host, port, window)) = read(&arguments) else {
        eprintln!("usage: autobahn-device-client ws://HOST:PORT [--window BITS]");
        return ExitCode::from(2);
    };
    match run(host, port, window).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The server's host and port, and the window in which messages are compressed, if they are.
fn read(arguments: &[String]) -> Option<(&str, u16, Option<WindowBits>)> {
    let (uri, window) = match arguments {
        [uri] => (uri, None),
        [uri, name, bits] if name == "--window" => (uri, Some(bits.parse().ok().and_then(WindowBits::new)?)),
        _ => return None,
    };
    let (host, port) = uri.strip_prefix("ws://")?.trim_end_matches('/').rsplit_once(':')?;
    Some((host, port.parse().ok()?, window))
}

async fn run(host: &str, port: u16, window: Option<WindowBits>) -> Result<(), String> {
    let mut buffers = Buffers {
        receive: vec![0; 4096],
        transmit: vec![0; 1024],
        whole: vec![0; MESSAGE],
        outbox: vec![0; 2 * MESSAGE],
        windows: vec![0; Deflate::memory(WindowBits::MAX, 4096)],
    };
    let answer = connection(host, port, "/getCaseCount", None, &mut buffers).await?;
    let count: u32 = answer.parse().map_err(|_| format!("not a number of cases: {answer}"))?;
    let mut failed = 0;
    for case in 1..=count {
        let path = format!("/runCase?case={case}&agent={AGENT}");
        if let Err(problem) = connection(host, port, &path, window, &mut buffers).await {
            eprintln!("case {case} of {count}: {problem}");
            failed += 1;
        }
    }
    connection(host, port, &format!("/updateReports?agent={AGENT}"), None, &mut buffers).await?;
    println!("{count} cases, {failed} of them not run to the end");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} cases were not run to the end")) }
}

/// One connection, to its end, on which everything is echoed. Answers the last short text.
async fn connection(
    host: &str,
    port: u16,
    path: &str,
    window: Option<WindowBits>,
    buffers: &mut Buffers,
) -> Result<String, String> {
    let settings = Settings::new(host, port).path(path);
    let link = Link::<NoopRawMutex>::new(&mut buffers.outbox);
    let mut deflate = Deflate::new(window.unwrap_or(WindowBits::MIN), &mut buffers.windows);
    let client = Client::new(&settings, &link, &mut buffers.receive, &mut buffers.transmit);
    let mut client = if window.is_some() { client.with_deflate(&mut deflate) } else { client };
    let mut whole = Whole::new(&mut buffers.whole);
    let (mut text, mut connected, mut problem) = (String::new(), false, None);
    let mut handler = |event: Event<'_>| match event {
        Event::Connected(_) => connected = true,
        Event::Data(data) => match whole.push(&data) {
            Put::Incomplete => {}
            Put::TooLarge => problem = Some("a message is too large".to_owned()),
            Put::Message(kind, bytes) => {
                let message = match (kind, std::str::from_utf8(bytes)) {
                    (Kind::Text, Ok(echoed)) => {
                        text = echoed.chars().take(100).collect();
                        Message::text(echoed)
                    }
                    _ => Message::binary(bytes),
                };
                // Where the case ends the connection meanwhile, what is to be sent is worth nothing.
                if let Err(error) = link.try_send(message) {
                    problem = Some(error.to_string());
                }
            }
        },
        // One connection for each case.
        Event::Disconnected { cause, .. } => {
            link.stop();
            if !connected {
                problem = Some(cause.to_string());
            }
        }
        _ => {}
    };
    let (mut tcp, clock, mut random) = (Tcp::new(host, port), HostClock::new(), HostRandom);
    let running = client.run(&mut tcp, &clock, &mut random, &mut handler);
    timeout(CASE, running).await.map_err(|_| format!("not done in {CASE:?}"))?;
    problem.map_or(Ok(text), Err)
}
