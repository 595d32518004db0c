//! Members that may not do everything, in virtual time.

mod world;

use std::time::Duration;

use tautline_rooms::{
    Effect, Form, Join, Member, Problem, Publisher, Recovery, Refusal, Resume, Rights, RoomSettings, Welcome,
};
use world::{World, names};

const PUBLISH: Rights = Rights { publish: true, subscribe: false };
const SUBSCRIBE: Rights = Rights { publish: false, subscribe: true };

fn join<'a>(member: u64, client: &'a str, form: Form, rights: Rights) -> Join<'a> {
    let member = Member(member);
    Join { member, room: "main", client, form, anonymous: false, identity: None, replaces: true, rights, resume: None }
}

fn enter(world: &mut World, member: u64, client: &str, form: Form, rights: Rights) {
    world.rooms.admit(&join(member, client, form, rights)).unwrap();
    world.rooms.open(world.now, Member(member));
}

#[test]
fn a_member_without_the_right_to_publish_is_refused_and_changes_nothing() {
    let mut world = World::default();
    enter(&mut world, 1, "screen", Form::Events, SUBSCRIBE);
    enter(&mut world, 2, "wall", Form::Raw, SUBSCRIBE);
    world.effects();
    world.publish(1, Some("m"), "hi");
    world.publish(2, None, "hi");
    let refuse = |member, id: Option<&str>| Effect::Refuse {
        to: Publisher::Member(Member(member)),
        id: id.map(Into::into),
        problem: Problem::Forbidden,
    };
    assert_eq!(world.effects(), [refuse(1, Some("m")), refuse(2, None)]);
    assert_eq!(world.rooms.view(world.room()).unwrap().offset, 0);
}

#[test]
fn a_member_without_the_right_to_subscribe_is_on_no_list_and_may_publish() {
    let mut world = World::default();
    world.raw(1, "page");
    world.publish(1, None, "before");
    enter(&mut world, 2, "sensor", Form::Raw, PUBLISH);
    enter(&mut world, 3, "meter", Form::Events, PUBLISH);
    let (room, epoch) = (world.room(), world.epoch());
    let welcome = Welcome {
        to: Member(3),
        room,
        client: "meter".into(),
        epoch,
        offset: 1,
        recovery: Recovery::None,
        members: names(&["meter"]),
        count: 1,
    };
    let effects = world.effects();
    assert!(effects.contains(&Effect::Welcome(Box::new(welcome))), "it learns of nobody else: {effects:?}");
    assert_eq!(world.rooms.raw_members(room), [Member(1)]);
    assert!(world.rooms.event_members(room).is_empty() && world.rooms.catching_up_members(room).is_empty());
    world.publish(3, Some("m"), "21.5");
    let effects = world.effects();
    assert!(matches!(&effects[0], Effect::Deliver { message, .. } if &*message.from == "meter"), "{effects:?}");
    let to = Publisher::Member(Member(3));
    assert_eq!(effects[1], Effect::Acknowledge { to, id: "m".into(), offset: 2, duplicate: false });
}

#[test]
fn what_was_missed_is_not_for_a_member_without_the_right_to_subscribe() {
    let mut world = World::default();
    world.raw(1, "page");
    world.publish(1, None, "secret");
    let resume = Some(Resume { epoch: world.epoch(), offset: 0 });
    world.rooms.admit(&Join { resume, ..join(2, "meter", Form::Events, PUBLISH) }).unwrap();
    world.rooms.open(world.now, Member(2));
    assert!(!world.effects().iter().any(|effect| matches!(effect, Effect::Replay { .. })));
}

#[test]
fn others_learn_when_a_silent_publisher_comes_and_leaves() {
    let mut world = World::new(RoomSettings::default());
    world.events(1, "page", None);
    world.effects();
    world.pass(Duration::from_secs(2));
    enter(&mut world, 2, "sensor", Form::Raw, PUBLISH);
    assert_eq!(world.presence()[0].joined, names(&["sensor"]));
    world.pass(Duration::from_secs(2));
    world.leave(2);
    assert_eq!(world.presence()[0].left, names(&["sensor"]));
    assert_eq!(world.rooms.event_members(world.room()), [Member(1)]);
    world.raw(3, "sensor");
    assert_eq!(world.rooms.raw_members(world.room()), [Member(3)], "its id is free, and the next one may have all");
}

#[test]
fn clients_that_share_a_proven_name_do_not_replace_each_other() {
    let mut world = World::default();
    let shared =
        |member, replaces| Join { identity: Some("class"), replaces, ..join(member, "7", Form::Raw, Rights::ALL) };
    world.rooms.admit(&shared(1, false)).unwrap();
    assert_eq!(world.rooms.admit(&shared(2, false)), Err(Refusal::Taken));
    assert_eq!(world.rooms.admit(&shared(3, true)), Ok(()));
}
