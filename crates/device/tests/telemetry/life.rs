//! What a device sees of it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tautline_device::Clock;
use tautline_device::telemetry::{
    Acknowledgement, Client, ErrorCode, Key, MAX_MESSAGE, Outcome, PushError, Status, Value,
};
use tautline_telemetry::{Address, Body};

use super::world::{Diary, KEY, MS, SECOND, Woken, World, random, select};
use super::{Run, SETTINGS, with_client, with_device};

/// Both ways to the hub.
fn worlds() -> [World; 2] {
    [World::new(false, 1), World::new(true, 1)]
}

#[test]
fn a_reading_is_acknowledged_and_has_its_time() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            assert_eq!((link.is_open(), link.calendar(world.now())), (false, None));
            // Before anything is known.
            world.air.with(|air| air.refusing = true);
            assert!(diary.push(&world, link));
            let read = world.now();
            world.run_for(10 * SECOND, run);
            world.air.with(|air| air.refusing = false);
            world.run_until(|| diary.has("acknowledged"), run);
            assert_eq!((link.outstanding(), link.is_open()), (0, true));
            let (value, at) = world.hub.borrow().store.values[0];
            let off = at.abs_diff(read.as_micros() / 1_000);
            assert!(value == 0 && off <= 20, "{off} ms off");
            world.run_for(SECOND, run);
            let calendar = link.calendar(world.now()).unwrap();
            assert!(calendar.abs_diff(super::world::EPOCH + world.now().as_micros() / 1_000) <= 5);
        });
    }
}

#[test]
fn what_happens_is_told_in_order() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            let notes = diary.notes();
            assert_eq!(notes[..2], ["before-connect 1", "linked"]);
            assert!(notes[2].starts_with("Time"), "{notes:?}");
            world.air.with(|air| air.broken = true);
            world.run_until(|| diary.has("before-connect"), run);
            assert!(diary.notes()[0].starts_with("disconnected: transport failed"));
            world.run_until(|| link.is_open(), run);
        });
    }
}

#[test]
fn a_full_outbox_refuses_what_is_newest_and_says_so() {
    let world = World::new(false, 1);
    with_device(&world, |link, diary, run| {
        world.air.with(|air| air.cut = true);
        world.run_for(SECOND, run);
        assert_eq!(link.push(world.now(), 1, Value::F32(f32::NAN)), Err(PushError::Value));
        let taken = (0..1_000).filter(|_| diary.push(&world, link)).count();
        assert!((300..400).contains(&taken), "{taken}");
        assert_eq!(link.push(world.now(), 1, Value::U32(0)), Err(PushError::Full));
        world.air.with(|air| air.cut = false);
        world.run_until(|| link.outstanding() == 0, run);
        assert_eq!(world.stored(), diary.read());
    });
}

#[test]
fn commands_are_carried_out_once_and_answered() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            for number in 1..=3 {
                world.hub.borrow_mut().command(number);
            }
            world.run_until(|| world.hub.borrow().store.commands.values().all(Option::is_some), run);
            assert_eq!(diary.count("Command"), 3);
            let again = Outcome { status: Status::Done, value: None };
            assert_eq!(link.answer(3, &again), Ok(false));
        });
    }
}

#[test]
fn stop_ends_every_wait_at_once() {
    for world in worlds() {
        // In the wait before an attempt, after the hub refused many.
        with_device(&world, |link, diary, run| {
            world.air.with(|air| air.refusing = true);
            world.run_until(|| diary.has("before-connect 8"), run);
            world.run_until(|| diary.count("disconnected") == 8, run);
            link.stop();
            assert_eq!(world.run_for(Duration::ZERO, run), Some(()));
        });
        world.air.with(|air| air.refusing = false);
        // In an attempt that hangs.
        with_device(&world, |link, diary, run| {
            world.air.with(|air| air.cut = true);
            world.run_for(SECOND, run);
            link.stop();
            assert_eq!(world.run_for(Duration::ZERO, run), Some(()));
            assert_eq!(diary.notes(), ["before-connect 1", "disconnected: asked to by the program; for good"]);
        });
        world.air.with(|air| air.cut = false);
        // In the middle of a connection, with something to send that nobody takes.
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.air.with(|air| air.stuck = true);
            diary.push(&world, link);
            world.run_for(SECOND, run);
            link.stop();
            assert_eq!(world.run_for(Duration::ZERO, run), Some(()));
            assert!(!link.is_open());
        });
        world.air.with(|air| air.stuck = false);
    }
}

#[test]
fn a_transport_that_does_not_end_is_dropped() {
    let world = World::new(true, 1);
    with_device(&world, |link, _, run| {
        world.air.with(|air| air.close_hangs = true);
        world.run_until(|| link.is_open(), run);
        link.stop();
        assert_eq!(world.run_for(3 * SECOND, run), Some(()));
    });
}

#[test]
fn a_link_that_was_stopped_can_be_run_again() {
    for world in worlds() {
        let (link, diary) = (world.link(1), Diary::default());
        for turn in 1..=3 {
            with_client(&world, &link, &diary, |run| {
                diary.push(&world, &link);
                world.run_until(|| link.outstanding() == 0, run);
                link.stop();
                assert_eq!(world.run_for(SECOND, run), Some(()), "{turn}");
                diary.push(&world, &link);
            });
        }
        assert_eq!(link.outstanding(), 1, "what came after the end is kept");
    }
}

#[test]
fn a_client_whose_future_was_dropped_or_stopped_goes_on() {
    let world = World::new(true, 1);
    let (link, diary) = (world.link(1), Diary::default());
    let (mut receive, mut transmit) = ([0; MAX_MESSAGE], [0; MAX_MESSAGE]);
    let mut client = Client::new(&SETTINGS, &link, &mut receive, &mut transmit);
    let (mut tcp, mut random, mut handler) = (world.air.tcp(), random(3), diary.handler(&link));
    for stopped in [false, true, false, true] {
        let mut run: Run<'_> = Box::pin(client.run(&mut tcp, &world.time, &mut random, &mut handler));
        diary.push(&world, &link);
        world.run_until(|| link.outstanding() == 0, &mut run);
        if stopped {
            link.stop();
            assert_eq!(world.run_for(SECOND, &mut run), Some(()));
        }
    }
    assert_eq!(world.stored(), diary.read());
}

#[test]
fn a_half_open_connection_is_noticed_and_made_anew() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.air.with(|air| air.cut = true);
            let cut = world.now();
            diary.push(&world, link);
            world.run_until(|| diary.has("disconnected: the hub does not answer"), run);
            let noticed = world.now() - cut;
            assert!((30 * SECOND..=31 * SECOND).contains(&noticed), "{noticed:?}");
            world.air.with(|air| air.cut = false);
            world.run_until(|| link.outstanding() == 0, run);
            assert_eq!(world.stored(), [0]);
        });
    }
}

#[test]
fn a_quiet_device_notices_a_half_open_connection_too() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_for(5 * SECOND, run);
            assert!(link.is_open());
            world.air.with(|air| air.cut = true);
            let cut = world.now();
            world.run_until(|| diary.has("disconnected"), run);
            // The hub's welcome allows 10 s of silence.
            assert!(world.now() - cut <= 41 * SECOND);
        });
    }
}

#[test]
fn a_transport_that_takes_nothing_is_given_up() {
    for flush in [false, true] {
        let world = World::new(true, 1);
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            world.air.with(|air| (air.stuck, air.never_flushed) = (!flush, flush));
            world.hub.borrow_mut().mute = true;
            for _ in 0..40 {
                diary.push(&world, link);
                world.run_for(SECOND, run);
            }
            assert!(diary.has("disconnected: the hub does not answer"));
            world.hub.borrow_mut().mute = false;
            world.air.with(|air| (air.stuck, air.never_flushed) = (false, false));
            world.run_until(|| link.outstanding() == 0, run);
            assert_eq!(world.stored(), diary.read());
        });
    }
}

#[test]
fn attempts_are_spread_and_grow_rare() {
    for world in worlds() {
        with_device(&world, |_, _, run| {
            world.air.with(|air| air.refusing = true);
            world.run_for(3600 * SECOND, run);
            let attempts = world.air.with(|air| std::mem::take(&mut air.attempts));
            // 30 s each on the average, after some short ones.
            assert!((80..180).contains(&attempts.len()), "{}", attempts.len());
            let waits: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(waits[0] <= SECOND && waits.iter().all(|wait| *wait <= 60 * SECOND));
            assert!(waits.iter().any(|wait| *wait > 40 * SECOND) && waits[8..].iter().any(|wait| *wait < 20 * SECOND));
        });
    }
}

#[test]
fn a_connection_that_held_makes_the_next_wait_a_short_one() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.air.with(|air| air.refusing = true);
            world.run_until(|| diary.count("disconnected") == 12, run);
            world.air.with(|air| air.refusing = false);
            world.run_until(|| link.is_open(), run);
            world.run_for(60 * SECOND, run);
            world.air.with(|air| air.broken = true);
            let broken = world.now();
            world.run_until(|| !link.is_open(), run);
            world.run_until(|| link.is_open(), run);
            assert!(world.now() - broken <= SECOND + 20 * MS, "{:?}", world.now() - broken);
        });
    }
}

#[test]
fn a_connection_that_breaks_in_both_directions_ends_once() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            world.air.with(|air| air.broken = true);
            diary.push(&world, link);
            world.run_for(Duration::ZERO, run);
            assert_eq!(diary.count("disconnected"), 1);
        });
    }
}

#[test]
fn reconnect_makes_the_next_attempt_at_once() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.air.with(|air| air.refusing = true);
            world.run_until(|| diary.count("disconnected") == 9, run);
            world.air.with(|air| air.refusing = false);
            link.reconnect();
            world.run_for(20 * MS, run);
            assert!(link.is_open());
            link.reconnect();
            world.run_for(20 * MS, run);
            assert!(link.is_open());
            world.air.with(|air| assert_eq!(air.connections, 2));
        });
    }
}

#[test]
fn reconnect_gives_up_an_attempt_that_hangs_for_the_next_one() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.air.with(|air| air.cut = true);
            world.run_for(SECOND, run);
            world.air.with(|air| air.cut = false);
            link.reconnect();
            world.run_for(20 * MS, run);
            assert!(link.is_open());
            assert_eq!(diary.notes()[..2], ["before-connect 1", "disconnected: asked to by the program; again"]);
        });
    }
}

#[test]
fn a_reading_ahead_of_the_clock_holds_nothing_up() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            link.push(world.now() + 3600 * SECOND, 1, Value::U32(1_000)).unwrap();
            world.run_for(SECOND, run);
            assert!(diary.push(&world, link));
            let read = world.now();
            world.hub.borrow_mut().command(1);
            world.run_for(SECOND, run);
            assert_eq!((link.outstanding(), world.stored()), (0, vec![0, 1_000]));
            assert_eq!(diary.count("Command"), 1);
            let (_, at) = *world.hub.borrow().store.values.iter().find(|(value, _)| *value == 0).unwrap();
            assert!(at.abs_diff(read.as_micros() / 1_000) <= 20, "its time is not that of the one before");
        });
    }
}

#[test]
fn whoever_has_no_key_changes_nothing() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.hub.borrow_mut().key = Some(Key::new(&[1; 32]));
            diary.push(&world, link);
            world.run_for(60 * SECOND, run);
            assert!(diary.has("Hint") && !link.is_open());
            assert_eq!((link.outstanding(), world.stored().len()), (1, 0));
            world.hub.borrow_mut().key = Some(Key::new(&KEY));
            world.run_until(|| link.outstanding() == 0, run);
        });
    }
}

#[test]
fn a_refused_device_says_why_and_goes_on_trying() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.hub.borrow_mut().refuses = Some(ErrorCode::CONFLICT);
            world.run_for(600 * SECOND, run);
            assert!(diary.has("Problem"));
            let hellos = world.hub.borrow().store.hellos;
            assert!((10..200).contains(&hellos), "{hellos}");
            world.hub.borrow_mut().refuses = None;
            world.run_until(|| link.is_open(), run);
        });
    }
}

#[test]
fn a_session_that_has_ended_is_followed_by_another() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            diary.push(&world, link);
            world.run_until(|| link.outstanding() == 0, run);
            // The hub has lost what it had stored.
            world.hub.borrow_mut().forget();
            link.reconnect();
            world.run_until(|| diary.has("Ended"), run);
            diary.push(&world, link);
            world.run_until(|| link.outstanding() == 0, run);
            assert_eq!(world.stored(), [0, 1]);
        });
    }
}

#[test]
fn what_is_no_telemetry_ends_a_stream_and_is_passed_over_among_datagrams() {
    for world in worlds() {
        let stream = world.hub.borrow().stream;
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            for rubbish in [&b"HTTP/1.1 400 Bad Request"[..], &[0; 1200], b"TL\x01", b"TL\x01\x82\x00\x00\xff\xff"] {
                world.air.with(|air| air.put(false, rubbish, stream));
                world.run_for(SECOND, run);
            }
            diary.push(&world, link);
            world.run_until(|| link.outstanding() == 0, run);
            assert_eq!(diary.has("disconnected: the server speaks something else"), stream);
            assert_eq!(diary.has("ignored"), !stream);
        });
    }
}

#[test]
fn whatever_the_program_wants_wakes_the_client() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            let acts: [&dyn Fn(); 4] = [
                &|| assert!(diary.push(&world, link)),
                &|| assert!(!link.answer(1, &Outcome { status: Status::Done, value: None }).unwrap()),
                &|| link.reconnect(),
                &|| link.stop(),
            ];
            for act in acts {
                world.run_for(SECOND, run);
                assert!(!world.time.is_woken());
                act();
                assert!(world.time.is_woken());
            }
        });
    }
}

#[test]
fn whoever_waits_for_acknowledgements_is_woken() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            diary.push(&world, link);
            let mut waiting = pin!(link.flush(&world.time, world.now() + 60 * SECOND));
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(woken.clone());
            assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            world.run_until(|| link.outstanding() == 0, run);
            assert!(woken.0.load(Relaxed));
            assert_eq!(waiting.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(true));
        });
    }
}

#[test]
fn messages_are_told_apart_wherever_a_stream_is_cut() {
    for piece in 1..200 {
        let world = World::new(true, 1);
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            world.run_for(SECOND, run);
            // For another session, which is told, and of several lengths.
            let address = Address { device: 7, session: 1, link: 1 };
            let (mut bytes, mut len) = ([0; 256], 0);
            let acknowledgement = Body::Acknowledgement(Acknowledgement::default());
            for (body, sequence) in [(Body::Time(5), 1), (acknowledgement, 0), (Body::Time(6), 2)] {
                len += body.encode(address, sequence, Some(&Key::new(&KEY)), &mut bytes[len..]).unwrap();
            }
            world.air.with(|air| {
                air.piece = piece;
                air.put(false, &bytes[..len], true);
            });
            world.run_for(SECOND, run);
            assert_eq!((diary.count("ignored"), diary.count("disconnected")), (3, 0), "{piece}");
        });
    }
}

#[test]
fn flush_waits_until_everything_is_stored_or_its_deadline() {
    for world in worlds() {
        with_device(&world, |link, diary, run| {
            world.run_until(|| link.is_open(), run);
            let flush = |deadline| {
                let (link, clock) = (link, &world.time);
                async move { link.flush(clock, deadline).await }
            };
            diary.push(&world, link);
            let deadline = world.now() + SECOND;
            let mut both = Box::pin(select(flush(deadline), run)) as std::pin::Pin<Box<dyn Future<Output = _>>>;
            assert_eq!(world.run_for(2 * SECOND, &mut both), Some(Some(true)));
            drop(both);
            assert!(world.time.now() < deadline);
            world.hub.borrow_mut().mute = true;
            diary.push(&world, link);
            let deadline = world.now() + SECOND;
            let mut both = Box::pin(select(flush(deadline), run)) as std::pin::Pin<Box<dyn Future<Output = _>>>;
            assert_eq!(world.run_for(2 * SECOND, &mut both), Some(Some(false)));
        });
    }
}
