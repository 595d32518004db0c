//! Takes the device's client through the cases of an Autobahn fuzzing server:
//! `autobahn-device-client [--window BITS] ws://127.0.0.1:9001`.
//!
//! It fails only if a case could not be run to its end.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;

use tautline_device::host::{HostClock, HostRandom, Tcp};
use tautline_device::{Deflate, WindowBits};
use tautline_device_trials::autobahn::{Buffers, Subject, go_through};

/// The name in the reports.
const AGENT: &str = "device";

/// The longest message of the cases.
const MESSAGE: usize = 16 << 20;

/// How much of a compressed message is inflated at once.
const CHUNK: usize = 4096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((host, port, window)) = read(&arguments) else {
        eprintln!("usage: autobahn-device-client [--window BITS] ws://HOST:PORT");
        return ExitCode::from(2);
    };
    // The buffers of a chip, but room for the messages.
    let (mut whole, mut outbox) = (vec![0; MESSAGE], vec![0; 2 * MESSAGE]);
    let mut memory = vec![0; Deflate::memory(WindowBits::MAX, CHUNK)];
    let buffers = Buffers {
        receive: &mut [0; 4096],
        transmit: &mut [0; 1024],
        whole: &mut whole,
        outbox: &mut outbox,
        window: window.map(|window| (window, &mut memory[..])),
    };
    let subject = Subject { host, port, agent: AGENT };
    let (mut tcp, clock, mut random) = (Tcp::new(host, port), HostClock::new(), HostRandom);
    let mut say = |line: std::fmt::Arguments<'_>| println!("{line}");
    match go_through(subject, &mut tcp, &clock, &mut random, buffers, &mut say).await {
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
        [name, bits, uri] if name == "--window" => (uri, Some(bits.parse().ok().and_then(WindowBits::new)?)),
        _ => return None,
    };
    let (host, port) = uri.strip_prefix("ws://")?.trim_end_matches('/').rsplit_once(':')?;
    Some((host, port.parse().ok()?, window))
}
