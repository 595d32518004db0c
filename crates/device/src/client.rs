//! The client as a future.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_sync::blocking_mutex::raw::{NoopRawMutex, RawMutex};
use embedded_io_async::{Error, ErrorKind, Read, Write};
use tautline_proto::{CloseCode, Instant, MAX_CONTROL_FRAME};

use crate::drive::{Driven, attend, both, end, pause};
use crate::event::{Event, Handler, Stopped};
use crate::link::{Link, Orders};
use crate::machine::{Input, Machine, State};
use crate::settings::Settings;
use crate::transport::{Clock, Connector, Random, Transport};

/// The smallest transmit buffer, in bytes: a control frame has to fit, and so has the request, which is mostly larger.
pub const MIN_TRANSMIT: usize = MAX_CONTROL_FRAME + 29;

/// The smallest receive buffer, in bytes. The server's answer to the handshake has to fit, which is mostly larger.
pub const MIN_RECEIVE: usize = 256;

/// What a [`Link`] and a [`Client`] take on the machine that this is compiled for, in bytes. On riscv32imc the future of [`run`](Client::run)
/// makes it 1,024 in all, besides the caller's buffers.
pub const MEMORY: usize = size_of::<Link<'_, NoopRawMutex>>() + size_of::<Client<'_, '_, NoopRawMutex>>();

/// A client that stays up: [`run`](Self::run) is its whole life.
///
/// It allocates nothing and uses its buffers again for each connection.
#[derive(Debug)]
pub struct Client<'a, 'm, M: RawMutex> {
    machine: Machine<'a>,
    link: &'a Link<'m, M>,
    receive: &'a mut [u8],
    transmit: &'a mut [u8],
}

/// What both halves of a connection use, one at a time.
struct Core<'r, 'a, 'm, M: RawMutex, R, H> {
    machine: &'r mut Machine<'a>,
    link: &'r Link<'m, M>,
    random: &'r mut R,
    handler: &'r mut H,
}

impl<'a, 'm, M: RawMutex> Client<'a, 'm, M> {
    /// A client for `link`. Make only one for each.
    ///
    /// - `receive`: what is received at once. Messages that are larger arrive in pieces. 1 KiB is a good size.
    /// - `transmit`: what is given to the transport at once. Messages that are larger are given in pieces. 512 bytes are a good size.
    ///
    /// # Panics
    /// If a buffer is smaller than [`MIN_RECEIVE`] or [`MIN_TRANSMIT`].
    pub const fn new(
        settings: &'a Settings<'a>,
        link: &'a Link<'m, M>,
        receive: &'a mut [u8],
        transmit: &'a mut [u8],
    ) -> Self {
        assert!(receive.len() >= MIN_RECEIVE, "the receive buffer is smaller than MIN_RECEIVE");
        assert!(transmit.len() >= MIN_TRANSMIT, "the transmit buffer is smaller than MIN_TRANSMIT");
        Self { machine: Machine::new(settings), link, receive, transmit }
    }

    /// The same, which offers to compress messages. Whole messages of the outbox leave compressed if the server agrees; those that are sent
    /// [piece by piece](Link::begin) as they are. Compressed messages of the server's arrive in pieces as they are inflated.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_deflate(self, deflate: &'a mut crate::Deflate<'a>) -> Self {
        Self { machine: self.machine.with_deflate(deflate), ..self }
    }

    /// Connects, and connects again, until [`Link::stop`] or until that is of no use; it may be run again then.
    ///
    /// Every wait in it has its deadline, and ends at once when the client is stopped.
    ///
    /// # Cancel safety
    /// If the future is dropped, the connection is lost, and what was not wholly given to it is sent when the client is run
    /// again.
    pub async fn run(
        &mut self,
        connector: &mut impl Connector,
        clock: &impl Clock,
        random: &mut impl Random,
        handler: &mut impl Handler,
    ) -> Stopped {
        let Self { machine, link, receive, transmit } = self;
        machine.begin(clock.now());
        let core = RefCell::new(Core { machine, link, random, handler });
        link.down();
        loop {
            core.borrow_mut().tell();
            let state = core.borrow().machine.state();
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
                            let request = core.borrow_mut().open(clock.now(), receive, transmit);
                            if let Some(request) = request {
                                let (reader, writer) = transport.split();
                                let reading = pin!(read(&core, clock, reader, receive));
                                let writing = pin!(write(&core, clock, writer, transmit, request));
                                attend(&core, clock, pin!(both(reading, writing))).await;
                                link.down();
                            }
                            end(pin!(transport.close()), clock).await;
                        }
                        Some(Err(error)) => core.borrow_mut().machine.connect_failed(clock.now(), error),
                        None => {}
                    }
                }
                // A driver that was dropped in the middle; `begin` has seen to that.
                State::Linked => core.borrow_mut().machine.begin(clock.now()),
                State::Stopped(stopped) => return stopped,
            }
        }
    }
}

impl<M: RawMutex, R: Random, H: Handler> Core<'_, '_, '_, M, R, H> {
    fn connect(&mut self, now: Instant) {
        self.machine.connect(now, self.random);
    }

    fn open(&mut self, now: Instant, receive: &mut [u8], transmit: &mut [u8]) -> Option<usize> {
        self.machine.open(now, self.random, self.handler, receive, transmit)
    }

    /// Takes the next thing of what was received. Answers whether there was one.
    fn receive(&mut self, now: Instant, input: &mut Input<'_>) -> bool {
        loop {
            if let Some(data) = self.machine.inflate(now, input) {
                self.handler.event(Event::Data(data));
                return true;
            }
            let event = self.machine.receive(now, input);
            // Whoever is told that the link is up may use it at once.
            self.link.note_open(self.machine.is_open());
            let told = event.is_some();
            if let Some(event) = event {
                self.handler.event(event);
            }
            if told || !input.is_compressed() {
                return told;
            }
        }
    }
}

impl<M: RawMutex, R: Random, H: Handler> Driven for Core<'_, '_, '_, M, R, H> {
    fn obey(&mut self, cx: &Context<'_>, now: Instant) {
        let Orders { stop, reconnect, ping, abandon } = self.link.orders(cx);
        if abandon {
            self.machine.close(now, CloseCode::INTERNAL_ERROR, "message not finished");
        }
        if reconnect {
            self.machine.reconnect(now);
        }
        if ping {
            self.machine.ping(now);
        }
        if stop {
            self.machine.stop(now);
        }
    }

    fn tell(&mut self) {
        self.link.note_open(self.machine.is_open());
        while let Some(event) = self.machine.poll_event() {
            self.handler.event(event);
        }
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    fn is_still(&self, state: State) -> bool {
        self.machine.is_still(state)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }
}

/// Receives for as long as it is polled.
async fn read<M: RawMutex, R: Random, H: Handler>(
    core: &RefCell<Core<'_, '_, '_, M, R, H>>,
    clock: &impl Clock,
    mut reader: impl Read,
    buffer: &mut [u8],
) {
    let mut filled = 0;
    loop {
        match reader.read(&mut buffer[filled..]).await {
            Ok(0) => return core.borrow_mut().machine.receive_end(clock.now()),
            Ok(len) => {
                filled += len;
                let mut input = Input::new(&mut buffer[..filled]);
                while core.borrow_mut().receive(clock.now(), &mut input) {
                    // What it led to leaves before the next thing is looked at: each ping has its pong, and what was answered is out when
                    // the rest breaks a rule. And a server that never stops sending does not keep us from anything else.
                    pause().await;
                }
                let left = input.left();
                buffer.copy_within(filled - left..filled, 0);
                filled = left;
            }
            Err(error) => return core.borrow_mut().machine.transport_failed(clock.now(), error.kind()),
        }
    }
}

/// Sends the request, which is the first `len` bytes of the buffer, and then what is to be sent, for as long as it is polled.
async fn write<M: RawMutex, R: Random, H: Handler>(
    core: &RefCell<Core<'_, '_, '_, M, R, H>>,
    clock: &impl Clock,
    mut writer: impl Write,
    buffer: &mut [u8],
    mut len: usize,
) {
    let mut flushed = true;
    loop {
        let mut taken = 0;
        while taken < len {
            match writer.write(&buffer[taken..len]).await {
                Ok(0) => return core.borrow_mut().machine.transport_failed(clock.now(), ErrorKind::WriteZero),
                Ok(more) => taken += more,
                Err(error) => return core.borrow_mut().machine.transport_failed(clock.now(), error.kind()),
            }
            let link = core.borrow().link;
            link.outbox(|outbox| core.borrow_mut().machine.took(clock.now(), taken == len, outbox));
            flushed = false;
        }
        // Whatever gives it something to send wakes the task, and so this is asked again.
        len = poll_fn(|_| {
            let link = core.borrow().link;
            let next = link.outbox(|outbox| {
                let Core { machine, random, .. } = &mut *core.borrow_mut();
                machine.poll_transmit(clock.now(), *random, outbox, buffer)
            });
            if next == 0 && flushed { Poll::Pending } else { Poll::Ready(next) }
        })
        .await;
        if len == 0 {
            if let Err(error) = writer.flush().await {
                return core.borrow_mut().machine.transport_failed(clock.now(), error.kind());
            }
            core.borrow_mut().machine.flushed(clock.now());
            flushed = true;
        }
    }
}
