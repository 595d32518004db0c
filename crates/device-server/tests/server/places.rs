//! Who gets a place, who is turned away, and stopping.

use tautline_device_server::Settings;
use tautline_proto::Config;

use crate::program::Program;
use crate::support::{Bed, PLACES, SECOND, settings};
use crate::ws::{REQUEST, Told, Ws, text};

fn bed() -> Bed<Program> {
    Bed::new(settings(Settings::new().websocket(Config::new().ping_interval(None)).retry_after(7)), Program::default())
}

#[test]
fn a_client_too_many_is_told_so_and_admitted_after_another_has_left() {
    let mut bed = bed();
    let mut first = Ws::open(&mut bed, "/");
    let mut second = Ws::open(&mut bed, "/");
    assert!(bed.server.is_full());
    for _ in 0..5 {
        let late = bed.connect();
        let answer = bed.exchange(&late, format!("GET / HTTP/1.1\r\n{REQUEST}\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.contains("Retry-After: 7\r\n") && answer.contains("Connection: close\r\n"), "{answer}");
        assert!(late.is_ended());
        late.finish();
        bed.settle();
        assert!(late.is_dropped());
    }
    // The others are served as before.
    for ws in [&mut first, &mut second] {
        ws.text("still here");
        assert_eq!(ws.told(&mut bed), [text("still here")]);
    }
    first.close(&bed, 1000);
    first.told(&mut bed);
    assert!(!bed.server.is_full());
    let mut third = Ws::open(&mut bed, "/");
    third.text("hello");
    assert_eq!(third.told(&mut bed), [text("hello")]);
}

/// One at a time is turned away; whoever comes meanwhile waits for the acceptor, and not for long.
#[test]
fn clients_that_are_turned_away_and_do_not_go_are_cut_off() {
    let mut bed = bed();
    let _open = [Ws::open(&mut bed, "/"), Ws::open(&mut bed, "/")];
    let late = [bed.connect(), bed.connect(), bed.connect()];
    bed.pass(7 * SECOND);
    for client in late {
        assert!(client.received_text().starts_with("HTTP/1.1 503 "));
        assert!(client.is_dropped());
    }
}

#[test]
fn clients_that_take_no_refusal_are_cut_off() {
    let mut bed = bed();
    let _open = [Ws::open(&mut bed, "/"), Ws::open(&mut bed, "/")];
    let late = bed.connect();
    late.window(Some(0));
    bed.pass(3 * SECOND);
    let next = bed.connect();
    bed.settle();
    assert!(next.received_text().starts_with("HTTP/1.1 503 "));
}

#[test]
fn a_connection_that_waits_for_its_next_request_makes_room() {
    let mut bed = bed();
    let page = bed.connect();
    assert!(bed.exchange(&page, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert!(!page.is_ended());
    let _ws = Ws::open(&mut bed, "/");
    // All places are taken: the page's connection has gone.
    assert!(page.is_ended());
    // And the last place is not kept by a page either.
    let page = bed.connect();
    let answer = bed.exchange(&page, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    assert!(page.is_ended());
    page.finish();
    let _ws = Ws::open(&mut bed, "/");
}

#[test]
fn a_client_that_has_just_come_is_not_made_to_go() {
    let mut bed = bed();
    let fresh = bed.connect();
    let _ws = Ws::open(&mut bed, "/");
    assert!(!fresh.is_ended());
    assert!(bed.exchange(&fresh, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

#[test]
fn places_are_given_again_and_clients_are_never_mixed_up() {
    let mut bed = bed();
    for _ in 0..20 {
        let mut ws = Ws::open(&mut bed, "/");
        ws.close(&bed, 1000);
        ws.told(&mut bed);
    }
    bed.with(|program, io| {
        assert!(program.ids.iter().all(|id| id.slot() < PLACES));
        for (at, id) in program.ids.iter().enumerate() {
            assert!(!program.ids[..at].contains(id));
            assert_eq!(io.queued(*id), None);
        }
    });
}

#[test]
fn stopping_closes_with_1001_and_ends_when_all_have_gone() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    bed.server.stop();
    assert_eq!(ws.told(&mut bed), [Told::Close(1001, String::new())]);
    assert!(ws.client.is_dropped());
    bed.settle();
    assert!(bed.is_over());
    // Nobody is accepted any more.
    assert!(!bed.connect().is_ended());
}

#[test]
fn a_request_that_is_being_answered_when_the_server_stops_is_answered() {
    let mut bed = bed();
    let client = bed.connect();
    client.send(b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    bed.settle();
    bed.server.stop();
    bed.settle();
    assert!(!bed.is_over());
    let answer = bed.exchange(&client, b"ok");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Connection: close"), "{answer}");
    client.finish();
    bed.settle();
    assert!(bed.is_over());
}

#[test]
fn a_client_that_does_not_answer_the_close_does_not_keep_the_server() {
    let mut bed = bed();
    let ws = Ws::open(&mut bed, "/");
    ws.client.window(Some(0));
    bed.server.stop();
    bed.pass(10 * SECOND);
    assert!(bed.is_over() && ws.client.is_dropped());
}

#[test]
fn giving_the_server_up_tells_the_program_of_every_end() {
    let mut bed = bed();
    let ws = Ws::open(&mut bed, "/");
    let body = bed.connect();
    body.send(b"POST /any HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    bed.settle();
    bed.give_up();
    assert!(ws.client.is_dropped() && body.is_dropped());
    let told = bed.with(|program, _| program.told.clone());
    assert!(told.contains(&"closed: transport failed".to_owned()) && told.contains(&"aborted".to_owned()), "{told:?}");
    assert!(!bed.server.is_full());
}

#[test]
fn with_as_many_acceptors_as_places_a_client_too_many_waits() {
    let mut bed = Bed::with_acceptors::<PLACES>(settings(Settings::new()), Program::default());
    let mut first = Ws::open(&mut bed, "/");
    let _second = Ws::open(&mut bed, "/");
    let third = bed.connect();
    assert_eq!(bed.exchange(&third, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    first.close(&bed, 1000);
    first.told(&mut bed);
    bed.settle();
    assert!(third.received_text().starts_with("HTTP/1.1 200 "));
}
