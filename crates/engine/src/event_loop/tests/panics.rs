//! Apps that panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tautline_proto::app::Message;
use tautline_proto::handshake::server::Rejection;
use tautline_proto::{CloseCode, Ended};

use super::support::{Call, Peer, World, frames, secs};

const PANICKED: Ended = Ended::ClosedByUs { code: CloseCode::INTERNAL_ERROR, clean: true };

/// An app that echoes, and a switch that has it panic in the calls that `kind` names.
fn panicking(kind: &'static str) -> (World, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let switch = on.clone();
    let world = World::new(move |io, call| {
        let this = match call {
            Call::Admit(_) => "admit",
            Call::Open(_) => "open",
            Call::Message(..) => "message",
            Call::Drained(_) => "drained",
            Call::Alive(_) => "alive",
            Call::Closed(..) => "closed",
            Call::Timer(_) => "timer",
        };
        if let Call::Message(id, message) = call {
            io.send(id, message);
        }
        assert!(this != kind || !switch.load(Ordering::Relaxed), "on purpose");
    });
    (world, on)
}

/// A world goes on as if nothing had happened.
fn goes_on(mut world: World, on: &AtomicBool, bystander: &Peer, panics: u64) {
    on.store(false, Ordering::Relaxed);
    bystander.forget();
    bystander.send("bystander");
    let newcomer = world.connect();
    newcomer.send("newcomer");
    world.run();
    assert_eq!((bystander.texts(), newcomer.texts()), (vec!["bystander".into()], vec!["newcomer".into()]));
    assert_eq!(world.event_loop.counters().panics, panics);
    for peer in [bystander, &newcomer] {
        peer.close(CloseCode::NORMAL);
    }
    world.run();
    world.assert_empty();
}

/// The victim was told and says goodbye.
fn leaves(world: &mut World, victim: &Peer) {
    assert_eq!(victim.close_code(), Some(1011));
    victim.close(CloseCode::INTERNAL_ERROR);
    world.run();
    assert_eq!(world.ended(victim), Some(PANICKED));
}

#[test]
fn a_panic_in_admit_refuses_the_client_with_500() {
    let (mut world, on) = panicking("admit");
    let bystander = world.connect();
    on.store(true, Ordering::Relaxed);
    assert_eq!(world.try_admit(0, "/", None), Err(Rejection::new(500)));
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_in_open_closes_the_connection() {
    let (mut world, on) = panicking("open");
    let bystander = world.connect();
    on.store(true, Ordering::Relaxed);
    let victim = world.connect_over(super::support::wire(), &frames::text("not heard"));
    assert_eq!(world.texts_from(&victim), Vec::<String>::new());
    leaves(&mut world, &victim);
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_in_message_closes_the_connection_behind_what_was_sent_before() {
    let (mut world, on) = panicking("message");
    let [bystander, victim] = world.connect_some();
    on.store(true, Ordering::Relaxed);
    victim.send_bytes(&[frames::text("1"), frames::text("2")].concat());
    world.run();
    assert_eq!(world.texts_from(&victim), ["1"], "nothing after the panic");
    assert_eq!(victim.texts(), ["1"]);
    leaves(&mut world, &victim);
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_for_a_large_message_closes_the_connection_as_well() {
    let (mut world, on) = panicking("message");
    let [bystander, victim] = world.connect_some();
    on.store(true, Ordering::Relaxed);
    for piece in frames::binary(&vec![1; 300_000]).chunks(50_000) {
        victim.send_bytes(piece);
        world.run();
    }
    leaves(&mut world, &victim);
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_in_alive_closes_the_connection() {
    let (mut world, on) = panicking("alive");
    let [bystander, victim] = world.connect_some();
    on.store(true, Ordering::Relaxed);
    world.visit(|io| io.probe(victim.id, secs(1)));
    victim.pong(b"");
    world.run();
    leaves(&mut world, &victim);
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_in_drained_closes_the_connection() {
    let (mut world, on) = panicking("drained");
    let bystander = world.connect();
    let victim = world.connect_blocked("1");
    victim.send("2");
    world.run();
    on.store(true, Ordering::Relaxed);
    victim.take_all();
    world.run();
    leaves(&mut world, &victim);
    goes_on(world, &on, &bystander, 1);
}

#[test]
fn a_panic_in_closed_changes_nothing_about_the_end() {
    let (mut world, on) = panicking("closed");
    let [bystander, victim] = world.connect_some();
    on.store(true, Ordering::Relaxed);
    victim.close(CloseCode::NORMAL);
    world.run();
    assert_eq!(victim.close_code(), Some(1000));
    assert_eq!(world.ended(&victim), Some(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }));
    let id = world.admit();
    world.turn_with(|event_loop| event_loop.abandon(id));
    goes_on(world, &on, &bystander, 2);
}

#[test]
fn a_panic_in_a_timer_closes_nothing_and_the_other_timers_come() {
    let (mut world, on) = panicking("timer");
    let bystander = world.connect();
    on.store(true, Ordering::Relaxed);
    world.visit(|io| (1..=3).for_each(|timer| io.set_timer(timer, io.now() + secs(timer))));
    world.pass(secs(5));
    assert_eq!(world.record.all().iter().filter(|happened| happened.whose().is_none()).count(), 3);
    goes_on(world, &on, &bystander, 3);
}

#[test]
fn a_panic_in_a_visit_closes_nothing() {
    let (mut world, on) = panicking("nothing");
    let bystander = world.connect();
    world.turn_with(|event_loop| {
        event_loop.visit(0, |_, io| {
            io.send(bystander.id, Message::Text("before"));
            panic!("on purpose")
        });
    });
    assert_eq!(bystander.texts(), ["before"]);
    goes_on(world, &on, &bystander, 1);
}
