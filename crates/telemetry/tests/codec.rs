//! What is written is read as it was meant; what is cut, changed or made up is refused.

use fastrand::Rng;
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, Command, ErrorCode, Forged, HEADER, Hello, Key, Kind, MAX_BODY, MAX_MESSAGE,
    MAX_TIME, MIN_HELLO, Malformed, Message, Outcome, Problem, Readings, Record, Sensor, Side, Status, TAG, Time, Type,
    Unencodable, Value, Welcome, hub, message_length, messages,
};

const ADDRESS: Address = Address { device: 7, session: 0x1122_3344_5566_7788, link: 0x99aa_bbcc_ddee_ff00 };
const RECORD: Record<'static> = Record { offset: 0, sensor: 0, value: Value::U8(1) };

fn key() -> Key {
    Key::new(&[5; 32])
}

/// Where a body of this kind is sent.
fn address(body: &Body<'_>) -> (Address, u32) {
    let link = if body.kind() == Kind::Hello { 0 } else { ADDRESS.link };
    (Address { link, ..ADDRESS }, if body.kind() == Kind::Acknowledgement { 0 } else { 3 })
}

fn encode(body: &Body<'_>, key: Option<&Key>) -> Vec<u8> {
    let mut out = [0; MAX_MESSAGE];
    let (address, sequence) = address(body);
    let len = body.encode(address, sequence, key, &mut out).unwrap();
    out[..len].to_vec()
}

/// The whole way of a message that has to be right.
fn decode<'a>(bytes: &'a [u8], key: Option<&Key>) -> Body<'a> {
    let (message, rest) = Message::parse(bytes).unwrap();
    assert!(rest.is_empty());
    message.authenticate(message.header().kind.sender(), key).unwrap().body().unwrap()
}

/// What is wrong with a body of this kind.
fn reject(kind: Kind, body: &[u8]) -> Malformed {
    let mut bytes = encode(&sample(kind), None);
    bytes.truncate(HEADER);
    bytes.extend_from_slice(body);
    if kind == Kind::Hello {
        bytes.resize(bytes.len().max(MIN_HELLO), 0);
    }
    let len = bytes.len() as u16;
    bytes[6..8].copy_from_slice(&len.to_be_bytes());
    let (message, _) = Message::parse(&bytes).unwrap();
    message.authenticate(kind.sender(), None).unwrap().body().unwrap_err()
}

const KINDS: [Kind; 10] = [
    Kind::Hello,
    Kind::Readings,
    Kind::Result,
    Kind::TimeRequest,
    Kind::Welcome,
    Kind::Acknowledgement,
    Kind::Command,
    Kind::Time,
    Kind::Busy,
    Kind::Error,
];

/// One of each kind, and small.
fn sample(kind: Kind) -> Body<'static> {
    const SENSORS: &[Sensor<'static>] = &[
        Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" },
        Sensor { index: 255, kind: Type::Bool, name: "door", unit: "" },
    ];
    const RECORDS: &[Record<'static>] = &[RECORD, Record { offset: 1_000, sensor: 1, value: Value::F32(21.5) }];
    match kind {
        Kind::Hello => {
            Body::Hello(Hello { last_command: 4, name: "kitchen", firmware: "1.0", sensors: SENSORS.into() })
        }
        Kind::Readings => Body::Readings(Readings { time: Time::Calendar(1_800_000_000_000), records: RECORDS.into() }),
        Kind::Result => Body::Result(Outcome { status: Status::Refused, value: Some(Value::Text("no lamp")) }),
        Kind::TimeRequest => Body::TimeRequest,
        Kind::Welcome => {
            let stored = Acknowledgement::new(3, 0b110).unwrap();
            Body::Welcome(Welcome { stored, time: 1_800_000_000_000, quiet: 30 })
        }
        Kind::Acknowledgement => Body::Acknowledgement(Acknowledgement::new(3, 1 << 63).unwrap()),
        Kind::Command => Body::Command(Command::Set { key: "brightness", value: Some(Value::U8(80)) }),
        Kind::Time => Body::Time(MAX_TIME),
        Kind::Busy => Body::Busy(Busy { about: Kind::Readings, retry: 500 }),
        Kind::Error => Body::Error(Problem { about: Kind::Hello, code: ErrorCode::CONFLICT, text: "taken" }),
    }
}

#[test]
fn every_kind_comes_back_as_it_was_with_and_without_a_key() {
    for kind in KINDS {
        let body = sample(kind);
        assert_eq!(decode(&encode(&body, Some(&key())), Some(&key())), body);
        assert_eq!(decode(&encode(&body, None), None), body);
    }
}

#[test]
fn random_readings_come_back_and_can_be_written_again() {
    let mut random = Rng::with_seed(1);
    for _ in 0..2_000 {
        let text: String = (0..random.usize(..40)).map(|_| random.char(..)).collect();
        let records: Vec<_> = (0..random.usize(..40)).map(|_| record(&mut random, &text)).collect();
        let time = random.u64(..=MAX_TIME);
        let time = if random.bool() { Time::Calendar(time) } else { Time::Age(time) };
        let body = Body::Readings(Readings { time, records: records.as_slice().into() });
        let (address, sequence) = address(&body);
        let mut out = [0; MAX_MESSAGE];
        match body.encode(address, sequence, Some(&key()), &mut out) {
            Ok(len) => {
                let read = decode(&out[..len], Some(&key()));
                assert_eq!(read, body);
                assert_eq!(encode(&read, Some(&key())), &out[..len]);
            }
            Err(error) => assert_eq!(error, Unencodable::Room),
        }
    }
}

fn record<'a>(random: &mut Rng, text: &'a str) -> Record<'a> {
    let value = match random.u8(1..=13) {
        1 => Value::Bool(random.bool()),
        2 => Value::I8(random.i8(..)),
        3 => Value::I16(random.i16(..)),
        4 => Value::I32(random.i32(..)),
        5 => Value::I64(random.i64(..)),
        6 => Value::U8(random.u8(..)),
        7 => Value::U16(random.u16(..)),
        8 => Value::U32(random.u32(..)),
        9 => Value::U64(random.u64(..)),
        10 => Value::F32(random.f32() * 1e30),
        11 => Value::F64(random.f64() * -1e300),
        12 => Value::Text(text),
        _ => Value::Bytes(text.as_bytes()),
    };
    Record { offset: random.u32(..), sensor: random.u8(..), value }
}

#[test]
fn every_truncation_is_refused() {
    for kind in KINDS {
        for key in [None, Some(&key())] {
            let bytes = encode(&sample(kind), key);
            for len in 0..bytes.len() {
                assert_eq!(Message::parse(&bytes[..len]).unwrap_err(), Malformed::Truncated, "{kind:?} {len}");
            }
        }
    }
}

#[test]
fn every_shortened_body_is_refused_or_another_message() {
    for kind in KINDS {
        let bytes = encode(&sample(kind), None);
        for len in HEADER..bytes.len() {
            let mut bytes = bytes[..len].to_vec();
            bytes[6..8].copy_from_slice(&(len as u16).to_be_bytes());
            let Ok((message, _)) = Message::parse(&bytes) else { continue };
            let body = message.authenticate(kind.sender(), None).unwrap().body();
            // Only a text that runs to the end may be shorter.
            assert!(body.is_err() || kind == Kind::Error, "{kind:?} {len}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_with_a_key() {
    for kind in KINDS {
        let whole = encode(&sample(kind), Some(&key()));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok((message, _)) = Message::parse(&bytes) else { continue };
            assert!(message.authenticate(kind.sender(), Some(&key())).is_err(), "{kind:?} bit {bit}");
        }
    }
}

#[test]
fn a_key_and_no_key_do_not_mix() {
    let forged = |bytes: &[u8], key: Option<&Key>| {
        let (message, _) = Message::parse(bytes).unwrap();
        message.authenticate(Side::Device, key).unwrap_err()
    };
    let body = sample(Kind::Readings);
    assert_eq!(forged(&encode(&body, Some(&key())), None), Forged::Keyed);
    assert_eq!(forged(&encode(&body, None), Some(&key())), Forged::Keyless);
    assert_eq!(forged(&encode(&body, Some(&key())), Some(&Key::new(&[6; 32]))), Forged::Tag);
}

#[test]
fn a_message_that_is_sent_back_is_refused() {
    for kind in KINDS {
        let bytes = encode(&sample(kind), Some(&key()));
        let (message, _) = Message::parse(&bytes).unwrap();
        let other = if kind.sender() == Side::Hub { Side::Device } else { Side::Hub };
        assert_eq!(message.authenticate(other, Some(&key())).unwrap_err(), Forged::Direction);
    }
}

#[test]
fn random_bytes_are_refused_without_panic() {
    let mut random = Rng::with_seed(2);
    let mut bytes = [0; MAX_MESSAGE];
    for _ in 0..20_000 {
        let len = random.usize(..=MAX_MESSAGE);
        random.fill(&mut bytes[..len]);
        assert!(Message::parse(&bytes[..len]).is_err() || len == 0);
        // Sound headers, so that the bodies are read too.
        let kind = *random.choice(&KINDS).unwrap();
        let head = encode(&sample(kind), None);
        bytes[..HEADER].copy_from_slice(&head[..HEADER]);
        let len = len.max(MIN_HELLO);
        bytes[6..8].copy_from_slice(&(len as u16).to_be_bytes());
        let (message, _) = Message::parse(&bytes[..len]).unwrap();
        let _ = message.authenticate(kind.sender(), None).unwrap().body();
    }
}

#[test]
fn headers_with_a_mistake_are_told_apart() {
    let change = |kind, at: usize, value: &[u8]| {
        let mut bytes = encode(&sample(kind), None);
        bytes[at..at + value.len()].copy_from_slice(value);
        Message::parse(&bytes).map(|_| ()).unwrap_err()
    };
    assert_eq!(change(Kind::Time, 0, b"GE"), Malformed::Magic);
    assert_eq!(change(Kind::Time, 2, &[2]), Malformed::Version(2));
    assert_eq!(change(Kind::Time, 3, &[0x87]), Malformed::Kind(0x87));
    assert_eq!(change(Kind::Time, 4, &[0, 3]), Malformed::Flags(3), "only readings have a time");
    assert_eq!(change(Kind::Readings, 4, &[0x80, 1]), Malformed::Flags(0x8001));
    assert_eq!(change(Kind::Time, 6, &[0, 31]), Malformed::Length(31));
    assert_eq!(change(Kind::Time, 4, &[0, 0, 0, 47]), Malformed::Length(47), "no room for the tag");
    assert_eq!(change(Kind::Hello, 6, &[0, 95]), Malformed::Length(95), "an answer could be larger");
    assert_eq!(change(Kind::Time, 6, &1_201u16.to_be_bytes()), Malformed::Length(1_201));
    assert_eq!(change(Kind::Time, 8, &[0; 4]), Malformed::Number, "device");
    assert_eq!(change(Kind::Time, 12, &[0; 4]), Malformed::Number, "sequence");
    assert_eq!(change(Kind::Acknowledgement, 12, &[0, 0, 0, 1]), Malformed::Number, "sequence of an acknowledgement");
    assert_eq!(change(Kind::Time, 16, &[0; 8]), Malformed::Number, "session");
    assert_eq!(change(Kind::Time, 24, &[0; 8]), Malformed::Number, "link");
    assert_eq!(change(Kind::Hello, 24, &[1; 8]), Malformed::Number, "link of a hello");
}

#[test]
fn bodies_with_a_mistake_are_told_apart() {
    let readings = |rest: &[u8]| reject(Kind::Readings, &[&[0; 8][..], rest].concat());
    assert_eq!(reject(Kind::Readings, &[0xff; 12]), Malformed::Range, "time");
    assert_eq!(readings(&[0, 0, 0, 1]), Malformed::Padding);
    assert_eq!(readings(&[0, 1, 0, 0]), Malformed::Truncated);
    assert_eq!(readings(&[0, 0, 0, 0, 9]), Malformed::Trailing);
    let record = |value: &[u8]| readings(&[&[0, 1, 0, 0, 0, 0, 0, 0, 1][..], value].concat());
    assert_eq!(record(&[0]), Malformed::Type(0));
    assert_eq!(record(&[14, 0]), Malformed::Type(14));
    assert_eq!(record(&[1, 2]), Malformed::Value, "boolean");
    assert_eq!(record(&[&[10][..], &f32::NAN.to_be_bytes()].concat()), Malformed::Value);
    assert_eq!(record(&[&[11][..], &f64::INFINITY.to_be_bytes()].concat()), Malformed::Value);
    assert_eq!(record(&[12, 0, 2, 0xc3, 0x28]), Malformed::Text);
    assert_eq!(record(&[13, 0, 2, 1]), Malformed::Truncated);

    let hello = |rest: &[u8]| reject(Kind::Hello, &[&[0; 4][..], rest].concat());
    assert_eq!(hello(&[0]), Malformed::Range, "no name");
    assert_eq!(hello(&[65]), Malformed::Range, "a long name");
    assert_eq!(hello(&[1, b'a', 0, 1, 0, 1, 0, 0]), Malformed::Range, "a sensor without a name");
    assert_eq!(hello(&[1, b'a', 0, 1, 0, 0, 1, 0, b's']), Malformed::Type(0));
    assert_eq!(hello(&[1, b'a', 0, 2, 5, 1, 1, 0, b's', 5, 1, 1, 0, b't']), Malformed::Number, "twice the same index");
    assert_eq!(hello(&[1, b'a', 0, 0, 7]), Malformed::Padding);

    assert_eq!(reject(Kind::Result, &[3, 0]), Malformed::Range);
    assert_eq!(reject(Kind::Result, &[0; 97]), Malformed::Range);
    assert_eq!(reject(Kind::TimeRequest, &[0, 0, 0, 0, 0, 0, 0, 1]), Malformed::Padding);
    assert_eq!(reject(Kind::Acknowledgement, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), Malformed::Range);
    assert_eq!(reject(Kind::Command, &[1, 0, 0, 0, 0, 0]), Malformed::Range, "no interval");
    assert_eq!(reject(Kind::Command, &[2, 0, 2]), Malformed::Value);
    assert_eq!(reject(Kind::Command, &[4, 0]), Malformed::Range);
    assert_eq!(reject(Kind::Time, &[0xff; 8]), Malformed::Range);
    assert_eq!(reject(Kind::Busy, &[3, 0, 0, 0, 0]), Malformed::Range);
    assert_eq!(reject(Kind::Error, &[0x81, 1]), Malformed::Kind(0x81));
    assert_eq!(reject(Kind::Error, &[&[1, 1][..], &[b'a'; 129]].concat()), Malformed::Range);
}

#[test]
fn what_is_out_of_bounds_is_not_written() {
    let refuse = |body: Body<'_>| {
        let (address, sequence) = address(&body);
        body.encode(address, sequence, None, &mut [0; MAX_MESSAGE]).unwrap_err()
    };
    let hello = |name, sensors: &[Sensor<'_>]| {
        refuse(Body::Hello(Hello { last_command: 0, name, firmware: "", sensors: sensors.into() }))
    };
    let sensor = Sensor { index: 0, kind: Type::U8, name: "s", unit: "" };
    assert_eq!(hello("", &[]), Unencodable::Value);
    let long = "n".repeat(65);
    assert_eq!(hello(&long, &[]), Unencodable::Value);
    assert_eq!(hello("n", &[sensor, sensor]), Unencodable::Value);
    assert_eq!(hello("n", &[Sensor { unit: &"u".repeat(33), ..sensor }]), Unencodable::Value);
    let readings =
        |records: &[Record<'_>]| refuse(Body::Readings(Readings { time: Time::Age(0), records: records.into() }));
    assert_eq!(readings(&[Record { value: Value::F64(f64::NAN), ..RECORD }]), Unencodable::Value);
    assert_eq!(readings(&[RECORD; 200]), Unencodable::Room);
    assert_eq!(readings(&[Record { value: Value::Bytes(&[0; 70_000]), ..RECORD }]), Unencodable::Room);
    assert_eq!(refuse(Body::Time(MAX_TIME + 1)), Unencodable::Value);
    assert_eq!(refuse(Body::Command(Command::Interval { sensor: 0, interval: 0 })), Unencodable::Value);
    let long = "x".repeat(93);
    assert_eq!(
        refuse(Body::Result(Outcome { status: Status::Done, value: Some(Value::Text(&long)) })),
        Unencodable::Room
    );
    assert_eq!(refuse(Body::Busy(Busy { about: Kind::Result, retry: 1 })), Unencodable::Value);
    let nobody = Address { device: 0, ..ADDRESS };
    assert_eq!(Body::TimeRequest.encode(nobody, 1, None, &mut [0; 100]), Err(Unencodable::Value));
}

#[test]
fn a_message_is_filled_to_its_last_byte_with_a_key() {
    let bytes = [7; MAX_BODY];
    let room = MAX_BODY - 12 - 8;
    let fits = [Record { value: Value::Bytes(&bytes[..room]), ..RECORD }];
    let full = encode(&Body::Readings(Readings { time: Time::Age(0), records: fits[..].into() }), Some(&key()));
    assert_eq!(full.len(), MAX_MESSAGE);
    assert_eq!(hub_sees(&full), 1);
    let over = [Record { value: Value::Bytes(&bytes[..=room]), ..RECORD }];
    let over = Body::Readings(Readings { time: Time::Age(0), records: over[..].into() });
    assert_eq!(over.encode(ADDRESS, 1, Some(&key()), &mut [0; 2_000]), Err(Unencodable::Room));
}

fn hub_sees(bytes: &[u8]) -> usize {
    let Body::Readings(readings) = decode(bytes, Some(&key())) else { panic!("no readings") };
    readings.records.iter().count()
}

#[test]
fn a_buffer_that_is_too_short_is_told_and_not_overrun() {
    for kind in KINDS {
        let (address, sequence) = address(&sample(kind));
        for key in [None, Some(&key())] {
            let needed = encode(&sample(kind), key).len();
            for len in 0..needed {
                let result = sample(kind).encode(address, sequence, key, &mut vec![0; len]);
                assert_eq!(result, Err(Unencodable::Room), "{kind:?} {len}");
            }
            assert_eq!(sample(kind).encode(address, sequence, key, &mut vec![0; needed]), Ok(needed));
        }
    }
}

#[test]
fn a_stream_is_cut_into_messages_by_their_first_eight_bytes() {
    let bytes = encode(&sample(Kind::Readings), Some(&key()));
    for len in 0..8 {
        assert_eq!(message_length(&bytes[..len]), Ok(None));
    }
    assert_eq!(message_length(&bytes[..8]), Ok(Some(bytes.len())));
    assert_eq!(message_length(b"GET / HTTP/1.1"), Err(Malformed::Magic));
}

#[test]
fn a_datagram_has_one_message_or_several_until_one_is_malformed() {
    let (one, two) = (encode(&sample(Kind::Result), None), encode(&sample(Kind::TimeRequest), None));
    let kinds = |datagram: &[u8]| messages(datagram).map(|m| m.map(|m| m.header().kind)).collect::<Vec<_>>();
    assert_eq!(kinds(&[]), []);
    assert_eq!(kinds(&[&one[..], &two].concat()), [Ok(Kind::Result), Ok(Kind::TimeRequest)]);
    assert_eq!(kinds(&[&one[..], b"junk", &two].concat()), [Ok(Kind::Result), Err(Malformed::Magic)]);
    assert_eq!(kinds(&one.repeat(40)), [Err(Malformed::Length(40 * one.len() as u16))], "above 1200 bytes");
}

#[test]
fn no_answer_to_any_message_of_a_device_is_larger_than_it() {
    let smallest = [
        encode(&Body::Hello(Hello { last_command: 0, name: "n", firmware: "", sensors: [][..].into() }), Some(&key())),
        encode(&Body::Readings(Readings { time: Time::Age(0), records: [][..].into() }), Some(&key())),
        encode(&Body::Result(Outcome { status: Status::Done, value: None }), Some(&key())),
        encode(&Body::TimeRequest, Some(&key())),
    ];
    for request in &smallest {
        let (message, _) = Message::parse(request).unwrap();
        let about = message.header().kind;
        let mut answers =
            vec![Body::Error(Problem { about, code: ErrorCode::NO_LINK, text: "a text that is too long" })];
        match about {
            Kind::Hello => answers.extend([sample(Kind::Welcome), Body::Busy(Busy { about, retry: 1 })]),
            Kind::Readings => answers.extend([sample(Kind::Acknowledgement), Body::Busy(Busy { about, retry: 1 })]),
            Kind::TimeRequest => answers.push(sample(Kind::Time)),
            _ => {}
        }
        for answer in &answers {
            let mut out = [0; MAX_MESSAGE];
            let len = hub::answer(&message, ADDRESS.link, answer, Some(&key()), &mut out).expect("there is an answer");
            assert!(len <= request.len(), "{answer:?}");
            let (answered, _) = Message::parse(&out[..len]).unwrap();
            assert_eq!(answered.authenticate(Side::Hub, Some(&key())).unwrap().header().kind, answer.kind());
        }
    }
    assert_eq!(smallest[1].len(), HEADER + 12 + TAG);
}
