//! A device, and what is needed to play its hub.

use tautline_telemetry::device::{Config, Identity, Ignored, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Body, ErrorCode, Key, Kind, MAX_MESSAGE, Message, Problem, Record, Side, Time, Value,
    Welcome,
};

pub(crate) const DEVICE: u32 = 7;
pub(crate) const SESSION: u64 = 0x5e55;
pub(crate) const LINK: u64 = 0x117;
pub(crate) const CALENDAR: u64 = 1_800_000_000_000;

pub(crate) fn key() -> Key {
    Key::new(&[5; 32])
}

/// A device and what is needed to play its hub.
pub(crate) struct Rig {
    pub(crate) device: Session<'static, Vec<u8>>,
    pub(crate) address: Address,
}

/// A message that the device has sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) sequence: u32,
    pub(crate) address: Address,
    pub(crate) bytes: Vec<u8>,
}

impl Rig {
    pub(crate) fn new(config: Config, memory: usize) -> Self {
        let identity = Identity { device: DEVICE, name: "d", firmware: "", sensors: &[], key: Some(key()) };
        let device = Session::new(0, identity, config, SESSION, 1, vec![0; memory]).unwrap();
        Self { device, address: Address { device: DEVICE, session: SESSION, link: LINK } }
    }

    /// A device that has been welcomed, at time 0, and has asked for the time.
    pub(crate) fn linked() -> Self {
        let mut rig = Self::new(Config::DATAGRAM, 4_096);
        assert_eq!(rig.drain(0)[0].kind, Kind::Hello);
        rig.welcome(0, 1, Acknowledgement::default()).unwrap();
        assert_eq!(rig.drain(0)[0].kind, Kind::TimeRequest);
        rig.hear(0, &Body::Time(CALENDAR), 1).unwrap();
        rig
    }

    pub(crate) fn drain(&mut self, now: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut out = [0; MAX_MESSAGE];
        while let Some(len) = self.device.poll_transmit(now, &mut out) {
            let (message, _) = Message::parse(&out[..len]).unwrap();
            message.authenticate(Side::Device, Some(&key())).unwrap();
            let header = message.header();
            let (kind, sequence, address) = (header.kind, header.sequence, header.address);
            sent.push(Sent { kind, sequence, address, bytes: out[..len].to_vec() });
            assert!(sent.len() < 1_000);
        }
        assert!(self.device.poll_timeout().is_none_or(|at| at > now), "it would be asked again and again");
        sent
    }

    /// The numbers of the readings that are sent now.
    pub(crate) fn readings(&mut self, now: u64) -> Vec<u32> {
        self.drain(now).iter().filter(|sent| sent.kind == Kind::Readings).map(|sent| sent.sequence).collect()
    }

    /// Readings in a message of their own.
    pub(crate) fn push_and_send(&mut self, now: u64) -> u32 {
        let number = self.device.push(now, 1, Value::U8(1)).unwrap();
        assert_eq!(self.readings(now), [number]);
        number
    }

    pub(crate) fn hear(&mut self, now: u64, body: &Body<'_>, sequence: u32) -> Result<Option<String>, Ignored> {
        self.hear_from(now, body, sequence, self.address, Some(&key()))
    }

    pub(crate) fn hear_from(
        &mut self,
        now: u64,
        body: &Body<'_>,
        sequence: u32,
        address: Address,
        key: Option<&Key>,
    ) -> Result<Option<String>, Ignored> {
        let mut out = [0; MAX_MESSAGE];
        let len = body.encode(address, sequence, key, &mut out).unwrap();
        let event = self.device.receive(now, &Message::parse(&out[..len]).unwrap().0)?;
        Ok(event.map(|event| format!("{event:?}")))
    }

    pub(crate) fn welcome(&mut self, now: u64, hello: u32, stored: Acknowledgement) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Welcome(Welcome { stored, time: CALENDAR + now, quiet: 0 }), hello)
    }

    pub(crate) fn acknowledge(&mut self, now: u64, highest: u32, bitmap: u64) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Acknowledgement(Acknowledgement::new(highest, bitmap).unwrap()), 0)
    }

    pub(crate) fn error(
        &mut self,
        now: u64,
        about: Kind,
        sequence: u32,
        code: ErrorCode,
    ) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Error(Problem { about, code, text: "" }), sequence)
    }
}

pub(crate) fn body_of(sent: &Sent) -> Body<'_> {
    Message::parse(&sent.bytes).unwrap().0.authenticate(Side::Device, Some(&key())).unwrap().body().unwrap()
}

pub(crate) fn records(sent: &Sent) -> (Time, Vec<Record<'_>>) {
    let Body::Readings(readings) = body_of(sent) else { panic!("no readings") };
    (readings.time, readings.records.iter().collect())
}
