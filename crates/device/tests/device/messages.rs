//! What is sent, and what becomes of it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use tautline_device::{Kind, Message, Policy, StreamError};

use crate::world::*;
use crate::{SETTINGS, with_client};

#[test]
fn messages_wait_while_the_link_is_down_and_leave_in_their_order() {
    let world = World::new();
    world.net.attempts.borrow_mut().push_back(Attempt::Hangs);
    with_client(&world, &SETTINGS, |link, _, run| {
        for n in 0..5 {
            link.try_send(Message::text(&format!("m{n}"))).unwrap();
            link.try_send(Message::text(&format!("t={n}")).policy(Policy::KeepLatest(1))).unwrap();
            world.run_for(SECOND, run);
        }
        world.run_until(|| world.server.borrow().messages.len() == 6, run);
        assert_eq!(world.server.borrow().texts(), ["m0", "t=4", "m1", "m2", "m3", "m4"]);
        let counters = link.counters();
        assert_eq!((counters.taken, counters.sent, counters.replaced), (10, 6, 4));
    });
}

#[test]
fn a_message_that_was_cut_off_is_sent_again_and_arrives_once() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        let text = "x".repeat(700);
        link.try_send(Message::text(&text)).unwrap();
        // More than half of it leaves.
        world.net.to_server.borrow_mut().capacity = 400;
        world.server.borrow_mut().reads = false;
        world.run_for(SECOND, run);
        world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::ConnectionReset);
        world.net.to_server.borrow_mut().capacity = 4000;
        world.server.borrow_mut().reads = true;
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().texts(), [text.as_str()]);
        assert!(notes.has("disconnected transport failed"));
        assert_eq!(link.counters().sent, 1);
    });
}

#[test]
fn a_message_larger_than_all_memory_is_streamed() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        let text: String = (0..20_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let streaming = async {
                let mut stream = link.begin(Kind::Text).expect("the link is up");
                assert!(link.begin(Kind::Text).is_none(), "one at a time");
                stream.write(b"", &world, world.now() + SECOND).await?;
                link.try_send(Message::text("between")).unwrap();
                for piece in text.as_bytes().chunks(1_500) {
                    stream.write(piece, &world, world.now() + SECOND).await?;
                }
                stream.finish(b"!", &world, world.now() + SECOND).await
            };
            select(streaming, run).await
        });
        assert_eq!(world.run_until(|| false, &mut both), Some(Some(Ok(()))));
        drop(both);
        world.run_until(|| world.server.borrow().messages.len() == 2, run);
        let server = world.server.borrow();
        assert!(server.messages[0].1 == text.clone() + "!");
        assert!(server.frames > 20);
        assert_eq!(server.texts()[1], "between");
    });
}

#[test]
fn messages_that_wait_for_the_end_of_a_stream_leave_it_room() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let streaming = async {
                let mut stream = link.begin(Kind::Binary).unwrap();
                stream.write(&[1; 100], &world, world.now() + SECOND).await?;
                while link.try_send(Message::binary(&[2; 50])).is_ok() {}
                stream.write(&[3; 3_000], &world, world.now() + SECOND).await?;
                stream.finish(&[], &world, world.now() + SECOND).await
            };
            select(streaming, run).await
        });
        assert_eq!(world.run_until(|| false, &mut both), Some(Some(Ok(()))));
    });
}

#[test]
fn a_stream_ends_with_its_connection() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let streaming = async {
                let mut stream = link.begin(Kind::Binary).unwrap();
                stream.write(&[1; 100], &world, world.now() + SECOND).await?;
                world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::Other);
                loop {
                    stream.write(&[1; 1_000], &world, world.now() + SECOND).await?;
                }
            };
            select(streaming, run).await
        });
        let result: Option<Option<Result<(), StreamError>>> = world.run_until(|| false, &mut both);
        assert_eq!(result, Some(Some(Err(StreamError::Disconnected))));
        drop(both);
        link.try_send(Message::text("next")).unwrap();
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        assert_eq!(world.server.borrow().texts(), ["next"]);
    });
}

#[test]
fn a_stream_that_is_dropped_in_the_middle_ends_the_connection() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let streaming = async {
                let mut stream = link.begin(Kind::Text).unwrap();
                stream.write(&[b'x'; 3_000], &world, world.now() + SECOND).await
            };
            select(streaming, run).await
        });
        assert_eq!(world.run_until(|| false, &mut both), Some(Some(Ok(()))));
        drop(both);
        world.run_until(|| notes.has("disconnected"), run);
        assert!(notes.has("closed 1011"), "{:?}", notes.take());
        link.try_send(Message::text("next")).unwrap();
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        assert_eq!(world.server.borrow().texts(), ["next"]);
    });
}

#[test]
fn a_stream_of_which_nothing_has_left_is_taken_back() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        world.run_for(SECOND, run);
        let stream = link.begin(Kind::Text).unwrap();
        drop(stream);
        link.try_send(Message::text("next")).unwrap();
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        assert!(!notes.has("disconnected"));
    });
}

/// What the future gives without waiting.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_finished_stream_that_still_waits_is_not_lost_with_another_one() {
    for begun in [false, true] {
        let world = World::new();
        with_client(&world, &SETTINGS, |link, notes, run| {
            world.run_until(|| link.is_open(), run);
            let mut stream = link.begin(Kind::Text).unwrap();
            at_once(stream.write(b"all ", &world, world.now())).unwrap();
            if begun {
                world.run_for(SECOND, run);
            }
            at_once(stream.finish(b"of it", &world, world.now())).unwrap();
            // Whether it is begun or not, nothing is written.
            drop(link.begin(Kind::Text));
            world.run_for(SECOND, run);
            assert_eq!(world.server.borrow().texts(), ["all of it"]);
            assert!(!notes.has("disconnected"), "{:?}", notes.take());
            assert!(link.begin(Kind::Text).is_some(), "its end has left");
        });
    }
}

#[test]
fn nothing_is_begun_behind_the_beginning_of_a_stream_that_was_dropped() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        let mut stream = link.begin(Kind::Text).unwrap();
        at_once(stream.write(b"half ", &world, world.now())).unwrap();
        world.run_for(SECOND, run);
        drop(stream);
        assert!(link.is_open() && link.begin(Kind::Text).is_none(), "it would seem to be the rest of it");
        world.run_until(|| notes.has("disconnected"), run);
        world.run_until(|| link.is_open(), run);
        assert!(link.begin(Kind::Text).is_some());
    });
}

#[test]
fn a_stream_that_is_finished_with_its_first_piece_is_sent_however_long_it_is() {
    for len in (0..2_500).step_by(100).chain([755, 756, 757, 1_011, 1_012, 1_013]) {
        let world = World::new();
        with_client(&world, &SETTINGS, |link, _, run| {
            world.run_until(|| link.is_open(), run);
            let payload = "x".repeat(len);
            let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(select(
                link.begin(Kind::Text).unwrap().finish(payload.as_bytes(), &world, world.now() + SECOND),
                run,
            ));
            assert_eq!(world.run_until(|| false, &mut both), Some(Some(Ok(()))), "{len} bytes");
            drop(both);
            world.run_until(|| !world.server.borrow().messages.is_empty(), run);
            assert!(world.server.borrow().texts() == [payload.as_str()], "{len} bytes");
            // In one piece if there is memory for it.
            assert_eq!(world.server.borrow().frames == 1, len <= 1024 - 12, "{len} bytes");
            assert!(link.try_send(Message::text(&"y".repeat(1_000))).is_ok(), "nothing is kept from others");
        });
    }
}

#[test]
fn whoever_waits_for_room_gets_it_when_a_stream_is_over() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, _, run| {
        world.run_until(|| link.is_open(), run);
        let stream = link.begin(Kind::Binary).unwrap();
        let mut sending = pin!(link.send(Message::binary(&[1; 900]), &world, world.now() + 60 * SECOND));
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(sending.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        drop(stream);
        assert!(woken.0.load(Relaxed));
        assert_eq!(sending.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())));
    });
}

#[test]
fn whoever_waits_for_room_gets_it_when_a_message_has_left() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, _, run| {
        link.try_send(Message::text(&"x".repeat(900))).unwrap();
        let payload = "y".repeat(500);
        let mut both: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(async {
            let sending = async {
                let deadline = world.now() + 10 * SECOND;
                link.send(Message::text(&payload), &world, deadline).await.unwrap();
                link.flush(&world, deadline).await
            };
            select(sending, run).await
        });
        assert_eq!(world.run_until(|| false, &mut both), Some(Some(true)));
        drop(both);
        world.run_for(SECOND, run);
        assert_eq!(world.server.borrow().messages.len(), 2);
        assert_eq!(link.counters().refused, 0);
    });
}

#[test]
fn a_server_that_never_stops_sending_does_not_keep_us_from_sending() {
    let world = World::new();
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| link.is_open(), run);
        for n in 0..200 {
            world.server.borrow_mut().text(world.now(), &world.net, &format!("{n}").repeat(100));
        }
        link.try_send(Message::text("through")).unwrap();
        world.run_until(|| !world.server.borrow().messages.is_empty(), run);
        assert!(notes.count("data") > 0);
    });
}
