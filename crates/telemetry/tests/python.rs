//! The Python programs of the labs, as they are, against a small hub over real sockets.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use tautline_telemetry::hub::{Links, Received, Session, answer};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, ErrorCode, Key, Kind, MAX_MESSAGE, Message, Problem, Side, Value, Welcome,
    message_length, messages,
};

const KEY: [u8; 32] = [0xa5; 32];
const DEVICE: u32 = 7;
const COUNT: u32 = 5;

/// As much of a hub as it takes, which makes trouble on its way.
struct Hub {
    key: Option<Key>,
    links: Links,
    /// Sessions, and how often the hub has started.
    sessions: BTreeMap<u64, Session>,
    received: u32,
    values: Vec<f32>,
}

impl Hub {
    fn new(key: Option<Key>) -> Self {
        Self { key, links: Links::new(&[1; 32]), sessions: BTreeMap::new(), received: 0, values: Vec::new() }
    }

    /// What to send back. Of the readings, the first are told that the hub is busy, the fourth finds it restarted.
    fn receive(&mut self, message: &Message<'_>) -> Vec<u8> {
        let Address { device, session: number, .. } = message.header().address;
        assert_eq!(device, DEVICE);
        let authentic = message.authenticate(Side::Device, self.key.as_ref()).expect("the program knows the key");
        let about = message.header().kind;
        self.received += u32::from(about == Kind::Readings);
        if self.received == 4 && about == Kind::Readings {
            self.links = Links::new(&[2; 32]);
        }
        let link = self.links.link(device, number);
        let known = self.sessions.get(&number).map(Session::stored).unwrap_or_default();
        let mut session = Session::restore(Address { device, session: number, link }, known);
        let body = match session.receive(&authentic) {
            Received::Hello(hello) => {
                assert_eq!((hello.name, hello.sensors.len()), ("python", 1));
                Body::Welcome(Welcome { stored: known, time: 1_800_000_000_000, quiet: 30 })
            }
            Received::Readings { .. } if self.received == 1 => Body::Busy(Busy { about, retry: 10 }),
            Received::Readings { sequence, readings } => {
                for record in readings.records.iter() {
                    let Value::F32(value) = record.value else { panic!("no temperature") };
                    self.values.push(value);
                }
                session.committed(sequence);
                Body::Acknowledgement(session.stored())
            }
            Received::Known => Body::Acknowledgement(known),
            Received::Refused(code) => {
                assert_eq!(code, ErrorCode::NO_LINK);
                Body::Error(Problem { about, code, text: "" })
            }
            other => panic!("{other:?}"),
        };
        self.sessions.insert(number, session);
        let mut out = [0; MAX_MESSAGE];
        let len = answer(message, link, &body, self.key.as_ref(), &mut out).expect("it fits");
        out[..len].to_vec()
    }

    fn check(&self) {
        let stored = self.sessions.values().next().expect("there was a session").stored();
        assert_eq!((self.sessions.len(), Some(stored)), (1, Acknowledgement::new(COUNT, 0)));
        assert_eq!(self.values.len(), COUNT as usize, "each once");
        assert!(self.values.iter().all(|value| (15.0..27.0).contains(value)), "{:?}", self.values);
    }
}

#[test]
fn the_udp_program_gets_everything_stored_once_with_and_without_a_key() {
    for key in [None, Some(Key::new(&KEY))] {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let program = start("telemetry_udp.py", socket.local_addr().unwrap().port(), key.is_some());
        let hub = thread::spawn(|| serve_udp(socket, Hub::new(key)));
        finish(program);
        hub.join().unwrap().check();
    }
}

#[test]
fn the_tcp_program_gets_everything_stored_once_and_comes_back() {
    for key in [None, Some(Key::new(&KEY))] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let program = start("telemetry_tcp.py", listener.local_addr().unwrap().port(), key.is_some());
        let hub = thread::spawn(|| serve_tcp(listener, Hub::new(key)));
        finish(program);
        hub.join().unwrap().check();
    }
}

/// Until everything is stored. The first datagram is lost, and with it a hello.
fn serve_udp(socket: UdpSocket, mut hub: Hub) -> Hub {
    let mut datagram = [0; 2_000];
    socket.recv_from(&mut datagram).unwrap();
    while hub.values.len() < COUNT as usize {
        let (len, from) = socket.recv_from(&mut datagram).unwrap();
        for message in messages(&datagram[..len]) {
            socket.send_to(&hub.receive(&message.unwrap()), from).unwrap();
        }
    }
    hub
}

/// Until everything is stored. The first connection is lost, and with it an acknowledgement.
fn serve_tcp(listener: TcpListener, mut hub: Hub) -> Hub {
    let mut first = true;
    while hub.values.len() < COUNT as usize {
        let (mut stream, _) = listener.accept().unwrap();
        while let Some(bytes) = next(&mut stream) {
            let answer = hub.receive(&Message::parse(&bytes).unwrap().0);
            if first && hub.values.len() == 1 {
                first = false;
                break;
            }
            stream.write_all(&answer).unwrap();
        }
    }
    hub
}

/// The next message of a stream.
fn next(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 8];
    stream.read_exact(&mut bytes).ok()?;
    let length = message_length(&bytes).expect("a message").expect("eight bytes are enough");
    bytes.resize(length, 0);
    stream.read_exact(&mut bytes[8..]).ok()?;
    Some(bytes)
}

fn start(program: &str, port: u16, keyed: bool) -> Child {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python").join(program);
    let source = std::fs::read_to_string(&path).unwrap();
    assert!(source.lines().count() < 40, "{program} has become long");
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    let (port, device, count) = (port.to_string(), DEVICE.to_string(), COUNT.to_string());
    let args = ["127.0.0.1", &port, &device, if keyed { &key } else { "" }, &count, "0"];
    let mut command = Command::new("python3");
    command.arg("-B").arg(path).args(args).stdout(Stdio::piped());
    command.spawn().expect("python3 is needed for this test")
}

/// It ends by itself, having said what was stored.
fn finish(mut program: Child) {
    let mut stdout = program.stdout.take().unwrap();
    let text = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    assert!(program.wait().unwrap().success());
    let expected: String = (1..=COUNT).map(|number| format!("stored {number}\n")).collect();
    assert_eq!(text.join().unwrap(), expected);
}
