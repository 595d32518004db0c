//! The device's session, rule by rule: what it sends, when, and what it takes.

mod answers;
mod rig;

use rig::{CALENDAR, DEVICE, LINK, Rig, SESSION, key, records};
use tautline_telemetry::device::{Config, Identity, Ignored, PushError, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Body, Busy, ErrorCode, Forged, Key, Kind, Message, Problem, Sensor, Time, Type,
    Unencodable, Value, Welcome,
};

#[test]
fn an_identity_that_cannot_be_sent_is_refused_at_once() {
    let sensors: Vec<_> =
        (0..200).map(|index| Sensor { index, kind: Type::U8, name: "a long name", unit: "" }).collect();
    let identity = |name, sensors| Identity { device: DEVICE, name, firmware: "", sensors, key: None };
    let new = |identity, number| Session::new(0, identity, Config::DATAGRAM, number, 0, []).map(|_| ()).unwrap_err();
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
fn a_reading_ahead_of_the_clock_leaves_at_once_and_holds_nothing_up() {
    let hour = 3_600_000;
    for linger in [0, 500] {
        let mut rig = Rig::new(Config::DATAGRAM.linger(linger), 4_096);
        rig.drain(0);
        rig.welcome(0, 1, Acknowledgement::default()).unwrap();
        rig.drain(0);
        rig.hear(0, &Body::Time(CALENDAR), 1).unwrap();
        for at in [hour, u64::MAX] {
            rig.device.push(at, 1, Value::U8(1)).unwrap();
        }
        assert!(rig.device.poll_timeout().unwrap() <= 10);
        let sent = rig.drain(10);
        assert_eq!(records(&sent[0]).0, Time::Calendar(CALENDAR + hour));
        rig.device.push(20, 1, Value::U8(2)).unwrap();
        let left = if linger == 0 { 20 } else { 520 };
        assert!(linger == 0 || rig.readings(20).is_empty(), "it lingers for others");
        let sent = rig.drain(left);
        assert_eq!(records(sent.last().unwrap()).0, Time::Calendar(CALENDAR + 20), "its own time");
        rig.acknowledge(left, 3, 0).unwrap();
        assert_eq!((rig.device.outstanding(), rig.device.poll_timeout()), (0, Some(hour)), "the next time request");
    }
}

#[test]
fn an_age_is_never_negative() {
    let mut rig = Rig::new(Config::DATAGRAM, 4_096);
    rig.drain(0);
    rig.device.push(3_600_000, 1, Value::U8(1)).unwrap();
    // So late that it does not tell the time.
    rig.welcome(20_000, 1, Acknowledgement::default()).unwrap();
    let sent = rig.drain(20_000);
    assert_eq!(records(&sent[0]).0, Time::Age(0));
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
    assert_eq!(rig.hear(11, &busy, number), Err(Ignored::Stale), "once for each time that it is sent");
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
    assert_eq!(rig.hear_from(11, &busy, 1, unlinked, Some(&key())), Err(Ignored::Stale));
    assert!(rig.drain(5_009).is_empty());
    assert_eq!(rig.drain(10_010)[0].kind, Kind::Hello);
}

/// How long each of so many hellos that nobody answers is waited for, with its number. From a time on.
fn waits(rig: &mut Rig, mut now: u64, count: usize) -> Vec<(u32, u64)> {
    let mut waits = Vec::new();
    while waits.len() < count {
        let number = rig.drain(now)[0].sequence;
        let next = rig.device.poll_timeout().unwrap();
        waits.push((number, next - now));
        now = next;
    }
    waits
}

#[test]
fn a_hello_that_nobody_answers_is_said_again_soon_and_a_refused_one_ever_more_rarely() {
    let mut rig = Rig::new(Config::DATAGRAM, 100);
    let unanswered = waits(&mut rig, 0, 400);
    let (patient, others): (Vec<_>, Vec<_>) = unanswered.iter().partition(|(number, _)| number % 8 == 0);
    assert!(others.iter().all(|(_, wait)| (200..=10_000).contains(wait)), "{others:?}");
    assert!(others.iter().any(|(_, wait)| *wait > 9_000), "up to there");
    assert!(patient.iter().all(|(_, wait)| *wait <= 60_000), "{patient:?}");
    assert!(patient.iter().any(|(_, wait)| *wait > 20_000), "for an answer that takes long");

    let now = rig.device.poll_timeout().unwrap();
    let last = rig.drain(now)[0].sequence;
    let unlinked = Address { link: 0, ..rig.address };
    let unknown = Body::Error(Problem { about: Kind::Hello, code: ErrorCode::UNKNOWN_DEVICE, text: "" });
    rig.hear_from(now, &unknown, last, unlinked, None).unwrap();
    let now = rig.device.poll_timeout().unwrap();
    assert!(
        waits(&mut rig, now, 50).iter().all(|(number, wait)| number % 8 == 0 || *wait <= 10_000),
        "anybody says that"
    );
    let now = rig.device.poll_timeout().unwrap();
    let last = rig.drain(now)[0].sequence;
    rig.hear_from(now, &unknown, last, unlinked, Some(&key())).unwrap();
    let now = rig.device.poll_timeout().unwrap();
    assert!(waits(&mut rig, now, 50).iter().any(|(number, wait)| number % 8 != 0 && *wait > 20_000));

    let now = rig.device.poll_timeout().unwrap();
    let last = rig.drain(now)[0].sequence;
    rig.welcome(now, last, Acknowledgement::default()).unwrap();
    rig.device.reconnected(now);
    assert!(waits(&mut rig, now, 50).iter().all(|(number, wait)| number % 8 == 0 || *wait <= 10_000));
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
