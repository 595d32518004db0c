//! The client as a future.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::RawMutex;
use embedded_io_async::{Error, ErrorKind, Read, Write};
use tautline_telemetry::MAX_MESSAGE;

use super::event::{Cause, Handler};
use super::line::{Core, Line};
use super::link::Link;
use super::settings::Settings;
use crate::drive::{Driven, attend, both, end, pause};
use crate::machine::State;
use crate::transport::{Clock, Connector, Random, Transport};

/// A client that keeps sensor data going: [`run`](Self::run) is its whole life.
///
/// It allocates nothing and uses its buffers again for each connection.
#[derive(Debug)]
pub struct Client<'a, 'm, M: RawMutex> {
    line: Line<'a>,
    link: &'a Link<'m, M>,
    receive: &'a mut [u8; MAX_MESSAGE],
    transmit: &'a mut [u8; MAX_MESSAGE],
}

impl<'a, 'm, M: RawMutex> Client<'a, 'm, M> {
    /// A client for `link`. Make only one for each.
    pub const fn new(
        settings: &'a Settings,
        link: &'a Link<'m, M>,
        receive: &'a mut [u8; MAX_MESSAGE],
        transmit: &'a mut [u8; MAX_MESSAGE],
    ) -> Self {
        Self { line: Line::new(settings), link, receive, transmit }
    }

    /// Reaches the hub, again and again, until [`Link::stop`]; it may be run again then.
    ///
    /// Every wait in it has its deadline, and ends at once when the client is stopped; a transport has 2 s for its end. `random` has to be
    /// good for secrets, as in [`Link::new`].
    ///
    /// # Cancel safety
    /// If the future is dropped, the connection is lost and nothing else: what is not acknowledged is sent when the client is run again.
    pub async fn run<C: Connector>(
        &mut self,
        connector: &mut C,
        clock: &impl Clock,
        random: &mut impl Random,
        handler: &mut impl Handler,
    ) {
        let Self { line, link, receive, transmit } = self;
        line.begin(clock.now());
        link.note_connected(clock.now(), false);
        let core = RefCell::new(Core { line, link, random, handler });
        loop {
            let state = core.borrow().state();
            match state {
                State::Waiting(until) => {
                    if attend(&core, clock, pin!(clock.sleep_until(until))).await {
                        core.borrow_mut().connect(clock.now());
                    }
                }
                State::Connecting(_) => {
                    let mut connected = None;
                    {
                        let connecting = pin!(async { connected = Some(connector.connect().await) });
                        attend(&core, clock, connecting).await;
                    }
                    match connected {
                        Some(Ok(mut transport)) => {
                            talk(&core, clock, &mut transport, receive, transmit).await;
                            link.note_connected(clock.now(), false);
                            end(pin!(transport.close()), clock).await;
                        }
                        Some(Err(error)) => core.borrow_mut().connect_failed(clock.now(), error),
                        None => {}
                    }
                }
                // A driver that was dropped in the middle; `begin` has seen to that.
                State::Linked => core.borrow_mut().line.begin(clock.now()),
                State::Stopped(_) => return,
            }
        }
    }
}

/// Everything over one connection, until it is over.
async fn talk<M: RawMutex, R: Random, H: Handler, T: Transport>(
    core: &RefCell<Core<'_, '_, '_, M, R, H>>,
    clock: &impl Clock,
    transport: &mut T,
    receive: &mut [u8; MAX_MESSAGE],
    transmit: &mut [u8; MAX_MESSAGE],
) {
    core.borrow_mut().open(clock.now());
    let (reader, writer) = transport.split();
    let reading = pin!(read(core, clock, reader, receive, T::DATAGRAMS));
    let writing = pin!(write(core, clock, writer, transmit));
    attend(core, clock, pin!(both(reading, writing))).await;
}

/// Receives for as long as it is polled.
async fn read<M: RawMutex, R: Random, H: Handler>(
    core: &RefCell<Core<'_, '_, '_, M, R, H>>,
    clock: &impl Clock,
    mut reader: impl Read,
    buffer: &mut [u8; MAX_MESSAGE],
    datagrams: bool,
) {
    let mut filled = 0;
    loop {
        match reader.read(&mut buffer[filled..]).await {
            Ok(0) if !datagrams => return core.borrow_mut().lost(clock.now(), Cause::Ended),
            Ok(len) => {
                filled += len;
                let done = core.borrow_mut().receive(clock.now(), &buffer[..filled], datagrams);
                match done {
                    Ok(done) => {
                        buffer.copy_within(done..filled, 0);
                        filled -= done;
                    }
                    Err(malformed) => return core.borrow_mut().lost(clock.now(), Cause::Malformed(malformed)),
                }
                // Whoever never stops sending does not keep us from anything else.
                pause().await;
            }
            Err(error) => return core.borrow_mut().lost(clock.now(), Cause::Transport(error.kind())),
        }
    }
}

/// Sends what is due for as long as it is polled.
async fn write<M: RawMutex, R: Random, H: Handler>(
    core: &RefCell<Core<'_, '_, '_, M, R, H>>,
    clock: &impl Clock,
    mut writer: impl Write,
    buffer: &mut [u8; MAX_MESSAGE],
) {
    loop {
        let mut flushed = true;
        loop {
            let Some(len) = core.borrow_mut().transmit(clock.now(), buffer) else { break };
            let mut taken = 0;
            while taken < len {
                match writer.write(&buffer[taken..len]).await {
                    Ok(0) => return core.borrow_mut().lost(clock.now(), Cause::Transport(ErrorKind::WriteZero)),
                    Ok(more) => taken += more,
                    Err(error) => return core.borrow_mut().lost(clock.now(), Cause::Transport(error.kind())),
                }
            }
            flushed = false;
        }
        if !flushed && let Err(error) = writer.flush().await {
            return core.borrow_mut().lost(clock.now(), Cause::Transport(error.kind()));
        }
        // Whatever gives it something to send wakes the task, and so this is asked again.
        core.borrow_mut().line.idle = true;
        poll_fn(|_| if core.borrow().has_transmit(clock.now()) { Poll::Ready(()) } else { Poll::Pending }).await;
        core.borrow_mut().line.idle = false;
    }
}
