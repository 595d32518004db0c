//! The device over networks of all kinds, in virtual time.

use std::cell::RefCell;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use tautline_device::host::Stream;
use tautline_device::{Clock, ConnectError, Connector, Instant, Link, Stopped};
use tautline_device_app::blink::Punctuality;
use tautline_device_app::plan::Plan;
use tautline_device_app::{Board, Buffers, Device, OUTBOX, TEXTS};
use tautline_device_config::Config;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, duplex};
use tokio::sync::mpsc;

const CONFIG: &str = r#"{
    "wifi": { "SSID": "lab", "password": "", "attempts": 1, "delay_in_msec": 0 },
    "server": "ws://hub.lan/rooms/lab/",
    "socket_delay_ms": 5
}"#;

/// A board that remembers what it printed.
#[derive(Default)]
struct Bench(Mutex<Vec<String>>);

impl Board for Bench {
    fn print(&self, line: fmt::Arguments<'_>) {
        self.0.lock().unwrap().push(line.to_string());
    }

    fn lamp(&self, _: bool) {}

    fn punctuality(&self) -> Punctuality {
        Punctuality::default()
    }

    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(0x5a);
    }
}

/// tokio's time, which runs only while everybody waits. It remembers when it was asked to wait, and until when.
struct Virtual {
    start: tokio::time::Instant,
    waits: RefCell<Vec<(Instant, Instant)>>,
}

impl Virtual {
    fn new() -> Self {
        Self { start: tokio::time::Instant::now(), waits: RefCell::default() }
    }
}

impl Clock for Virtual {
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    async fn sleep_until(&self, at: Instant) {
        self.waits.borrow_mut().push((self.now(), at));
        tokio::time::sleep(at - self.now()).await;
    }
}

/// A network.
#[derive(Clone, Debug)]
enum Network {
    /// Nobody answers.
    Silent,
    /// Everybody refuses.
    Refusing,
    /// Connects, and takes so many bytes of what is sent; the other ends go here.
    Connecting(usize, mpsc::UnboundedSender<DuplexStream>),
}

impl Connector for Network {
    type Transport<'t> = Stream<DuplexStream>;

    async fn connect(&mut self) -> Result<Self::Transport<'_>, ConnectError> {
        match self {
            Self::Silent => std::future::pending().await,
            Self::Refusing => Err(ConnectError::Lookup),
            Self::Connecting(bytes, servers) => {
                let (ours, theirs) = duplex(*bytes);
                let _ = servers.send(theirs);
                Ok(Stream::new(ours))
            }
        }
    }
}

/// Runs a device until its plan is done; when its control loop asked to wait, and until when, and what the board printed.
async fn run(mut network: Network, plan: Plan) -> (Vec<(Instant, Instant)>, Vec<String>) {
    let config = Config::read(CONFIG.as_bytes(), &mut [], |_| {}).unwrap();
    let (board, mut outbox, mut texts) = (Bench::default(), [0; OUTBOX], [0; TEXTS]);
    let link: Link<'_, NoopRawMutex> = Link::new(&mut outbox);
    let device = Device::new(&board, &config, None, &plan, &link, &mut texts);
    let (mut receive, mut transmit, mut message) = ([0; 1024], [0; 512], [0; 1024]);
    let buffers = Buffers { receive: &mut receive, transmit: &mut transmit, message: &mut message };
    let (control, talk) = (Virtual::new(), Virtual::new());
    let ((), stopped) = tokio::join!(device.control(&control), device.talk(&mut network, &talk, buffers));
    assert_eq!(stopped, Stopped::Asked);
    let lines = board.0.into_inner().unwrap();
    (control.waits.into_inner(), lines)
}

#[tokio::test(start_paused = true)]
async fn the_control_loop_is_punctual_whatever_the_network_does() {
    let (servers, _keep) = mpsc::unbounded_channel();
    for network in [Network::Silent, Network::Refusing, Network::Connecting(1, servers)] {
        for envelopes in [false, true] {
            let cycle = Duration::from_millis(400);
            let plan = Plan { cycles: 500, leave_every: 10, envelopes, cycle, ..Plan::DEFAULT };
            let (waits, lines) = run(network.clone(), plan).await;
            for (n, (asked, until)) in (0..500).zip(&waits) {
                let due = Instant::ZERO + cycle * n;
                assert_eq!((*asked, *until), (due, due + cycle), "{network:?}, cycle {n}");
            }
            // Of 500 messages those that were dropped are counted, and the last ones wait in vain.
            let last = lines.last().unwrap();
            assert!(last.starts_with("messages 0 sent, 4"), "{network:?}: {last}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_not_given_up_because_it_is_time_to_leave() {
    let plan = Plan { cycles: 30, leave_every: 1, ..Plan::DEFAULT };
    let (_, lines) = run(Network::Silent, plan).await;
    // In 12 s of cycles, and the 60 s after them: each attempt has its 15 s.
    let attempts = lines.iter().filter(|line| line.starts_with("connecting, attempt ")).count();
    assert!((1..=6).contains(&attempts), "{lines:?}");
}

/// The path that a device asks for.
async fn path(client_id: Option<&'static str>, name: Option<&'static str>, envelopes: bool) -> String {
    let mut config = Config::read(CONFIG.as_bytes(), &mut [], |_| {}).unwrap();
    config.client_id = client_id;
    let (board, mut outbox, mut texts) = (Bench::default(), [0; OUTBOX], [0; TEXTS]);
    let link: Link<'_, NoopRawMutex> = Link::new(&mut outbox);
    let plan = Plan { envelopes, ..Plan::DEFAULT };
    let device = Device::new(&board, &config, name, &plan, &link, &mut texts);
    let (mut receive, mut transmit, mut message) = ([0; 1024], [0; 512], [0; 1024]);
    let buffers = Buffers { receive: &mut receive, transmit: &mut transmit, message: &mut message };
    let (servers, mut accepted) = mpsc::unbounded_channel();
    let mut network = Network::Connecting(1024, servers);
    let clock = Virtual::new();
    let asked = async {
        let server = accepted.recv().await.unwrap();
        let line = BufReader::new(server).lines().next_line().await.unwrap().unwrap();
        link.stop();
        line.strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned()
    };
    tokio::join!(device.talk(&mut network, &clock, buffers), asked).1
}

#[tokio::test(start_paused = true)]
async fn its_id_is_the_given_one_else_the_certificates_name_else_a_number() {
    let number = format!("/rooms/lab/{}", 0x5a5a_5a5a_5a5a_5a5a_u64);
    assert_eq!(path(Some("esp"), Some("ESP Client 1"), true).await, "/rooms/lab/esp");
    assert_eq!(path(None, Some("ESP Client 1"), true).await, "/rooms/lab/ESP%20Client%201");
    assert_eq!(path(None, None, true).await, number);
    // The labs' servers know numbers only.
    assert_eq!(path(None, Some("ESP Client 1"), false).await, number);
    assert_eq!(path(Some("7"), Some("ESP Client 1"), false).await, "/rooms/lab/7");
}
