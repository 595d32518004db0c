//! Arbitrary datagrams: nothing panics, and what is read can be written again, to the same bytes. Streams are cut as
//! datagrams are.
//!
//! Input: a datagram. Messages in it whose tag is wrong are given the right one, so that their bodies are read too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tautline_telemetry::{Body, Key, Kind, MAX_MESSAGE, MIN_HELLO, Message, Time, message_length, messages};

fuzz_target!(|bytes: &[u8]| {
    let key = Key::new(&[7; 32]);
    let mut seen = 0;
    for message in messages(bytes) {
        let Ok(message) = message else { break };
        let rest = &bytes[seen..];
        assert_eq!(message_length(rest), Ok(Some(message.bytes().len())));
        assert_eq!(message.bytes(), &rest[..message.bytes().len()]);
        seen += message.bytes().len();
        check(&message, &key);
    }
});

fn check(message: &Message<'_>, key: &Key) {
    let header = message.header();
    let side = header.kind.sender();
    assert!(message.authenticate(side, None).is_ok() == header.keyless);
    // Without the key nobody makes a tag.
    assert!(message.authenticate(side, Some(key)).is_err());
    if !header.keyless {
        // The same without its tag.
        let mut bytes = message.bytes()[..message.bytes().len() - 16].to_vec();
        bytes[5] |= 1;
        let len = bytes.len() as u16;
        bytes[6..8].copy_from_slice(&len.to_be_bytes());
        if let Ok((message, [])) = Message::parse(&bytes) {
            check(&message, key);
        }
        return;
    }
    let Ok(body) = message.authenticate(side, None).expect("keyless").body() else { return };
    walk(&body);
    let mut out = [0; MAX_MESSAGE];
    // A full message without a tag has no room for one; everything that was read can be written.
    let len = body.encode(header.address, header.sequence, None, &mut out).expect("it came in a message");
    if body.kind() == Kind::Hello {
        // Padding beyond the least is not kept.
        assert!(len >= MIN_HELLO && len <= message.bytes().len());
    } else {
        assert_eq!(&out[..len], message.bytes());
    }
    if let Ok(len) = body.encode(header.address, header.sequence, Some(key), &mut out) {
        let (keyed, rest) = Message::parse(&out[..len]).expect("it was just written");
        assert!(rest.is_empty());
        assert_eq!(keyed.authenticate(side, Some(key)).expect("its own key").body(), Ok(body));
    }
}

/// Everything in it is there.
fn walk(body: &Body<'_>) {
    match body {
        Body::Hello(hello) => assert_eq!(hello.sensors.iter().count(), hello.sensors.len()),
        Body::Readings(readings) => {
            assert_eq!(readings.records.iter().count(), readings.records.len());
            let (Time::Calendar(time) | Time::Age(time)) = readings.time;
            assert!(readings.time.at(time).checked_add(u32::MAX.into()).is_some());
        }
        _ => {}
    }
}
