//! Coming back.

use tautline_device::{ConnectError, Message};

use crate::world::*;
use crate::{SETTINGS, with_client};

#[test]
fn waits_grow_and_a_stable_connection_resets_them() {
    let world = World::new();
    world.net.attempts.borrow_mut().extend([Attempt::Fails(ConnectError::Lookup); 12]);
    with_client(&world, &SETTINGS, |link, notes, run| {
        let began = world.now();
        world.run_until(|| link.is_open(), run);
        let waited = world.now() - began;
        // Drawn from 1, 2, 4 ... 32 and then 60 s: never all short, never more than their sum.
        assert!(waited > 20 * SECOND && waited <= (63 + 6 * 60) * SECOND, "{waited:?}");
        assert!(notes.has("before-connect 13"));
        world.run_for(31 * SECOND, run);
        notes.take();
        world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::Other);
        world.run_until(|| !link.is_open(), run);
        let began = world.now();
        world.run_until(|| link.is_open(), run);
        assert!(world.now() - began <= SECOND + 20 * MS);
        assert!(notes.has("before-connect 1"));
    });
}

#[test]
fn reconnect_ends_a_wait_and_makes_an_open_link_anew_at_once() {
    let world = World::new();
    world
        .server
        .borrow_mut()
        .answers
        .push_back(Answer::Bytes(b"HTTP/1.1 503 No\r\nRetry-After: 3600\r\n\r\n".to_vec()));
    with_client(&world, &SETTINGS, |link, notes, run| {
        world.run_until(|| notes.has("disconnected"), run);
        world.run_for(SECOND, run);
        link.reconnect();
        let began = world.now();
        world.run_until(|| link.is_open(), run);
        assert!(world.now() - began <= 20 * MS);
        link.reconnect();
        world.run_until(|| !link.is_open(), run);
        world.run_until(|| link.is_open(), run);
        assert!(world.now() - began <= 60 * MS, "{:?}", world.now() - began);
        assert!(notes.has("closed 1000 \"\" clean=true"));
    });
}

#[test]
fn reconnect_gives_up_an_attempt_that_is_under_way_for_the_next_one() {
    // One that hangs before there is a connection, and one whose server says nothing.
    for silent in [false, true] {
        let world = World::new();
        if silent {
            world.server.borrow_mut().answers.push_back(Answer::Silence);
        } else {
            world.net.attempts.borrow_mut().push_back(Attempt::Hangs);
        }
        with_client(&world, &SETTINGS, |link, notes, run| {
            world.run_for(SECOND, run);
            assert_eq!((notes.take(), world.net.open.get()), (vec!["before-connect 1".to_owned()], i32::from(silent)));
            link.reconnect();
            world.run_for(20 * MS, run);
            let told = ["disconnected asked to by the program; again", "before-connect 2", "connected -"];
            assert_eq!(notes.take(), told);
            // Once: what fails later is waited for as ever.
            world.net.attempts.borrow_mut().push_back(Attempt::Fails(ConnectError::Lookup));
            world.net.to_client.borrow_mut().error = Some(embedded_io_async::ErrorKind::Other);
            let began = world.now();
            world.run_until(|| !link.is_open(), run);
            world.run_until(|| link.is_open(), run);
            assert!(world.now() - began > 20 * MS);
        });
    }
}

#[test]
fn whatever_the_network_does_the_link_comes_back_and_no_message_comes_twice_or_out_of_order() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::new();
        with_client(&world, &SETTINGS, |link, _, run| {
            let mut sent = 0;
            for _ in 0..60 {
                match random.u32(..8) {
                    0 => world.net.cut(true),
                    1 => {
                        let mut to_client = world.net.to_client.borrow_mut();
                        to_client.error = Some(embedded_io_async::ErrorKind::ConnectionReset);
                    }
                    2 => world.net.attempts.borrow_mut().push_back(Attempt::Hangs),
                    3 => world.net.to_server.borrow_mut().takes ^= true,
                    4 => {
                        for pipe in [&world.net.to_server, &world.net.to_client] {
                            pipe.borrow_mut().chunk = random.usize(1..40);
                            pipe.borrow_mut().latency = MS * random.u32(1..400);
                        }
                    }
                    5 if world.server.borrow().is_open() => {
                        let text = "x".repeat(random.usize(..2_000));
                        world.server.borrow_mut().text(world.now(), &world.net, &text);
                    }
                    _ => world.net.cut(false),
                }
                sent += u32::from(link.try_send(Message::text(&format!("{sent}"))).is_ok());
                assert_eq!(world.run_for(MS * random.u32(1..20_000), run), None, "seed {seed}");
            }
            world.net.cut(false);
            world.net.to_server.borrow_mut().takes = true;
            world.net.attempts.borrow_mut().clear();
            world.run_until(|| link.is_open() && world.server.borrow().is_open(), run);
            sent += u32::from(link.try_send(Message::text(&format!("{sent}"))).is_ok());
            let last = format!("{}", sent - 1);
            world.run_until(|| world.server.borrow().texts().last() == Some(&last.as_str()), run);
            let numbers: Vec<u32> = world.server.borrow().texts().iter().map(|text| text.parse().unwrap()).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "seed {seed}: {numbers:?}");
        });
    }
}
