//! Clients that do not take what they are sent.

use tautline_device_server::Settings;
use tautline_proto::app::{Delivery, Message, Slow};
use tautline_proto::{Config, Kind, Part};

use crate::program::Program;
use crate::support::{Bed, OUT, SECOND, settings};
use crate::ws::{Told, Ws};

fn bed() -> Bed<Program> {
    Bed::new(settings(Settings::new().websocket(Config::new().ping_interval(None))), Program::default())
}

/// What each message takes of the queue: its length, its frame's header and the queue's own.
const ENTRY: usize = 100 + 2 + 2;

/// How many of them wait at most.
const FITS: u64 = (OUT / ENTRY) as u64;

fn message(number: usize) -> String {
    format!("{number:0100}")
}

/// Publishes `count` messages, one after the other.
fn publish(bed: &mut Bed<Program>, numbers: std::ops::Range<usize>, slow: Slow) -> Delivery {
    let mut delivery = Delivery::default();
    for number in numbers {
        delivery += bed.with(|_, io| io.broadcast(Message::Text(&message(number)), slow));
        bed.settle();
    }
    delivery
}

fn numbers(told: Vec<Told>) -> Vec<usize> {
    let number = |told| match told {
        Told::Text(text) => text.parse().expect("a number"),
        other => panic!("{other:?}"),
    };
    told.into_iter().map(number).collect()
}

#[test]
fn a_client_that_keeps_up_receives_everything() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    assert_eq!(publish(&mut bed, 0..100, Slow::Disconnect), Delivery { sent: 100, ..Delivery::default() });
    assert_eq!(numbers(ws.told(&mut bed)), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_slow_client_is_disconnected_with_1013_and_the_others_are_not() {
    let mut bed = bed();
    let mut slow = Ws::open(&mut bed, "/");
    let mut other = Ws::open(&mut bed, "/");
    slow.client.window(Some(0));
    let delivery = publish(&mut bed, 0..50, Slow::Disconnect);
    // The first is with the transport, so many wait, and the next was too many.
    let kept = 1 + FITS;
    assert_eq!(delivery, Delivery { sent: 50 + kept, disconnected: 1, ..Delivery::default() });
    assert_eq!(numbers(other.told(&mut bed)), (0..50).collect::<Vec<_>>());
    slow.client.window(None);
    // What had begun to leave arrives, then the reason.
    assert_eq!(slow.told(&mut bed), [Told::Text(message(0)), Told::Close(1013, "too slow".into())]);
    assert!(slow.client.is_dropped());
}

#[test]
fn the_oldest_messages_of_a_slow_client_make_room() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    ws.client.window(Some(0));
    let delivery = publish(&mut bed, 0..50, Slow::DropOldest);
    let dropped = 50 - 1 - FITS;
    assert_eq!(delivery, Delivery { sent: 50, dropped, ..Delivery::default() });
    ws.client.window(None);
    let mut expected = vec![0];
    expected.extend(50 - FITS as usize..50);
    assert_eq!(numbers(ws.told(&mut bed)), expected);
}

#[test]
fn only_the_latest_message_waits_for_a_slow_client() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    ws.client.window(Some(0));
    // One is with the transport and the queue is full: the next takes the place of all of them.
    let full = 1 + FITS as usize;
    assert_eq!(publish(&mut bed, 0..full, Slow::KeepLatest).dropped, 0);
    assert_eq!(
        publish(&mut bed, full..full + 1, Slow::KeepLatest),
        Delivery { sent: 1, dropped: FITS, ..Delivery::default() }
    );
    ws.client.window(None);
    assert_eq!(numbers(ws.told(&mut bed)), [0, full]);
}

#[test]
fn what_was_sent_to_one_client_is_never_dropped_for_what_is_published() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    ws.client.window(Some(0));
    bed.with(|program, io| {
        for number in 0..FITS as usize {
            io.send(program.ids[0], Message::Text(&message(number))).expect("room");
        }
        let delivery = io.broadcast(Message::Text(&message(99)), Slow::DropOldest);
        assert_eq!(delivery, Delivery { dropped: 1, ..Delivery::default() });
    });
    ws.client.window(None);
    assert_eq!(numbers(ws.told(&mut bed)), (0..FITS as usize).collect::<Vec<_>>());
}

#[test]
fn a_message_that_fits_no_queue_is_dropped_and_nobody_is_disconnected() {
    let mut bed = bed();
    let _ws = [Ws::open(&mut bed, "/"), Ws::open(&mut bed, "/")];
    let delivery = bed.with(|_, io| io.broadcast(Message::Binary(&[0; OUT]), Slow::Disconnect));
    assert_eq!(delivery, Delivery { dropped: 2, ..Delivery::default() });
}

#[test]
fn nothing_is_published_into_the_middle_of_a_message() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/");
    bed.with(|program, io| {
        io.send_part(program.ids[0], Part::First(Kind::Text), b"one ").expect("room");
        let delivery = io.broadcast(Message::Text("between"), Slow::DropOldest);
        assert_eq!(delivery, Delivery { dropped: 1, ..Delivery::default() });
        io.send_part(program.ids[0], Part::Last, b"two").expect("room");
    });
    assert_eq!(ws.told(&mut bed), [Told::Text("one two".into())]);
}

#[test]
fn a_message_is_published_only_to_those_who_are_named() {
    let mut bed = bed();
    let mut ws = [Ws::open(&mut bed, "/"), Ws::open(&mut bed, "/")];
    bed.with(|program, io| {
        let first = program.ids[0];
        io.publish(&mut |id| id != first, Message::Text("hi"), Slow::Disconnect)
    });
    assert_eq!(ws[0].told(&mut bed), []);
    assert_eq!(ws[1].told(&mut bed), [Told::Text("hi".into())]);
}

#[test]
fn a_client_that_does_not_read_is_not_read_and_then_given_up() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    ws.client.window(Some(0));
    for _ in 0..100 {
        ws.send(Part::Whole(Kind::Binary), &[0; 100]);
    }
    bed.settle();
    let unread = ws.client.unread();
    assert!(unread > 100 * 100 - 3 * OUT, "{unread} bytes are unread");
    bed.pass(19 * SECOND);
    assert_eq!(ws.client.unread(), unread);
    assert!(!ws.client.is_dropped());
    bed.pass(2 * SECOND);
    assert!(ws.client.is_dropped());
}

#[test]
fn a_client_that_reads_slowly_receives_everything() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    ws.client.window(Some(0));
    for _ in 0..100 {
        ws.send(Part::Whole(Kind::Binary), &[7; 100]);
    }
    let mut received = 0;
    while received < 100 {
        ws.client.window(Some(50));
        bed.pass(15 * SECOND);
        received += ws.told(&mut bed).iter().filter(|told| **told == Told::Binary(vec![7; 100])).count();
        assert!(!ws.client.is_dropped());
    }
}

#[test]
fn everything_comes_back_however_the_client_reads() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bed = bed();
        let mut ws = Ws::open(&mut bed, "/echo");
        ws.client.window(Some(0));
        let mut sent = Vec::new();
        let (mut came, mut pings) = (Vec::new(), 0);
        // Small ones are mostly headers, which are what can be cut.
        let most = if random.bool() { 20 } else { 400 };
        for _ in 0..random.usize(1..120) {
            let payload: Vec<u8> = (0..random.usize(0..most)).map(|_| random.u8(..)).collect();
            ws.send(Part::Whole(Kind::Binary), &payload);
            sent.push(Told::Binary(payload));
            if random.u8(..) < 50 {
                ws.ping(&bed);
                pings += 1;
            }
            if random.bool() {
                ws.client.window(Some(random.usize(0..700)));
                came.extend(ws.told(&mut bed));
            }
        }
        // Nothing more is sent: what has been is all there is to go on with.
        ws.client.window(None);
        came.extend(ws.told(&mut bed));
        let pongs = came.iter().filter(|told| matches!(told, Told::Pong(_))).count();
        came.retain(|told| !matches!(told, Told::Pong(_)));
        assert!(came == sent, "seed {seed}: {} of {}", came.len(), sent.len());
        assert_eq!(pongs, pings, "seed {seed}");
    }
}

#[test]
fn pings_of_a_client_that_reads_nothing_hold_no_memory_and_its_place_not_for_ever() {
    let mut bed = bed();
    let mut ws = Ws::open(&mut bed, "/echo");
    ws.client.window(Some(0));
    for _ in 0..1000 {
        ws.ping(&bed);
    }
    bed.settle();
    assert!(ws.client.unread() > 0);
    bed.pass(21 * SECOND);
    assert!(ws.client.is_dropped());
}
