//! The device itself: its control loop, and what it does with what the client tells it.

use core::fmt::{self, Write};

use embassy_sync::blocking_mutex::raw::RawMutex;
use tautline_device::{Clock, Event, Handler, Link, Message, Policy};
use tautline_proto::Data;

use crate::Board;
use crate::plan::Plan;

/// What a device says in each cycle.
const DISTRESS: Message<'_> = Message::text("SOS").policy(Policy::DropOldest);

/// The control loop: sends in each cycle, whether there is a link or not, and never waits for the network. Returns after the
/// plan's last cycle.
pub async fn control<M: RawMutex>(plan: &Plan, link: &Link<'_, M>, clock: &impl Clock) {
    let mut next = clock.now();
    let mut cycle: u32 = 0;
    loop {
        cycle = cycle.wrapping_add(1);
        if plan.sends {
            // With nowhere to go the oldest ones make room; the outbox counts them.
            let _ = link.try_send(DISTRESS);
        }
        if plan.leave_every > 0 && cycle.is_multiple_of(plan.leave_every) {
            link.reconnect();
        }
        next = next + plan.cycle;
        clock.sleep_until(next).await;
        if cycle == plan.cycles {
            return;
        }
    }
}

/// Prints what happens.
#[derive(Clone, Copy)]
pub struct Printer<'a> {
    board: &'a dyn Board,
}

impl<'a> Printer<'a> {
    /// Prints on this board.
    pub fn new(board: &'a dyn Board) -> Self {
        Self { board }
    }
}

impl fmt::Debug for Printer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").finish_non_exhaustive()
    }
}

impl Handler for Printer<'_> {
    fn event(&mut self, event: Event<'_>) {
        let board = self.board;
        match event {
            Event::BeforeConnect { attempt } => board.print(format_args!("connecting, attempt {attempt}")),
            Event::Connected(_) => board.print(format_args!("connected")),
            Event::Data(data) => board.print(format_args!("received {}", Shown(&data))),
            Event::Error(cause) => board.print(format_args!("error: {cause}")),
            Event::Closed { code, reason, clean } => {
                let how = if clean { "" } else { ", not cleanly" };
                board.print(format_args!("closed with {code}{how} {reason}"));
            }
            Event::Disconnected { cause, retry_in } => {
                let light = board.punctuality();
                board.print(format_args!("light {} edges, worst {} us late", light.edges, light.worst_us));
                match retry_in {
                    Some(wait) => board.print(format_args!("disconnected: {cause}; again in {} ms", wait.as_millis())),
                    None => board.print(format_args!("disconnected: {cause}")),
                }
            }
            // Pings and pongs come all the time.
            _ => {}
        }
    }
}

/// A message, or a piece of one, as it is printed.
struct Shown<'a, 'b>(&'a Data<'b>);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.0;
        if !data.is_whole() {
            let end = data.offset() + data.bytes().len() as u64;
            write!(f, "bytes {} to {end} of {} ", data.offset(), data.payload_len())?;
        }
        match data.text() {
            // It is one line, whatever is sent.
            Some(text) => text.chars().try_for_each(|char| f.write_char(if char.is_control() { ' ' } else { char })),
            None => write!(f, "{:02x?}", data.bytes()),
        }
    }
}
