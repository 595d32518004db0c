//! The cases of an Autobahn fuzzing server: each is one connection on which everything is echoed. What the server thinks of it
//! stands in its reports.

use core::fmt::{self, Write};
use core::time::Duration;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::{
    Cause, Client, Clock, Connector, Event, Kind, Link, Message, PushError, Put, Random, Settings, Text, Whole,
};

/// How long one case may take, or writing the reports. The slowest cases send some megabytes in tiny pieces through Python.
const CASE: Duration = Duration::from_secs(100);

/// The longest path: of a case, with a short name.
const PATH: usize = 96;

/// The server, and who goes through its cases.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'s> {
    /// What stands in the requests as the server's name.
    pub host: &'s str,
    /// The server's port.
    pub port: u16,
    /// The name in the reports: short, and nothing that a query would have to encode.
    pub agent: &'s str,
}

/// What a connection takes: the buffers of a client, and room for the messages of the cases.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// The client's buffer for what is received.
    pub receive: &'b mut [u8],
    /// The client's buffer for what is sent.
    pub transmit: &'b mut [u8],
    /// The longest message.
    pub whole: &'b mut [u8],
    /// Twice as much.
    pub outbox: &'b mut [u8],
    /// The window in which messages are compressed, and the [memory](tautline_device::Deflate::memory) for that; `None`: they are not.
    #[cfg(feature = "deflate")]
    pub window: Option<(tautline_device::WindowBits, &'b mut [u8])>,
}

/// Why a case could not be run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It took too long.
    NotDone,
    /// There was no connection.
    NotConnected(Cause),
    /// A message was longer than there is room for.
    TooLarge,
    /// The echo was not taken.
    NotSent(PushError),
    /// The server did not say how many cases there are.
    NoCount,
    /// So many cases were not run to their end.
    Cases(u32),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone => write!(f, "not done in {} s", CASE.as_secs()),
            Self::NotConnected(cause) => cause.fmt(f),
            Self::TooLarge => f.write_str("a message is too large"),
            Self::NotSent(error) => error.fmt(f),
            Self::NoCount => f.write_str("the server does not say how many cases there are"),
            Self::Cases(count) => write!(f, "{count} cases were not run to the end"),
        }
    }
}

impl core::error::Error for Problem {}

/// Goes through all cases, and has the server write its reports. What goes wrong is said at once, and how many cases there were.
///
/// # Errors
///
/// A case could not be run to its end.
pub async fn go_through(
    subject: Subject<'_>,
    connector: &mut impl Connector,
    clock: &impl Clock,
    random: &mut impl Random,
    mut buffers: Buffers<'_>,
    say: &mut dyn FnMut(fmt::Arguments<'_>),
) -> Result<(), Problem> {
    let Subject { agent, .. } = subject;
    let mut visit = async |path: fmt::Arguments<'_>| {
        let mut memory = [0; PATH];
        connection(subject, written(&mut memory, path), connector, clock, random, &mut buffers).await
    };
    let count = visit(format_args!("/getCaseCount")).await?.ok_or(Problem::NoCount)?;
    let mut failed = 0;
    for case in 1..=count {
        if let Err(problem) = visit(format_args!("/runCase?case={case}&agent={agent}")).await {
            say(format_args!("case {case} of {count}: {problem}"));
            failed += 1;
        }
    }
    visit(format_args!("/updateReports?agent={agent}")).await?;
    say(format_args!("{count} cases, {failed} of them not run to the end"));
    if failed == 0 { Ok(()) } else { Err(Problem::Cases(failed)) }
}

fn written<'m>(memory: &'m mut [u8; PATH], path: fmt::Arguments<'_>) -> &'m str {
    let mut text = Text::new(memory);
    // It counts on where it has no room, and gives nothing then.
    let _ = text.write_fmt(path);
    text.finish().expect("the agent's name is short")
}

/// One connection, to its end, on which everything is echoed. Answers the last text that was a number.
async fn connection(
    subject: Subject<'_>,
    path: &str,
    connector: &mut impl Connector,
    clock: &impl Clock,
    random: &mut impl Random,
    buffers: &mut Buffers<'_>,
) -> Result<Option<u32>, Problem> {
    let settings = Settings::new(subject.host, subject.port).path(path);
    let link = Link::<NoopRawMutex>::new(buffers.outbox);
    let mut client = Client::new(&settings, &link, buffers.receive, buffers.transmit);
    #[cfg(feature = "deflate")]
    let mut deflate = buffers.window.as_mut().map(|(window, memory)| tautline_device::Deflate::new(*window, memory));
    #[cfg(feature = "deflate")]
    if let Some(deflate) = &mut deflate {
        client = client.with_deflate(deflate);
    }
    let mut whole = Whole::new(buffers.whole);
    let (mut number, mut connected, mut problem) = (None, false, None);
    let mut handler = |event: Event<'_>| match event {
        Event::Connected(_) => connected = true,
        Event::Data(data) => match whole.push(&data) {
            Put::Incomplete => {}
            Put::TooLarge => problem = Some(Problem::TooLarge),
            Put::Message(kind, bytes) => {
                let message = match (kind, core::str::from_utf8(bytes)) {
                    (Kind::Text, Ok(text)) => {
                        number = text.parse().ok().or(number);
                        Message::text(text)
                    }
                    _ => Message::binary(bytes),
                };
                // Where the case ends the connection meanwhile, what is to be sent is worth nothing.
                if let Err(error) = link.try_send(message) {
                    problem = Some(Problem::NotSent(error));
                }
            }
        },
        // One connection for each case.
        Event::Disconnected { cause, .. } => {
            link.stop();
            if !connected {
                problem = Some(Problem::NotConnected(cause));
            }
        }
        _ => {}
    };
    let running = client.run(connector, clock, random, &mut handler);
    match select(running, clock.sleep_until(clock.now() + CASE)).await {
        Either::First(_) => problem.map_or(Ok(number), Err),
        Either::Second(()) => Err(Problem::NotDone),
    }
}
