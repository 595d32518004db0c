//! The writes of a turn in one system call, by io_uring.
//!
//! Only that: sockets are watched and read as everywhere else, so a kernel without io_uring (or a container that forbids
//! it) costs speed and nothing else.

#![allow(unsafe_code, reason = "the kernel is given addresses; see the one place where that happens")]

use std::io;

use io_uring::{IoUring, opcode, types};

use crate::batch::Write;

/// How many writes go in one system call at most.
const ENTRIES: u32 = 256;

/// A ring of one loop.
pub(crate) struct Ring(IoUring);

impl Ring {
    /// A ring for the thread that calls this, and no other.
    pub(crate) fn new() -> io::Result<Self> {
        let mut ring = Self(IoUring::builder().setup_single_issuer().setup_submit_all().build(ENTRIES)?);
        let mut answer = Ok(0);
        ring.write([Write { socket: -1, bytes: b"?" }].into_iter(), &mut |_, result| answer = result)?;
        // There is no such socket, and the kernel has to know the operation to say so.
        match answer {
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(ring),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Does all of `writes`, and tells what became of each, by its number.
    ///
    /// # Errors
    ///
    /// The ring is unusable from now on, and has to be dropped. Writes of which nothing was told were not done.
    pub(crate) fn write<'a>(
        &mut self,
        writes: impl Iterator<Item = Write<'a>>,
        done: &mut dyn FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let mut writes = writes.enumerate().peekable();
        while writes.peek().is_some() {
            let mut waiting = 0;
            for (number, Write { socket, bytes }) in writes.by_ref().take(ENTRIES as usize) {
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let send = opcode::Send::new(types::Fd(socket), bytes.as_ptr(), len)
                    .flags(libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
                    .build()
                    .user_data(number as u64);
                // SAFETY: the kernel reads `bytes` within the system calls below and at no other time, since a send that
                // does not wait (MSG_DONTWAIT) is complete when it has been submitted. If submitting fails, the ring is
                // dropped with what was not submitted.
                unsafe { self.0.submission().push(&send) }.map_err(|_| io::Error::other("the ring is full"))?;
                waiting += 1;
            }
            while waiting > 0 {
                match self.0.submit_and_wait(waiting) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => drop(result?),
                }
                for completion in self.0.completion() {
                    let result = completion.result();
                    let result = usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
                    done(completion.user_data() as usize, result);
                    waiting -= 1;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    /// Where the kernel has none the engine does without, and there is nothing to test.
    #[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
    fn ring() -> Option<Ring> {
        Ring::new().inspect_err(|error| eprintln!("NOT TESTED: no io_uring here: {error}")).ok()
    }

    #[test]
    fn every_write_is_told_of_once_whatever_becomes_of_it() {
        let Some(mut ring) = ring() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        // More than one system call takes; every tenth has no socket.
        let number = ENTRIES as usize * 2 + 17;
        let socket = |i: usize| if i % 10 == 9 { -1 } else { server.as_raw_fd() };
        let bytes: Vec<[u8; 2]> = (0..number).map(|i| (i as u16).to_be_bytes()).collect();
        let writes = bytes.iter().enumerate().map(|(i, bytes)| Write { socket: socket(i), bytes });
        let mut told = vec![Vec::new(); number];
        ring.write(writes, &mut |i, result| told[i].push(result.map_err(|error| error.raw_os_error()))).unwrap();
        let mut expected = Vec::new();
        for (i, told) in told.iter().enumerate() {
            if socket(i) < 0 {
                assert_eq!(*told, [Err(Some(libc::EBADF))]);
            } else {
                assert_eq!(*told, [Ok(2)]);
                expected.extend_from_slice(&bytes[i]);
            }
        }
        let mut got = vec![0; expected.len()];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, expected, "in order");
    }

    #[test]
    fn a_socket_that_is_full_says_so_at_once() {
        let Some(mut ring) = ring() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let bytes = vec![0; 1 << 20];
        loop {
            let mut answer = None;
            let write = Write { socket: server.as_raw_fd(), bytes: &bytes };
            ring.write([write].into_iter(), &mut |_, result| answer = Some(result)).unwrap();
            match answer.unwrap() {
                Ok(n) => assert!(n > 0),
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }
}
