//! One connection of an echo test.

use std::collections::VecDeque;
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::frame::Messages;
use crate::net::{Connection, Poll};

/// Frames up to this size are put together in one buffer; larger ones are written from where they are.
const SMALL: usize = 4096;
/// How much of small frames is written at a time.
const WRITE: usize = 64 * 1024;

pub(super) struct Client {
    pub(super) connection: Connection,
    /// The message that is being sent next, and how many bytes of its frame have been sent.
    sending: (u32, usize),
    /// How many messages wait to be sent.
    unsent: usize,
    /// The message whose reply comes next, and how many bytes of the reply have come.
    receiving: (u32, usize),
    /// When the messages that have no reply yet were sent, or were due.
    pub(super) since: VecDeque<Instant>,
    /// Whether the poll reports room to write.
    blocked: bool,
}

impl Client {
    pub(super) fn new(connection: Connection) -> Self {
        let since = VecDeque::new();
        Self { connection, sending: (0, 0), unsent: 0, receiving: (0, 0), since, blocked: false }
    }

    /// Adds messages to those that wait to be sent.
    pub(super) fn queue(&mut self, count: usize, since: Instant) {
        self.unsent += count;
        self.since.extend(std::iter::repeat_n(since, count));
    }

    /// Sends what waits, as far as the socket takes it. `token` is this connection's in `poll`.
    pub(super) fn send(&mut self, messages: &Messages, scratch: &mut Vec<u8>, poll: &Poll, token: usize) -> Result<()> {
        while self.unsent > 0 {
            let written = self.write(messages, scratch)?;
            let sent = self.sending.1 + written;
            let complete = sent / messages.sent_len();
            self.sending = (self.sending.0.wrapping_add(complete as u32), sent % messages.sent_len());
            self.unsent -= complete;
            if written == 0 {
                if !self.blocked {
                    self.blocked = true;
                    poll.set(&self.connection, token, true)?;
                }
                return Ok(());
            }
        }
        if self.blocked {
            self.blocked = false;
            poll.set(&self.connection, token, false)?;
        }
        Ok(())
    }

    fn write(&self, messages: &Messages, scratch: &mut Vec<u8>) -> Result<usize> {
        let (number, from) = self.sending;
        if messages.sent_len() <= SMALL {
            scratch.clear();
            messages.append(number, from, scratch);
            for next in 1..self.unsent.min(WRITE / messages.sent_len()) {
                messages.append(number.wrapping_add(next as u32), 0, scratch);
            }
            return self.connection.write(scratch);
        }
        match messages.start(number).get(from..) {
            Some(start) if !start.is_empty() => self.connection.write_both(start, messages.rest(0)),
            _ => self.connection.write(messages.rest(from)),
        }
    }

    /// Checks what has come; returns how many replies are complete with it.
    pub(super) fn receive(&mut self, mut got: &[u8], messages: &Messages) -> Result<usize> {
        let mut complete = 0;
        while !got.is_empty() {
            let (number, from) = self.receiving;
            let (piece, more) = got.split_at(got.len().min(messages.expected_len() - from));
            if !messages.is_reply(number, from, piece) {
                let shown = &piece[..piece.len().min(16)];
                return Err(Failure::new(format!(
                    "wrong bytes in the reply to message {number}, from byte {from} of {}: {shown:02x?}",
                    messages.expected_len()
                )));
            }
            self.receiving.1 += piece.len();
            if self.receiving.1 == messages.expected_len() {
                self.receiving = (number.wrapping_add(1), 0);
                complete += 1;
            }
            got = more;
        }
        if complete > self.since.len() {
            return Err(Failure::new("a reply to a message that was not sent"));
        }
        Ok(complete)
    }
}
