//! The server as one future.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::future::{Future, pending, poll_fn};
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;

use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select, select3};
use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};
use tautline_proto::Instant;
use tautline_proto::handshake::server::{Refusal, Rejection};

use crate::client::{Ending, write_refusal};
use crate::handler::{ClientId, Handler, Io};
use crate::machine::{Machine, Transmit};
use crate::settings::Settings;
use crate::transport::{Acceptor, Clock, Transport};

/// How many bytes are given to a transport at once, except for pages, which are written from where they lie. The answer to a
/// WebSocket's handshake is smaller: some clients read it only once.
pub const STAGE: usize = 256;

/// How long the server waits after an acceptor's error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server for at most `N` clients, over any transport.
///
/// `IN` bytes of input are collected for each client: a request's head has to fit. `OUT` bytes wait for each at most: an answer
/// (not a page) and a message in one piece have to fit. Everything is in this value and in the future that
/// [`serve`](Self::serve) gives; there is no other memory.
///
/// It belongs to one executor: everything that touches it runs there, and only at one time.
pub struct Server<H, C, const N: usize, const IN: usize, const OUT: usize> {
    machine: RefCell<Machine<H, N, IN, OUT>>,
    clock: C,
    settings: &'static Settings,
    /// Who polls [`serve`](Self::serve).
    waker: Cell<Option<Waker>>,
}

impl<H: Handler, C: Clock, const N: usize, const IN: usize, const OUT: usize> Server<H, C, N, IN, OUT> {
    /// A server that does not serve yet.
    ///
    /// # Panics
    ///
    /// When it is compiled, if `N` is not 1 to 65,535, `IN` is less than 256 or `OUT` not 512 to 32,767.
    pub const fn new(settings: &'static Settings, handler: H, clock: C) -> Self {
        Self { machine: RefCell::new(Machine::new(settings, handler)), clock, settings, waker: Cell::new(None) }
    }

    /// Serves until [`stop`](Self::stop) was called and the last client has gone. Only one such future may run at a time.
    ///
    /// Each acceptor carries one connection at a time. With `N` of them a client too many is not answered, because nobody
    /// listens; with `N + 1` it is told so (503 with Retry-After), and that is what a server should have.
    ///
    /// Dropping it drops the connections; their ends are told to the handler.
    pub async fn serve<A: Acceptor, const M: usize>(&self, acceptors: [A; M]) {
        let mut all = pin!(self.work_all(acceptors));
        // One waker for all: a wake looks after every connection, which for a handful costs less than a waker for each.
        poll_fn(|cx| {
            self.waker.set(Some(cx.waker().clone()));
            all.as_mut().poll(cx).map(|_| ())
        })
        .await;
    }

    /// Calls the program with its handler and what it can do to clients, from anywhere in the same executor: for instance
    /// to send what a sensor has read to everyone.
    ///
    /// # Panics
    ///
    /// If it is called inside of itself or of a handler, which has an [`Io`] already.
    pub fn with<R>(&self, call: impl FnOnce(&mut H, &mut dyn Io) -> R) -> R {
        self.drive(|machine, now| machine.with(now, call))
    }

    /// Begins to stop: see [`Machine::stop`].
    ///
    /// # Panics
    ///
    /// If it is called inside of a handler.
    pub fn stop(&self) {
        self.drive(|machine, now| machine.stop(now));
    }

    /// Whether all places are taken.
    pub fn is_full(&self) -> bool {
        self.machine.borrow().is_full()
    }

    /// What all acceptors do. Apart from the future that keeps it, whose every poll would have room on the stack for moving it.
    #[inline(never)]
    fn work_all<A: Acceptor, const M: usize>(&self, acceptors: [A; M]) -> impl Future<Output = [(); M]> {
        join_array(acceptors.map(|acceptor| self.work(acceptor)))
    }

    /// Carries one connection after the other.
    async fn work<A: Acceptor>(&self, mut acceptor: A) {
        let mut input = [0; IN];
        let mut output = [0; STAGE];
        loop {
            let accepted = match select(acceptor.accept(), self.stopped()).await {
                Either::First(accepted) => accepted,
                Either::Second(()) => return,
            };
            match accepted {
                Ok(mut transport) => self.carry(&mut transport, &mut input, &mut output).await,
                Err(_) => self.clock.sleep_until(self.clock.now() + ACCEPT_PAUSE).await,
            }
        }
    }

    async fn carry<T: Transport>(&self, transport: &mut T, input: &mut [u8; IN], output: &mut [u8; STAGE]) {
        let peer = transport.peer();
        let id = self.drive(|machine, now| machine.accept(now, peer));
        let ending = match id {
            Some(id) => self.converse(transport, &Place { server: self, id }, input, output).await,
            None => self.turn_away(transport, output).await,
        };
        // The place is free by now: whoever lingers here costs nobody else theirs.
        let farewell = async {
            transport.end().await;
            if ending == Ending::Linger {
                let (mut reader, _writer) = transport.split();
                while let Ok(1..) = reader.read(input).await {}
            }
        };
        if ending != Ending::Drop {
            select(farewell, self.clock.sleep_until(self.clock.now() + self.settings.linger)).await;
        }
    }

    /// Tells a client that there is no place for it.
    async fn turn_away<T: Transport>(&self, transport: &mut T, output: &mut [u8; STAGE]) -> Ending {
        let refusal = Refusal::from(Rejection::unavailable(self.settings.retry_after));
        let len = write_refusal(refusal, output);
        let (_reader, mut writer) = transport.split();
        let saying = async { writer.write_all(&output[..len]).await.is_ok() && writer.flush().await.is_ok() };
        match select(saying, self.clock.sleep_until(self.clock.now() + self.settings.linger)).await {
            Either::First(true) => Ending::Linger,
            _ => Ending::Drop,
        }
    }

    async fn converse<T: Transport>(
        &self,
        transport: &mut T,
        place: &Place<'_, H, C, N, IN, OUT>,
        input: &mut [u8; IN],
        output: &mut [u8; STAGE],
    ) -> Ending {
        let id = place.id;
        let (reader, writer) = transport.split();
        // Neither half waits for the other one, and neither is dropped before the end.
        select3(self.read(reader, id, input), self.write(writer, id, output), self.keep_time(id)).await;
        self.machine.borrow().ending(id)
    }

    async fn read(&self, mut reader: impl Read, id: ClientId, input: &mut [u8; IN]) {
        let mut len = 0;
        loop {
            self.until(|machine| machine.reads(id)).await;
            let consumed = self.drive(|machine, now| machine.receive(now, id, &mut input[..len]));
            input.copy_within(consumed..len, 0);
            len -= consumed;
            if !self.machine.borrow().reads(id) {
                continue;
            }
            match reader.read(&mut input[len..]).await {
                Ok(read @ 1..) => len += read,
                Ok(0) => break self.drive(|machine, now| machine.receive_end(now, id)),
                Err(_) => break self.drive(|machine, now| machine.transport_failed(now, id)),
            }
            // A client that never stops sending must not keep the others waiting.
            yield_now().await;
        }
        pending().await
    }

    async fn write(&self, mut writer: impl Write, id: ClientId, output: &mut [u8; STAGE]) {
        loop {
            let transmit = poll_fn(|_| match self.drive(|machine, now| machine.transmit(now, id, output)) {
                Transmit::Nothing => Poll::Pending,
                transmit => Poll::Ready(transmit),
            })
            .await;
            let bytes = match transmit {
                Transmit::Nothing => &[],
                Transmit::Bytes(len) => &output[..len],
                Transmit::Asset(asset) => asset,
            };
            if self.write_all(&mut writer, id, bytes).await.is_err() {
                break self.drive(|machine, now| machine.transport_failed(now, id));
            }
        }
        pending().await
    }

    async fn write_all<W: Write>(&self, writer: &mut W, id: ClientId, mut bytes: &[u8]) -> Result<(), ()> {
        while !bytes.is_empty() {
            match writer.write(bytes).await {
                Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
                _ => return Err(()),
            }
            self.drive(|machine, now| machine.transport_took_bytes(now, id));
        }
        writer.flush().await.map_err(drop)
    }

    /// Runs the timers of a client, until its transport is to be ended.
    async fn keep_time(&self, id: ClientId) {
        loop {
            let (at, ending) = self.time(id);
            if ending != Ending::Keep {
                return;
            }
            let changed = self.until(|machine| (machine.poll_timeout(id), machine.ending(id)) != (at, ending));
            let Some(at) = at else {
                changed.await;
                continue;
            };
            if let Either::Second(()) = select(changed, self.clock.sleep_until(at)).await {
                self.drive(|machine, now| machine.handle_timeout(now, id));
            }
        }
    }

    fn time(&self, id: ClientId) -> (Option<Instant>, Ending) {
        let machine = self.machine.borrow();
        (machine.poll_timeout(id), machine.ending(id))
    }

    async fn stopped(&self) {
        self.until(|machine| machine.is_stopping()).await;
    }

    /// Waits until something is so. What changes it wakes all of us.
    fn until(&self, mut is_so: impl FnMut(&Machine<H, N, IN, OUT>) -> bool) -> impl Future<Output = ()> {
        poll_fn(move |_| if is_so(&self.machine.borrow()) { Poll::Ready(()) } else { Poll::Pending })
    }

    /// Calls the machine, and wakes whoever serves if that has changed something for others.
    fn drive<R>(&self, call: impl FnOnce(&mut Machine<H, N, IN, OUT>, Instant) -> R) -> R {
        let now = self.clock.now();
        let mut machine = self.machine.borrow_mut();
        let result = call(&mut machine, now);
        if machine.take_changed()
            && let Some(waker) = self.waker.take()
        {
            waker.wake_by_ref();
            self.waker.set(Some(waker));
        }
        result
    }
}

impl<H, C, const N: usize, const IN: usize, const OUT: usize> fmt::Debug for Server<H, C, N, IN, OUT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A client's place, given back when it is dropped, whyever.
struct Place<'s, H: Handler, C: Clock, const N: usize, const IN: usize, const OUT: usize> {
    server: &'s Server<H, C, N, IN, OUT>,
    id: ClientId,
}

impl<H: Handler, C: Clock, const N: usize, const IN: usize, const OUT: usize> Drop for Place<'_, H, C, N, IN, OUT> {
    fn drop(&mut self) {
        self.server.drive(|machine, now| machine.release(now, self.id));
    }
}
