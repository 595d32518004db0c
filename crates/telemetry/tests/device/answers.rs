//! What the device makes of refusals, errors, commands and times.

use tautline_telemetry::device::{Config, Event, Ignored, Session};
use tautline_telemetry::{
    Acknowledgement, Body, Command, ErrorCode, Kind, MAX_MESSAGE, Malformed, Message, Outcome, Side, Status, Time,
    Value,
};

use crate::rig::{CALENDAR, Rig, SESSION, body_of, key, records};

#[test]
fn refused_readings_leave_their_number_to_an_empty_message() {
    let mut rig = Rig::linked();
    let number = rig.push_and_send(0);
    let event = rig.error(1, Kind::Readings, number, ErrorCode::REFUSED).unwrap().unwrap();
    assert!(event.starts_with("Refused { sequence: 1"), "{event}");
    assert_eq!(rig.error(1, Kind::Readings, number, ErrorCode::REFUSED), Err(Ignored::Stale), "once");
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
    assert_eq!(Rig::linked().device.answer(0, &done), Ok(false), "there was no command");
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
fn a_session_without_its_outbox_fits_into_a_kilobyte() {
    assert!(size_of::<Session<'_, &mut [u8]>>() <= 1_000);
}

#[test]
fn events_do_not_grow() {
    // They are returned by value on a chip.
    assert!(size_of::<Result<Option<Event<'_>>, Ignored>>() <= 64);
}
