//! A small hub for sensor data over `tautline_telemetry::hub`, which can be killed and started again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use tautline_telemetry::hub::{Links, Received, Session, answer};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Command, ErrorCode, Key, Kind, MAX_MESSAGE, Message, Problem, Side, Status, Time,
    Value, Welcome, message_length, messages,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What survives.
#[derive(Default)]
pub(super) struct Kept {
    sessions: HashMap<(u32, u64), Acknowledgement>,
    names: HashMap<(u32, u64), (String, Vec<String>)>,
    /// Device, sensor, time, value.
    pub(super) readings: Vec<(String, String, u64, Json)>,
    /// Of commands.
    pub(super) results: Vec<(u32, Status)>,
}

/// What a hub knows from its start on.
pub(super) struct Setup {
    pub(super) keys: HashMap<u32, Key>,
    /// Given to every session, once it sends readings.
    pub(super) command: Option<Command<'static>>,
}

pub(super) struct Hub {
    pub(super) address: SocketAddr,
    pub(super) kept: Arc<Mutex<Kept>>,
    setup: Arc<Setup>,
    stored: watch::Sender<usize>,
    tasks: JoinSet<()>,
}

struct State {
    kept: Arc<Mutex<Kept>>,
    setup: Arc<Setup>,
    stored: watch::Sender<usize>,
    links: Links,
    sessions: HashMap<(u32, u64), Session>,
}

impl Hub {
    pub(super) async fn start(setup: Setup) -> Self {
        let (kept, stored) = (Arc::default(), watch::Sender::new(0));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut hub = Self { address, kept, setup: Arc::new(setup), stored, tasks: JoinSet::new() };
        hub.listen().await;
        hub
    }

    /// Without any farewell, and there again after the next `listen`.
    pub(super) async fn kill(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens at the same address as before, TCP and UDP.
    pub(super) async fn listen(&mut self) {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind(self.address).await.unwrap();
            let address = tcp.local_addr().unwrap();
            match UdpSocket::bind(address).await {
                Ok(udp) => break (tcp, udp),
                Err(error) => assert_eq!(self.address.port(), 0, "{error}"),
            }
        };
        self.address = tcp.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            kept: self.kept.clone(),
            setup: self.setup.clone(),
            stored: self.stored.clone(),
            links: Links::new(&rand::random()),
            sessions: HashMap::new(),
        }));
        self.tasks.spawn(serve_udp(udp, state.clone()));
        self.tasks.spawn(serve_tcp(tcp, state));
    }

    /// Waits until so many readings are stored.
    pub(super) async fn stored(&self, readings: usize) {
        let mut stored = self.stored.subscribe();
        let enough = stored.wait_for(|stored| *stored >= readings);
        tokio::time::timeout(super::super::LIMIT, enough).await.expect("readings come").unwrap();
    }
}

async fn serve_udp(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut datagram = [0; 2048];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut datagram).await else { continue };
        let mut answers = Vec::new();
        for message in messages(&datagram[..len]).map_while(Result::ok) {
            answers.extend(state.lock().unwrap().receive(&message));
        }
        for answer in answers {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve_stream(stream, state.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut came = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut came).await {
        while let Ok(Some(length)) = message_length(&came) {
            if came.len() < length {
                break;
            }
            let bytes: Vec<u8> = came.drain(..length).collect();
            let answers = state.lock().unwrap().receive(&Message::parse(&bytes).unwrap().0);
            if stream.write_all(&answers.concat()).await.is_err() {
                return;
            }
        }
    }
}

impl State {
    /// What is said to a message.
    fn receive(&mut self, message: &Message<'_>) -> Vec<Vec<u8>> {
        let header = message.header();
        let Address { device, session: number, link: said } = header.address;
        let key = self.setup.keys.get(&device).cloned();
        let mut out = [0; MAX_MESSAGE];
        let mut write = |body: Body<'_>, link, key: Option<&Key>| {
            let len = answer(message, link, &body, key, &mut out).unwrap();
            vec![out[..len].to_vec()]
        };
        let problem = |code| Body::Error(Problem { about: header.kind, code, text: "" });
        let Ok(authentic) = message.authenticate(Side::Device, key.as_ref()) else {
            return write(problem(ErrorCode::NOT_AUTHENTIC), said, None);
        };
        let link = self.links.link(device, number);
        if header.kind != Kind::Hello && said != link {
            return write(problem(ErrorCode::NO_LINK), said, key.as_ref());
        }
        let kept = &mut *self.kept.lock().unwrap();
        let stored = kept.sessions.entry((device, number)).or_default();
        let address = Address { link, ..header.address };
        let session = self.sessions.entry((device, number)).or_insert_with(|| Session::restore(address, *stored));
        match session.receive(&authentic) {
            Received::Hello(hello) => {
                let sensors = hello.sensors.iter().map(|sensor| sensor.name.to_owned()).collect();
                kept.names.insert((device, number), (hello.name.to_owned(), sensors));
                write(Body::Welcome(Welcome { stored: session.stored(), time: now(), quiet: 30 }), link, key.as_ref())
            }
            Received::Readings { sequence, readings } => {
                assert!(stored.add(sequence), "new for the store too");
                let (name, sensors) = &kept.names[&(device, number)];
                for record in readings.records.iter() {
                    let Time::Calendar(base) = readings.time else {
                        panic!("a device that was welcomed knows the time")
                    };
                    let sensor = sensors[usize::from(record.sensor)].clone();
                    kept.readings.push((name.clone(), sensor, base + u64::from(record.offset), json(record.value)));
                }
                self.stored.send_replace(kept.readings.len());
                session.committed(sequence);
                let mut out = [0; MAX_MESSAGE];
                let len = session.acknowledgement(key.as_ref(), &mut out).unwrap();
                let mut answers = vec![out[..len].to_vec()];
                if let Some(command) = &self.setup.command {
                    if !kept.results.iter().any(|(of, _)| *of == device) && session.pending_command().is_none() {
                        session.command(now(), 1);
                    }
                    let len = session.transmit_command(now(), command, key.as_ref(), &mut out).unwrap();
                    answers.extend(len.map(|len| out[..len].to_vec()));
                }
                answers
            }
            Received::Known => {
                let len = session.acknowledgement(key.as_ref(), &mut out).unwrap();
                vec![out[..len].to_vec()]
            }
            Received::Result { outcome, .. } => {
                kept.results.push((device, outcome.status));
                Vec::new()
            }
            Received::TimeRequest { .. } => write(Body::Time(now()), link, key.as_ref()),
            Received::Pending => Vec::new(),
            Received::Refused(code) => write(problem(code), link, key.as_ref()),
        }
    }
}

fn json(value: Value<'_>) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::U32(value) => json!(value),
        Value::F32(value) => json!(f64::from(value)),
        Value::F64(value) => json!(value),
        Value::Text(value) => json!(value),
        other => panic!("no simulated sensor reads {other:?}"),
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
