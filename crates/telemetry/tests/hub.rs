//! The hub's session, rule by rule.

use tautline_telemetry::hub::{Received, Session};
use tautline_telemetry::{
    Acknowledgement, Address, Authentic, Body, Command, ErrorCode, Hello, Key, Kind, MAX_MESSAGE, Message, Outcome,
    Readings, Record, Side, Status, Time, Value,
};

const ADDRESS: Address = Address { device: 7, session: 8, link: 9 };
const RECORDS: &[Record<'static>] = &[Record { offset: 0, sensor: 1, value: Value::U8(1) }];
const SECOND: u64 = 1_000;

fn key() -> Key {
    Key::new(&[5; 32])
}

/// A message of the device's, on its way to the session.
fn receive<T>(
    session: &mut Session,
    address: Address,
    body: &Body<'_>,
    sequence: u32,
    see: impl Fn(Received<'_>) -> T,
) -> T {
    let mut out = [0; MAX_MESSAGE];
    let len = body.encode(address, sequence, Some(&key()), &mut out).unwrap();
    let authentic: Authentic<'_> =
        Message::parse(&out[..len]).unwrap().0.authenticate(Side::Device, Some(&key())).unwrap();
    see(session.receive(&authentic))
}

fn readings(session: &mut Session, sequence: u32) -> String {
    let body = Body::Readings(Readings { time: Time::Calendar(0), records: RECORDS.into() });
    receive(session, ADDRESS, &body, sequence, |received| match received {
        Received::Readings { sequence: seen, readings } => {
            assert_eq!((seen, readings.records.len()), (sequence, 1));
            "new".to_owned()
        }
        other => format!("{other:?}"),
    })
}

fn session() -> Session {
    Session::restore(ADDRESS, Acknowledgement::default())
}

#[test]
fn readings_are_new_then_pending_then_known() {
    let mut session = session();
    assert_eq!(readings(&mut session, 1), "new");
    assert_eq!(readings(&mut session, 1), "Pending");
    assert!(session.committed(1));
    assert_eq!(readings(&mut session, 1), "Known");
    assert!(!session.committed(1));
}

#[test]
fn readings_that_could_not_be_stored_are_new_again() {
    let mut session = session();
    assert_eq!([readings(&mut session, 1), readings(&mut session, 2)], ["new", "new"]);
    session.release(1);
    assert_eq!([readings(&mut session, 1), readings(&mut session, 2)], ["new", "Pending"]);
}

#[test]
fn commits_in_any_order_keep_what_is_pending_apart() {
    let mut session = session();
    (1..=5).for_each(|sequence| assert_eq!(readings(&mut session, sequence), "new"));
    for (sequence, highest, bitmap) in [(3, 0, 0b100), (1, 1, 0b10), (2, 3, 0)] {
        session.committed(sequence);
        assert_eq!(Some(session.stored()), Acknowledgement::new(highest, bitmap));
    }
    assert_eq!([4, 5, 6].map(|sequence| readings(&mut session, sequence)), ["Pending", "Pending", "new"]);
}

#[test]
fn readings_beyond_the_window_are_not_taken() {
    let mut session = session();
    assert_eq!(readings(&mut session, 64), "new");
    assert_eq!(readings(&mut session, 65), "Known");
    session.committed(1);
    assert_eq!(readings(&mut session, 65), "new");
}

#[test]
fn what_was_stored_before_a_restart_is_known_after_it() {
    let mut session = Session::restore(ADDRESS, Acknowledgement::new(10, 0b100).unwrap());
    assert_eq!(
        [9, 10, 11, 12, 13].map(|sequence| readings(&mut session, sequence)),
        ["Known", "Known", "new", "new", "Known"]
    );
}

#[test]
fn another_link_or_session_is_told_to_say_hello() {
    let mut session = session();
    for address in
        [Address { link: 10, ..ADDRESS }, Address { session: 10, ..ADDRESS }, Address { device: 10, ..ADDRESS }]
    {
        receive(&mut session, address, &Body::TimeRequest, 1, |received| {
            assert_eq!(received, Received::Refused(ErrorCode::NO_LINK));
        });
    }
}

#[test]
fn a_hello_needs_no_link() {
    let hello = Body::Hello(Hello { last_command: 0, name: "d", firmware: "", sensors: [][..].into() });
    receive(&mut session(), Address { link: 0, ..ADDRESS }, &hello, 1, |received| {
        assert!(matches!(received, Received::Hello(Hello { name: "d", .. })));
    });
}

#[test]
fn readings_that_cannot_be_understood_are_refused_and_may_come_better() {
    let mut session = session();
    let body = Body::Readings(Readings { time: Time::Calendar(0), records: RECORDS.into() });
    let mut out = [0; MAX_MESSAGE];
    let len = body.encode(ADDRESS, 1, None, &mut out).unwrap();
    out[37] = 1; // the highest byte but two of the time
    out[32] = 1; // too far off
    let message = Message::parse(&out[..len]).unwrap().0;
    assert_eq!(message.header().kind, Kind::Readings);
    let received = session.receive(&message.authenticate(Side::Device, None).unwrap());
    assert_eq!(received, Received::Refused(ErrorCode::MALFORMED));
    assert_eq!(readings(&mut session, 1), "new");
}

#[test]
fn a_copy_of_a_time_request_is_answered_and_is_no_sign_of_life() {
    let mut session = session();
    for (number, new) in [(2, true), (2, false), (1, false), (3, true)] {
        receive(&mut session, ADDRESS, &Body::TimeRequest, number, |received| {
            assert_eq!(received, Received::TimeRequest { new });
        });
    }
}

#[test]
fn a_command_is_sent_again_until_its_result_comes_which_counts_once() {
    let mut session = session();
    let command = Command::Switch { index: 0, on: true };
    let mut out = [0; 100];
    assert_eq!(session.transmit_command(0, &command, Some(&key()), &mut out), Ok(None));
    session.command(SECOND, 6);
    for at in [1, 2, 4, 8, 16, 32, 62, 92] {
        assert_eq!(session.poll_timeout(), Some(at * SECOND));
        assert_eq!(session.transmit_command(at * SECOND - 1, &command, Some(&key()), &mut out), Ok(None));
        let len = session.transmit_command(at * SECOND, &command, Some(&key()), &mut out).unwrap().unwrap();
        let message = Message::parse(&out[..len]).unwrap().0;
        assert_eq!((message.header().kind, message.header().sequence), (Kind::Command, 6));
    }
    let outcome = Outcome { status: Status::Done, value: None };
    let mut result = |number| {
        receive(&mut session, ADDRESS, &Body::Result(outcome), number, |received| {
            matches!(received, Received::Result { number: 6, .. })
        })
    };
    assert_eq!([5, 6, 6, 7].map(&mut result), [false, true, false, false]);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_command_that_is_given_up_is_not_sent_again() {
    let mut session = session();
    session.command(0, 1);
    session.cancel_command();
    assert_eq!((session.pending_command(), session.poll_timeout()), (None, None));
}

#[test]
fn an_acknowledgement_says_what_is_committed() {
    let mut session = session();
    (1..=3).for_each(|sequence| drop(readings(&mut session, sequence)));
    session.committed(1);
    session.committed(3);
    let mut out = [0; 60];
    let len = session.acknowledgement(Some(&key()), &mut out).unwrap();
    let message = Message::parse(&out[..len]).unwrap().0;
    let body = message.authenticate(Side::Hub, Some(&key())).unwrap().body();
    assert_eq!(body, Ok(Body::Acknowledgement(Acknowledgement::new(1, 0b10).unwrap())));
}
