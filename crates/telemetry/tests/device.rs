//! The device's session, rule by rule: what it sends, when, and what it takes.

use tautline_telemetry::device::{Config, Event, Identity, Ignored, PushError, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Forged, Key, Kind, MAX_MESSAGE, Malformed, Message,
    Outcome, Problem, Record, Sensor, Side, Status, Time, Type, Unencodable, Value, Welcome,
};

const DEVICE: u32 = 7;
const SESSION: u64 = 0x5e55;
const LINK: u64 = 0x117;
const CALENDAR: u64 = 1_800_000_000_000;

fn key() -> Key {
    Key::new(&[5; 32])
}

/// A device and what is needed to play its hub.
struct Rig {
    device: Session<'static>,
    address: Address,
}

/// A message that the device has sent.
#[derive(Debug)]
struct Sent {
    kind: Kind,
    sequence: u32,
    address: Address,
    bytes: Vec<u8>,
}

impl Rig {
    fn new(config: Config, memory: usize) -> Self {
        let identity = Identity { device: DEVICE, name: "d", firmware: "", sensors: &[], key: Some(key()) };
        let memory = Vec::leak(vec![0; memory]);
        let device = Session::new(0, identity, config, SESSION, 1, memory).unwrap();
        Self { device, address: Address { device: DEVICE, session: SESSION, link: LINK } }
    }

    /// A device that has been welcomed, at time 0, and has asked for the time.
    fn linked() -> Self {
        let mut rig = Self::new(Config::DATAGRAM, 4_096);
        assert_eq!(rig.drain(0)[0].kind, Kind::Hello);
        rig.welcome(0, 1, Acknowledgement::default()).unwrap();
        assert_eq!(rig.drain(0)[0].kind, Kind::TimeRequest);
        rig.hear(0, &Body::Time(CALENDAR), 1).unwrap();
        rig
    }

    fn drain(&mut self, now: u64) -> Vec<Sent> {
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
    fn readings(&mut self, now: u64) -> Vec<u32> {
        self.drain(now).iter().filter(|sent| sent.kind == Kind::Readings).map(|sent| sent.sequence).collect()
    }

    /// Readings in a message of their own.
    fn push_and_send(&mut self, now: u64) -> u32 {
        let number = self.device.push(now, 1, Value::U8(1)).unwrap();
        assert_eq!(self.readings(now), [number]);
        number
    }

    fn hear(&mut self, now: u64, body: &Body<'_>, sequence: u32) -> Result<Option<String>, Ignored> {
        self.hear_from(now, body, sequence, self.address, Some(&key()))
    }

    fn hear_from(
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

    fn welcome(&mut self, now: u64, hello: u32, stored: Acknowledgement) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Welcome(Welcome { stored, time: CALENDAR + now, quiet: 0 }), hello)
    }

    fn acknowledge(&mut self, now: u64, highest: u32, bitmap: u64) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Acknowledgement(Acknowledgement::new(highest, bitmap).unwrap()), 0)
    }

    fn error(&mut self, now: u64, about: Kind, sequence: u32, code: ErrorCode) -> Result<Option<String>, Ignored> {
        self.hear(now, &Body::Error(Problem { about, code, text: "" }), sequence)
    }
}

fn body_of(sent: &Sent) -> Body<'_> {
    Message::parse(&sent.bytes).unwrap().0.authenticate(Side::Device, Some(&key())).unwrap().body().unwrap()
}

fn records(sent: &Sent) -> (Time, Vec<Record<'_>>) {
    let Body::Readings(readings) = body_of(sent) else { panic!("no readings") };
    (readings.time, readings.records.iter().collect())
}

#[test]
fn an_identity_that_cannot_be_sent_is_refused_at_once() {
    let sensors: Vec<_> =
        (0..200).map(|index| Sensor { index, kind: Type::U8, name: "a long name", unit: "" }).collect();
    let identity = |name, sensors| Identity { device: DEVICE, name, firmware: "", sensors, key: None };
    let new =
        |identity, number| Session::new(0, identity, Config::DATAGRAM, number, 0, &mut []).map(|_| ()).unwrap_err();
    assert_eq!(new(identity("d", &sensors), 1), Unencodable::Room);
    assert_eq!(new(identity("", &[]), 1), Unencodable::Value);
    assert_eq!(new(identity("d", &[]), 0), Unencodable::Value, "a session that is not random");
}

#[test]
fn only_the_welcome_for_the_last_hello_counts() {
    let mut rig = Rig::new(Config::DATAGRAM, 100);
    assert_eq!(rig.drain(0)[0].sequence, 1);
    assert_eq!(rig.drain(5_000)[0].sequence, 2);
    assert_eq!(rig.welcome(5_001, 1, Acknowledgement::default()), Err(Ignored::Stale));
    assert!(!rig.device.is_linked());
    rig.welcome(5_001, 2, Acknowledgement::default()).unwrap();
    assert!(rig.device.is_linked());
    let other = Address { link: 99, ..rig.address };
    let welcome = Body::Welcome(Welcome { stored: Acknowledgement::default(), time: 0, quiet: 0 });
    assert_eq!(rig.hear_from(5_002, &welcome, 2, other, Some(&key())), Err(Ignored::Stale), "once");
    assert_eq!(rig.drain(5_002)[0].address.link, LINK);
}

#[test]
fn messages_for_others_of_earlier_links_and_without_the_key_are_ignored() {
    let mut rig = Rig::linked();
    rig.push_and_send(10);
    let stored = Body::Acknowledgement(Acknowledgement::new(1, 0).unwrap());
    let (own, wrong) = (rig.address, Key::new(&[6; 32]));
    for (address, key, ignored) in [
        (Address { session: SESSION + 1, ..own }, Some(&key()), Ignored::Foreign),
        (Address { device: DEVICE + 1, ..own }, Some(&key()), Ignored::Foreign),
        (Address { link: LINK + 1, ..own }, Some(&key()), Ignored::Stale),
        (own, Some(&wrong), Ignored::Forged(Forged::Tag)),
        (own, None, Ignored::Forged(Forged::Keyless)),
    ] {
        assert_eq!(rig.hear_from(20, &stored, 0, address, key), Err(ignored));
    }
    assert_eq!(rig.device.outstanding(), 1);
}

#[test]
fn its_own_messages_sent_back_are_ignored() {
    let mut rig = Rig::linked();
    rig.device.push(10, 1, Value::U8(1)).unwrap();
    let sent = rig.drain(10).remove(0);
    let message = Message::parse(&sent.bytes).unwrap().0;
    assert_eq!(rig.device.receive(11, &message), Err(Ignored::Forged(Forged::Direction)));
}

#[test]
fn an_error_without_a_tag_is_shown_and_changes_nothing() {
    let mut rig = Rig::linked();
    let number = rig.push_and_send(10);
    for code in [ErrorCode::NO_LINK, ErrorCode::ENDED, ErrorCode::REFUSED, ErrorCode::UNKNOWN_DEVICE] {
        let problem = Body::Error(Problem { about: Kind::Readings, code, text: "who are you?" });
        let event = rig.hear_from(20, &problem, number, rig.address, None).unwrap().unwrap();
        assert!(event.starts_with("Hint(") && event.contains("who are you?"), "{event}");
    }
    assert!(rig.device.is_linked());
    let again = rig.drain(20_000);
    let again = again.iter().find(|sent| sent.kind == Kind::Readings).unwrap();
    assert_eq!(records(again).1.len(), 1);
}

#[test]
fn readings_travel_together_until_they_are_sent() {
    let mut rig = Rig::new(Config::DATAGRAM, 4_096);
    for at in [5, 6, 1_000] {
        assert_eq!(rig.device.push(at, 3, Value::I16(-4)), Ok(1));
    }
    rig.drain(1_000);
    rig.welcome(1_000, 1, Acknowledgement::default()).unwrap();
    let sent = rig.drain(1_000);
    let (time, records) = records(&sent[0]);
    assert_eq!(time, Time::Calendar(CALENDAR + 5));
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 995]);
    assert_eq!(rig.device.push(1_001, 3, Value::I16(1)), Ok(2));
}

#[test]
fn readings_linger_for_others_as_long_as_they_were_told_to() {
    let mut rig = Rig::new(Config::DATAGRAM.linger(500), 4_096);
    rig.drain(0);
    rig.welcome(0, 1, Acknowledgement::default()).unwrap();
    rig.drain(0);
    rig.hear(0, &Body::Time(CALENDAR), 1).unwrap();
    rig.device.push(100, 1, Value::U8(1)).unwrap();
    assert_eq!(rig.readings(100), []);
    rig.device.push(400, 1, Value::U8(2)).unwrap();
    assert_eq!((rig.readings(599), rig.device.poll_timeout()), (vec![], Some(600)));
    assert_eq!(rig.readings(600), [1]);
    // A full message does not wait.
    while rig.device.push(700, 1, Value::U64(0)) == Ok(2) {}
    assert_eq!(rig.readings(700), [2]);
}

#[test]
fn a_full_outbox_says_so_and_has_room_again_when_readings_are_stored() {
    let mut rig = Rig::new(Config::DATAGRAM, 100);
    rig.drain(0);
    rig.welcome(0, 1, Acknowledgement::default()).unwrap();
    assert_eq!([rig.push_and_send(1), rig.push_and_send(2)], [1, 2]);
    assert_eq!(rig.device.push(3, 1, Value::U64(1)), Err(PushError::Full));
    rig.acknowledge(4, 1, 0).unwrap();
    assert_eq!(rig.push_and_send(5), 3);
}

#[test]
fn a_value_that_can_never_be_sent_is_refused() {
    let mut rig = Rig::new(Config::DATAGRAM, 4_096);
    assert_eq!(rig.device.push(0, 1, Value::F32(f32::NAN)), Err(PushError::Value));
    assert_eq!(rig.device.push(0, 1, Value::Bytes(&[0; 1_200])), Err(PushError::Value));
    assert_eq!(rig.device.outstanding(), 0);
    assert_eq!(rig.device.push(0, 1, Value::Bytes(&[0; 1_132])), Ok(1));
}

#[test]
fn no_more_than_the_window_is_on_its_way() {
    let mut rig = Rig::new(Config::DATAGRAM.window(2), 20_000);
    rig.drain(0);
    rig.welcome(0, 1, Acknowledgement::default()).unwrap();
    let text = "t".repeat(1_000); // one in each message
    for number in 1..=4 {
        assert_eq!(rig.device.push(10, 1, Value::Text(&text)), Ok(number));
    }
    assert_eq!(rig.readings(10), [1, 2]);
    rig.acknowledge(11, 0, 0b10).unwrap();
    assert_eq!(rig.readings(11), [3]);
}

#[test]
fn a_message_is_sent_again_unless_it_is_stored_and_ever_more_rarely() {
    let mut rig = Rig::linked();
    rig.push_and_send(0);
    let (mut waits, mut last) = (Vec::new(), 0);
    while waits.len() < 12 {
        let at = rig.device.poll_timeout().unwrap();
        if rig.readings(at) == [1] {
            waits.push(at - last);
            last = at;
        }
    }
    assert!(waits[0] >= 1_000 && waits[0] <= 1_500, "{waits:?}");
    assert!(waits.iter().all(|&wait| (1_000..=60_000).contains(&wait)), "{waits:?}");
    assert!(waits[6..].iter().max() > waits[..3].iter().max(), "{waits:?}");
    rig.acknowledge(last + 1, 1, 0).unwrap();
    assert_eq!(rig.readings(last + 1_000_000), []);
}

#[test]
fn a_message_that_was_overtaken_by_three_is_sent_again_at_once() {
    let mut rig = Rig::linked();
    for at in 1..=4 {
        rig.push_and_send(at);
    }
    rig.acknowledge(10, 0, 0b0110).unwrap();
    assert_eq!(rig.readings(10), []);
    rig.acknowledge(11, 0, 0b1110).unwrap();
    assert_eq!(rig.readings(11), [1]);
    rig.acknowledge(12, 0, 0b1110).unwrap();
    assert_eq!(rig.readings(12), [], "once");
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_ignored() {
    let mut rig = Rig::linked();
    rig.push_and_send(1);
    rig.device.push(2, 1, Value::U8(2)).unwrap();
    assert_eq!(rig.acknowledge(3, 2, 0), Err(Ignored::Stale));
    assert_eq!(rig.acknowledge(3, 0, 0b10), Err(Ignored::Stale));
    assert_eq!(rig.device.outstanding(), 2);
}

#[test]
fn a_busy_hub_is_left_alone_for_as_long_as_it_said() {
    let mut rig = Rig::linked();
    let number = rig.push_and_send(0);
    let busy = Body::Busy(Busy { about: Kind::Readings, retry: 5_000 });
    rig.hear(10, &busy, number).unwrap();
    rig.device.push(20, 1, Value::U8(1)).unwrap();
    assert_eq!(rig.readings(5_009), []);
    let at = rig.device.poll_timeout().unwrap();
    assert!((5_010..=10_010).contains(&at), "{at}");
    assert_eq!(rig.readings(at), [1], "a window of one");
    rig.acknowledge(at, 1, 0).unwrap();
    assert_eq!(rig.hear(at, &busy, number), Err(Ignored::Stale), "it is stored, so this is a copy");
    assert_eq!(rig.readings(at), [2]);
}

#[test]
fn a_hub_that_is_too_busy_for_a_hello_is_left_alone_too() {
    let mut rig = Rig::new(Config::DATAGRAM, 100);
    rig.drain(0);
    let busy = Body::Busy(Busy { about: Kind::Hello, retry: 5_000 });
    let unlinked = Address { link: 0, ..rig.address };
    rig.hear_from(10, &busy, 1, unlinked, Some(&key())).unwrap();
    assert!(rig.drain(5_009).is_empty());
    assert_eq!(rig.drain(10_010)[0].kind, Kind::Hello);
}

#[test]
fn refused_readings_leave_their_number_to_an_empty_message() {
    let mut rig = Rig::linked();
    let number = rig.push_and_send(0);
    let event = rig.error(1, Kind::Readings, number, ErrorCode::REFUSED).unwrap().unwrap();
    assert!(event.starts_with("Refused { sequence: 1"), "{event}");
    let again = rig.drain(1);
    assert_eq!((again[0].sequence, records(&again[0]).1), (number, vec![]));
    rig.acknowledge(2, number, 0).unwrap();
    assert_eq!(rig.error(3, Kind::Readings, number, ErrorCode::REFUSED), Err(Ignored::Stale), "it is settled");
    assert_eq!(rig.push_and_send(4), 2);
}

#[test]
fn a_hub_that_has_forgotten_the_link_is_greeted_and_gets_what_it_does_not_have() {
    let mut rig = Rig::linked();
    for at in 1..=3 {
        rig.push_and_send(at);
    }
    assert_eq!(rig.error(10, Kind::Readings, 1, ErrorCode::NO_LINK).unwrap().unwrap(), "Unlinked");
    let hello = rig.drain(10).remove(0);
    assert_eq!((hello.kind, hello.sequence, hello.address.session), (Kind::Hello, 2, SESSION));
    rig.address.link = 0x222;
    rig.welcome(11, 2, Acknowledgement::new(1, 0b10).unwrap()).unwrap();
    let sent = rig.drain(11);
    assert_eq!((sent[0].kind, sent[0].sequence, sent[0].address.link), (Kind::Readings, 2, 0x222));
    assert_eq!(sent[1].kind, Kind::TimeRequest);
}

#[test]
fn a_new_connection_begins_with_hello() {
    let mut rig = Rig::linked();
    let number = rig.push_and_send(1);
    rig.device.reconnected(2);
    assert_eq!(rig.drain(2)[0].kind, Kind::Hello);
    assert_eq!(rig.readings(60_000), [], "not before the welcome");
    let hello = rig.drain(180_000)[0].sequence;
    rig.welcome(180_001, hello, Acknowledgement::default()).unwrap();
    assert_eq!(rig.readings(180_001), [number]);
}

#[test]
fn how_long_the_hub_was_away_is_not_taken_for_the_way_to_it() {
    let mut rig = Rig::linked();
    rig.device.push(1, 0, Value::U8(1)).unwrap();
    assert_eq!(rig.readings(1), [1]);
    // It is stored, and the hub ends before it can say so.
    rig.device.reconnected(2);
    rig.drain(2);
    let later = 40_000;
    let hello = rig.drain(later).remove(0).sequence;
    rig.welcome(later, hello, Acknowledgement::new(1, 0).unwrap()).unwrap();
    rig.device.push(later, 0, Value::U8(2)).unwrap();
    assert_eq!(rig.readings(later), [2]);
    let wait = rig.device.poll_timeout().unwrap() - later;
    assert!(wait <= 1_500, "{wait}");
}

#[test]
fn what_was_sent_in_vain_while_the_hub_was_away_is_not_waited_for_long_after_it() {
    let mut rig = Rig::linked();
    rig.device.push(1, 0, Value::U8(1)).unwrap();
    assert_eq!(rig.readings(1), [1]);
    let mut now = 1;
    for _ in 0..10 {
        now = rig.device.poll_timeout().unwrap();
        rig.drain(now);
    }
    rig.device.reconnected(now);
    let hello = rig.drain(now).remove(0).sequence;
    rig.welcome(now, hello, Acknowledgement::default()).unwrap();
    assert_eq!(rig.readings(now), [1]);
    // That is lost, too.
    let wait = rig.device.poll_timeout().unwrap() - now;
    assert!(wait <= 1_000 * (1 + (1 << 3)), "{wait}");
}

#[test]
fn a_session_that_cannot_be_right_ends_and_goes_on_as_another() {
    for stored in [Acknowledgement::new(0, 0), Acknowledgement::new(9, 0), Acknowledgement::new(1, 0b1000)] {
        let mut rig = Rig::linked();
        for at in 1..=3 {
            rig.push_and_send(at);
        }
        rig.acknowledge(5, 1, 0b10).unwrap();
        rig.device.reconnected(10);
        rig.drain(10);
        assert_eq!(rig.welcome(11, 2, stored.unwrap()).unwrap().unwrap(), "Ended");
        assert!(rig.drain(100_000).is_empty(), "nothing until the program has decided");
        rig.device.restart(100_001, SESSION + 1);
        let hello = rig.drain(100_001).remove(0);
        assert_eq!((hello.sequence, hello.address.session), (1, SESSION + 1));
        rig.address.session = SESSION + 1;
        rig.welcome(100_002, 1, Acknowledgement::default()).unwrap();
        let sent = rig.drain(100_002);
        assert_eq!((sent[0].sequence, records(&sent[0]).1.len()), (1, 1));
        assert_eq!((sent[1].sequence, records(&sent[1]).1.len()), (2, 0), "this one is stored already");
    }
}

#[test]
fn an_ended_session_is_silent() {
    let mut rig = Rig::linked();
    rig.push_and_send(0);
    assert_eq!(rig.error(1, Kind::Readings, 1, ErrorCode::ENDED).unwrap().unwrap(), "Ended");
    assert!(rig.drain(1_000_000).is_empty());
}

#[test]
fn a_command_comes_once_and_its_result_as_often_as_it_is_asked_for() {
    let mut rig = Rig::linked();
    let command = Body::Command(Command::Switch { index: 2, on: true });
    let event = rig.hear(1, &command, 5).unwrap().unwrap();
    assert!(event.starts_with("Command { number: 5"), "{event}");
    assert_eq!(rig.hear(2, &command, 5), Ok(None), "it is being carried out");
    assert!(rig.drain(2).is_empty());
    let done = Outcome { status: Status::Done, value: Some(Value::Bool(true)) };
    assert_eq!(rig.device.answer(4, &done), Ok(false));
    assert_eq!(rig.device.answer(5, &done), Ok(true));
    assert_eq!(rig.device.answer(5, &done), Ok(false));
    let sent = rig.drain(3);
    assert_eq!((sent[0].sequence, body_of(&sent[0])), (5, Body::Result(done)));
    assert_eq!(rig.hear(4, &command, 5), Ok(None));
    assert_eq!(rig.drain(4)[0].kind, Kind::Result);
    assert_eq!(rig.hear(5, &command, 4), Err(Ignored::Stale));
    rig.device.reconnected(6);
    let sent = rig.drain(6);
    let Body::Hello(hello) = body_of(&sent[0]) else { panic!("no hello") };
    assert_eq!(hello.last_command, 5);
}

#[test]
fn a_command_that_is_not_understood_is_refused() {
    let mut rig = Rig::linked();
    let mut out = [0; MAX_MESSAGE];
    // Operation 9, made from a switch; the tag is made again.
    Body::Command(Command::Switch { index: 2, on: true }).encode(rig.address, 1, None, &mut out).unwrap();
    let forged = |bytes: &mut [u8]| {
        bytes[4..6].fill(0);
        bytes[6..8].copy_from_slice(&51u16.to_be_bytes());
        bytes[32] = 9;
        let tag = hmac::<16>(&[5; 32], &bytes[..35]);
        bytes[35..51].copy_from_slice(&tag);
    };
    forged(&mut out);
    let message = Message::parse(&out).unwrap().0;
    let body = message.authenticate(Side::Hub, Some(&key())).unwrap().body();
    assert_eq!(body, Err(Malformed::Range));
    assert_eq!(rig.device.receive(1, &message), Ok(None));
    let sent = rig.drain(1);
    let Body::Result(outcome) = body_of(&sent[0]) else { panic!("no result") };
    assert_eq!(outcome.status, Status::Refused);
}

/// HMAC-SHA-256 as RFC 2104 has it, for messages that the crate does not write.
fn hmac<const N: usize>(key: &[u8; 32], bytes: &[u8]) -> [u8; N] {
    use sha2::{Digest, Sha256};
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::digest([&pad(0x36)[..], bytes].concat());
    let outer = Sha256::digest([&pad(0x5c)[..], &inner[..]].concat());
    outer[..N].try_into().unwrap()
}

#[test]
fn readings_before_the_time_is_known_have_an_age() {
    let mut rig = Rig::new(Config::DATAGRAM, 4_096);
    rig.device.push(1_000, 1, Value::U8(1)).unwrap();
    // A welcome that takes 11 s says too little about the time.
    let (mut at, mut hello) = (1_000, rig.drain(1_000)[0].sequence);
    while rig.device.poll_timeout().unwrap() < at + 11_000 {
        at = rig.device.poll_timeout().unwrap();
        hello = rig.drain(at)[0].sequence;
    }
    rig.welcome(at + 11_000, hello, Acknowledgement::default()).unwrap();
    assert_eq!(rig.device.calendar(at), None);
    let sent = rig.drain(at + 11_000);
    assert_eq!(records(&sent[0]).0, Time::Age(at + 10_000));
    // The same message again, when it is known.
    rig.hear(at + 11_100, &Body::Time(CALENDAR), 1).unwrap();
    let again = rig.device.poll_timeout().unwrap();
    let sent = rig.drain(again);
    assert_eq!(records(&sent[0]).0, Time::Calendar(CALENDAR + 50 - at - 10_100));
}

#[test]
fn only_the_answer_to_the_last_request_tells_the_time() {
    let mut rig = Rig::new(Config::DATAGRAM, 100);
    rig.drain(0);
    rig.welcome(0, 1, Acknowledgement::default()).unwrap();
    assert_eq!(rig.drain(0)[0].kind, Kind::TimeRequest);
    assert_eq!(rig.drain(10_000)[0].sequence, 2);
    assert_eq!(rig.hear(10_100, &Body::Time(5), 1), Err(Ignored::Stale));
    assert_eq!(rig.hear(10_100, &Body::Time(CALENDAR), 2).unwrap().unwrap(), "Time { round_trip: 100 }");
    assert_eq!(rig.device.calendar(10_100), Some(CALENDAR + 50));
    assert_eq!(rig.hear(10_200, &Body::Time(5), 2), Err(Ignored::Stale), "once");
}

#[test]
fn events_do_not_grow() {
    // They are returned by value on a chip.
    assert!(size_of::<Result<Option<Event<'_>>, Ignored>>() <= 64);
}
