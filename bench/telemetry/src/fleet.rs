//! Devices on one thread: the same session as on a chip, and sockets that do not block.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tautline_telemetry::device::{Config, Event, Identity, Session};
use tautline_telemetry::{Body, Kind, MAX_MESSAGE, Message, Sensor, Side, Type, Value};

use crate::wires::{Transport, Wires};

/// Of every device, as those of `tautline simulate`.
pub(crate) const SENSORS: [Sensor<'static>; 6] = [
    Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" },
    Sensor { index: 1, kind: Type::F32, name: "humidity", unit: "%RH" },
    Sensor { index: 2, kind: Type::F64, name: "battery", unit: "V" },
    Sensor { index: 3, kind: Type::Bool, name: "door", unit: "" },
    Sensor { index: 4, kind: Type::U32, name: "passages", unit: "count" },
    Sensor { index: 5, kind: Type::Text, name: "state", unit: "" },
];

/// The number of the first device.
const FIRST: u32 = 1_000_001;
/// How many devices greet the hub at a time.
const TOGETHER: usize = 256;
/// Bytes of an outbox: some more than the messages that may be on their way.
const OUTBOX: usize = 96 * 1024;
/// Of one that sends now and then.
const SMALL_OUTBOX: usize = 8 * 1024;
/// From so many devices on they send now and then.
const MANY: usize = 500;
/// How often it is looked who has to send again.
const RETRY: Duration = Duration::from_millis(50);
/// How long greeting may take, and what is under way at the end.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many messages are looked into, to know what they are like.
const LOOKED_INTO: u64 = 1_000;

/// The datagrams that were sent, on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) bytes: usize,
    pub(crate) readings: f64,
}

/// Devices that are linked to a hub.
pub(crate) struct Fleet {
    devices: Vec<Device>,
    wires: Wires,
    start: Instant,
    next: usize,
    last_retry: Instant,
    sent: Sent,
}

struct Device {
    session: Session<'static, Vec<u8>>,
    count: u32,
}

/// Messages with readings.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    messages: u64,
    bytes: u64,
    readings: u64,
}

impl Fleet {
    /// Devices at this port of 127.0.0.1, which has greeted each of them.
    pub(crate) fn new(transport: Transport, port: u16, devices: usize) -> io::Result<Self> {
        let wires = Wires::open(transport, port, devices)?;
        let config = if transport == Transport::Udp { Config::DATAGRAM } else { Config::STREAM };
        let outbox = if devices < MANY { OUTBOX } else { SMALL_OUTBOX };
        let (start, sent) = (Instant::now(), Sent::default());
        let mut fleet = Self { devices: Vec::new(), wires, start, next: 0, last_retry: start, sent };
        while fleet.devices.len() < devices {
            let first = fleet.devices.len();
            for place in first..devices.min(first + TOGETHER) {
                fleet.devices.push(Device::new(fleet.now(), place, config, outbox)?);
                fleet.transmit(place)?;
            }
            fleet.link(first)?;
        }
        Ok(fleet)
    }

    /// Every device has as much under way as it may. Returns how long that was.
    pub(crate) fn send_as_fast_as_possible(&mut self, span: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        for place in 0..self.devices.len() {
            self.fill(place)?;
        }
        while start.elapsed() < span {
            for place in self.receive()? {
                self.fill(place)?;
            }
            self.retry()?;
        }
        Ok(start.elapsed())
    }

    /// One device after the other sends a message of six readings, so many messages per second in all; then what is under way
    /// is waited for.
    pub(crate) fn send_at(&mut self, rate: f64, span: Duration) -> io::Result<()> {
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < span {
            let due = (start.elapsed().as_secs_f64() * rate) as u64;
            while done < due {
                let place = self.next;
                self.next = (place + 1) % self.devices.len();
                let now = self.now();
                for sensor in 0..6 {
                    // Where there is no room, the hub is slower than this, and what is stored counts.
                    let _ = self.devices[place].push(now, sensor);
                }
                self.transmit(place)?;
                done += 1;
            }
            self.receive()?;
            self.retry()?;
        }
        while self.devices.iter().any(|device| device.session.outstanding() > 0) {
            if start.elapsed() > span + PATIENCE {
                return Err(io::Error::other("readings are not acknowledged"));
            }
            for place in self.receive()? {
                self.transmit(place)?;
            }
            self.retry()?;
        }
        Ok(())
    }

    /// What was sent so far.
    pub(crate) fn shape(&self) -> Shape {
        let Sent { messages, bytes, readings } = self.sent;
        Shape { bytes: (bytes / messages.max(1)) as usize, readings: readings as f64 / messages.max(1) as f64 }
    }

    /// Waits until the hub has greeted all devices from this one on.
    fn link(&mut self, first: usize) -> io::Result<()> {
        let start = Instant::now();
        while !self.devices[first..].iter().all(|device| device.session.is_linked()) {
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other("the hub does not answer"));
            }
            for place in self.receive()? {
                self.transmit(place)?;
            }
            self.retry()?;
        }
        Ok(())
    }

    /// As many readings as there is room for, and as many messages as may leave.
    fn fill(&mut self, place: usize) -> io::Result<()> {
        let now = self.now();
        let device = &mut self.devices[place];
        while device.push(now, (device.count % 6) as u8) {}
        self.transmit(place)
    }

    fn transmit(&mut self, place: usize) -> io::Result<()> {
        let now = self.now();
        let mut out = [0; MAX_MESSAGE];
        while self.wires.have_room(place)
            && let Some(len) = self.devices[place].session.poll_transmit(now, &mut out)
        {
            self.sent.count(&out[..len]);
            self.wires.send(place, &out[..len]);
        }
        self.wires.flush(place)
    }

    /// Has everybody send again what is overdue, now and then.
    fn retry(&mut self) -> io::Result<()> {
        if self.last_retry.elapsed() < RETRY {
            return Ok(());
        }
        self.last_retry = Instant::now();
        (0..self.devices.len()).try_for_each(|place| self.transmit(place))
    }

    /// Takes what has come, and waits a moment if that is nothing. Returns whom it was for.
    fn receive(&mut self) -> io::Result<Vec<usize>> {
        let now = self.now();
        let mut told = Vec::new();
        let devices = &mut self.devices;
        self.wires.receive(|message| {
            let place = message.header().address.device.wrapping_sub(FIRST) as usize;
            if let Some(device) = devices.get_mut(place) {
                if let Ok(Some(Event::Refused { .. } | Event::Ended)) = device.session.receive(now, message) {
                    return Err(io::Error::other("the hub does not take readings"));
                }
                told.push(place);
            }
            Ok(())
        })?;
        told.sort_unstable();
        told.dedup();
        if told.is_empty() {
            self.wires.wait(Duration::from_millis(1))?;
        }
        Ok(told)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

impl Device {
    fn new(now: u64, place: usize, config: Config, outbox: usize) -> io::Result<Self> {
        let number = FIRST + place as u32;
        // It lives as long as this process.
        let name = Box::leak(format!("bench-{place}").into_boxed_str());
        let identity = Identity { device: number, name, firmware: "bench", sensors: &SENSORS, key: None };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let session = Session::new(now, identity, config, since ^ u64::from(number) << 40, since, vec![0; outbox]);
        Ok(Self { session: session.map_err(|_| io::Error::other("a hello that does not fit"))?, count: 0 })
    }

    /// Takes a reading. Returns whether there was room.
    fn push(&mut self, now: u64, sensor: u8) -> bool {
        let count = self.count;
        let value = match sensor {
            0 | 1 => Value::F32(20.0 + (count % 100) as f32 / 16.0),
            2 => Value::F64(3.0 + f64::from(count % 1_000) / 1_000.0),
            3 => Value::Bool(count & 64 == 0),
            4 => Value::U32(count),
            _ => Value::Text("idle"),
        };
        let taken = self.session.push(now, sensor, value).is_ok();
        self.count = count.wrapping_add(u32::from(taken));
        taken
    }
}

impl Sent {
    fn count(&mut self, bytes: &[u8]) {
        if self.messages < LOOKED_INTO
            && let Ok((message, _)) = Message::parse(bytes)
            && message.header().kind == Kind::Readings
            && let Ok(authentic) = message.authenticate(Side::Device, None)
            && let Ok(Body::Readings(readings)) = authentic.body()
        {
            self.messages += 1;
            self.bytes += bytes.len() as u64;
            self.readings += readings.records.len() as u64;
        }
    }
}
