//! Fixed ports. The labs' programs have theirs built in and do not say when they are ready; some take only one
//! connection, so that trying to connect would use it up. The kernel knows who listens.

use std::fs;
use std::net::{TcpListener, UdpSocket as Datagrams};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::{DEADLINE, Process};

/// A port that a program of a test will listen on.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// TCP, listening.
    Tcp(u16),
    /// UDP, bound.
    Udp(u16),
}

impl Port {
    /// Makes sure that nobody listens there, so that the test does not talk to a stranger.
    ///
    /// # Panics
    ///
    /// If somebody does.
    pub fn assert_free(self) {
        assert!(
            !self.is_taken(),
            "{self:?} is taken by a program that is not of this test: end it (`ss -lntup` shows it). The labs' programs \
             have fixed ports, so this suite needs them"
        );
    }

    /// Waits until the program has the port.
    ///
    /// # Panics
    ///
    /// If it does not take it within [`DEADLINE`].
    pub async fn taken_by(self, process: &Process) {
        self.becomes(true, process).await;
    }

    async fn becomes(self, taken: bool, process: &Process) {
        let deadline = Instant::now() + DEADLINE;
        while self.is_taken() != taken {
            if Instant::now() > deadline {
                process.fail(&format!("{self:?} is not taken within {DEADLINE:?}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // nothing tells
        }
    }

    fn is_taken(self) -> bool {
        let (tables, port, state) = match self {
            Self::Tcp(port) => (["/proc/net/tcp", "/proc/net/tcp6"], port, "0A"),
            Self::Udp(port) => (["/proc/net/udp", "/proc/net/udp6"], port, "07"),
        };
        let read = |table: &str| match fs::read_to_string(table) {
            Ok(text) => text,
            Err(_) if table.ends_with('6') => String::new(), // a machine without IPv6
            Err(error) => panic!("{table}: {error}; this suite asks Linux who listens where"),
        };
        let suffix = format!(":{port:04X}");
        tables.into_iter().any(|table| {
            read(table).lines().skip(1).any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let local = fields.next().is_some_and(|address| address.ends_with(&suffix));
                local && fields.nth(1) == Some(state)
            })
        })
    }
}

/// A UDP socket of this machine.
///
/// # Panics
///
/// If there is none to be had.
pub async fn udp() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.expect("a UDP socket")
}

/// A port for UDP and TCP that stays free while whoever has it is killed and started again, or has yet to start: one that the
/// system gives to nobody who asks for any, since a client that came from it would talk to itself. It is another one each time.
///
/// # Panics
///
/// If there is none.
pub fn lasting_port() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("this suite runs on Linux");
    let range: Vec<u16> = range.split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let is_given = |port: &u16| matches!(range[..], [from, to] if (from..=to).contains(port));
    let is_free =
        |port: &u16| Datagrams::bind(("127.0.0.1", *port)).is_ok() && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // Far from those that have a meaning, not the same one for everybody who runs this now, and none twice.
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 10_000;
    let mut ports = (0..10_000).map(|_| 20_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 10_000);
    ports.find(|port| !is_given(port) && is_free(port)).expect("a port that is free")
}
