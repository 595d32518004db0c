//! The caller's memory for owed control frames: one for many connections, as long as it is empty in between.

mod support;

use support::*;
use tautline_proto::*;

const PING: [u8; 8] = *b"\x89\x82\0\0\0\0hi";

fn server() -> Connection<&'static Config> {
    Connection::new(leak(Config::new()), Role::Server, START, 0)
}

fn receive(connection: &mut Connection<&'static Config>, control: &mut Control, bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    while connection.receive(START, &mut input, control).is_some() {}
}

/// Everything that there is to transmit.
fn transmitted(connection: &mut Connection<&'static Config>, control: &mut Control) -> Vec<u8> {
    let mut all = Vec::new();
    let mut frame = [0; MAX_CONTROL_FRAME];
    loop {
        match connection.poll_transmit(START, [0; 4], control, &mut frame) {
            0 => return all,
            len => all.extend_from_slice(&frame[..len]),
        }
    }
}

#[test]
fn one_memory_serves_many_connections_in_turn() {
    let mut control = Control::new();
    let mut connections: Vec<_> = (0..50).map(|_| server()).collect();
    for round in 0..4 {
        for (i, connection) in connections.iter_mut().enumerate() {
            assert!(control.is_empty());
            if (i + round) % 3 == 0 {
                receive(connection, &mut control, &PING);
                assert!(!control.is_empty());
                assert_eq!(transmitted(connection, &mut control), b"\x8a\x02hi");
            } else {
                assert_eq!(transmitted(connection, &mut control), b"");
            }
        }
    }
}

#[test]
fn a_connection_may_get_new_memory_whenever_the_old_one_is_empty() {
    let mut connection = server();
    receive(&mut connection, &mut Control::new(), b"");
    let mut first = Control::new();
    connection.close(START, CloseCode::NORMAL, "bye", &mut first);
    assert_eq!(transmitted(&mut connection, &mut first), b"\x88\x05\x03\xe8bye");
    assert!(first.is_empty());
    receive(&mut connection, &mut Control::new(), b"\x88\x80\0\0\0\0");
    assert_eq!(connection.ended(), Some(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true }));
}

#[test]
fn a_ping_of_our_own_needs_no_memory() {
    let mut connection = server();
    connection.ping(START).unwrap();
    assert!(Control::new().is_empty());
    assert_eq!(transmitted(&mut connection, &mut Control::new()), b"\x89\x04\0\0\0\x01");
}

#[test]
fn s5_5_3_only_the_latest_ping_is_owed_a_pong() {
    let (mut connection, mut control) = (server(), Control::new());
    receive(&mut connection, &mut control, &[&PING[..], b"\x89\x83\0\0\0\0abc"].concat());
    assert_eq!(transmitted(&mut connection, &mut control), b"\x8a\x03abc");
}

#[test]
fn a_close_frame_takes_the_place_of_a_pong() {
    let (mut connection, mut control) = (server(), Control::new());
    receive(&mut connection, &mut control, &PING);
    connection.close(START, CloseCode::NORMAL, "", &mut control);
    receive(&mut connection, &mut control, &PING);
    assert_eq!(transmitted(&mut connection, &mut control), b"\x88\x02\x03\xe8");
}

/// The pong to nobody must neither wait for ever nor go to the next connection that uses the memory.
#[test]
fn a_pong_that_is_owed_when_the_connection_ends_leaves_the_memory_empty() {
    type End = fn(&mut Connection<&'static Config>);
    let ends: [(&str, End); 3] = [
        ("the transport ended", |connection| connection.receive_end()),
        ("the transport failed", |connection| connection.transport_failed()),
        ("the peer was silent", |connection| {
            for seconds in (0..200).step_by(5) {
                connection.handle_timeout(START + seconds * SECOND);
            }
        }),
    ];
    for (name, end) in ends {
        let (mut ended, mut control) = (server(), Control::new());
        receive(&mut ended, &mut control, &PING);
        end(&mut ended);
        assert!(ended.ended().is_some(), "{name}");
        assert_eq!(transmitted(&mut ended, &mut control), b"", "{name}");
        assert_eq!(transmitted(&mut server(), &mut control), b"", "{name}: another connection's pong");
        assert!(control.is_empty(), "{name}");
    }
}
