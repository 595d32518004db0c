//! What rooms do, call by call, in virtual time.

mod world;

use std::sync::Arc;
use std::time::Duration;

use tautline_rooms::{
    CloseReason, Duplicates, Effect, Form, Join, Member, Message, Payload, PresenceChange, Problem, Publisher,
    Recovery, Refusal, Restored, Resume, Rights, RoomSettings, Rooms, Settings, Timestamp, Welcome,
};
use world::{World, names, settings, text};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_message_goes_to_all_others_and_its_offset_counts_up() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.raw(2, "b");
    world.effects();
    for offset in 1..=3 {
        let room = world.room();
        world.publish(1, None, "hi");
        let effects = world.effects();
        let [Effect::Deliver { room: at, message, except: Some(Member(1)) }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((*at, message.offset, &*message.from, &message.payload), (room, offset, "a", &text("hi")));
    }
    assert_eq!(world.rooms.raw_members(world.room()), [Member(1), Member(2)]);
}

#[test]
fn rooms_have_nothing_in_common() {
    let mut world = World::new(RoomSettings::default());
    world.join(1, "red", "a", Form::Raw, None).unwrap();
    world.join(2, "blue", "a", Form::Raw, None).unwrap();
    world.publish(1, None, "hi");
    let effects = world.effects();
    let [Effect::Deliver { room, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(world.rooms.raw_members(*room), [Member(1)]);
}

#[test]
fn a_newcomer_is_welcomed_with_who_is_there_and_how_far_the_room_is() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.publish(1, None, "before");
    world.effects();
    world.events(2, "b", None);
    let effects = world.effects();
    let Effect::Welcome(welcome) = &effects[0] else { panic!("{effects:?}") };
    let Welcome { to, offset, recovery, count, client, .. } = &**welcome;
    assert_eq!((*to, *offset, *recovery, *count, &**client), (Member(2), 1, Recovery::None, 2, "b"));
    let mut members: Vec<&str> = welcome.members.iter().map(|name| &**name).collect();
    members.sort_unstable();
    assert_eq!(members, ["a", "b"]);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Replay { .. })), "it did not ask for the past");
}

#[test]
fn who_comes_back_gets_what_it_missed_but_not_its_own() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.events(2, "b", None);
    let epoch = world.epoch();
    world.publish(1, None, "1");
    world.publish(2, None, "2");
    world.leave(2);
    world.publish(1, None, "3");
    world.effects();
    world.events(3, "b", Some(Resume { epoch, offset: 1 }));
    let effects = world.effects();
    let Effect::Welcome(welcome) = &effects[0] else { panic!("{effects:?}") };
    assert_eq!((welcome.recovery, welcome.offset), (Recovery::All, 1));
    let Effect::Replay { to: Member(3), messages } = &effects[1] else { panic!("{effects:?}") };
    assert_eq!(messages.iter().map(|message| message.offset).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_is_published_during_a_replay_comes_behind_it() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    let epoch = world.epoch();
    world.publish(1, None, "1");
    world.rooms.admit(&join(2, "main", "b", Form::Events, Some(Resume { epoch, offset: 0 }))).unwrap();
    world.rooms.open(world.now, Member(2));
    assert!(world.rooms.event_members(world.room()).is_empty(), "not before it has taken the replay");
    world.rooms.publish(world.now, Member(1), None, text("2"));
    world.rooms.caught_up(world.now, Member(2));
    let replays: Vec<u64> = std::iter::from_fn(|| world.rooms.poll_effect())
        .filter_map(|effect| match effect {
            Effect::Replay { messages, .. } => Some(messages.iter().map(|message| message.offset).collect::<Vec<_>>()),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(replays, [1, 2]);
    world.rooms.caught_up(world.now, Member(2));
    assert_eq!(world.rooms.event_members(world.room()), [Member(2)]);
}

#[test]
fn a_large_past_comes_in_portions_and_one_who_is_overtaken_is_sent_away() {
    let mut world = World::new(RoomSettings { history_bytes: 1 << 20, ..RoomSettings::default() });
    world.raw(1, "a");
    let epoch = world.epoch();
    let large = "x".repeat(40_000);
    (0..8).for_each(|_| world.publish(1, None, &large));
    world.effects();
    world.rooms.admit(&join(2, "main", "b", Form::Events, Some(Resume { epoch, offset: 0 }))).unwrap();
    world.rooms.open(world.now, Member(2));
    let effects: Vec<_> = std::iter::from_fn(|| world.rooms.poll_effect()).collect();
    let Effect::Replay { messages, .. } = &effects[1] else { panic!("{effects:?}") };
    assert_eq!(messages.len(), 2);
    // While it takes them, everything else is forgotten.
    (0..40).for_each(|_| world.rooms.publish(world.now, Member(1), None, text(&large)));
    while world.rooms.poll_effect().is_some() {}
    world.rooms.caught_up(world.now, Member(2));
    let close = Effect::Close { member: Member(2), reason: CloseReason::Lagged };
    assert!(std::iter::from_fn(|| world.rooms.poll_effect()).any(|effect| effect == close));
    assert_eq!(world.rooms.find("main", "b"), None);
}

#[test]
fn a_gap_is_told_plainly() {
    let few = RoomSettings { history_messages: 2, ..RoomSettings::default() };
    let mut world = World::new(few);
    world.raw(1, "a");
    let epoch = world.epoch();
    (0..5).for_each(|_| world.publish(1, None, "hi"));
    world.effects();
    let resume = |epoch, offset| Some(Resume { epoch, offset });
    for (number, resume, recovery) in [
        (2, resume(epoch, 2), Recovery::Gap),
        (3, resume(epoch, 3), Recovery::All),
        (4, resume(epoch, 5), Recovery::All),
        (5, resume(epoch, 6), Recovery::Gap),
        (6, resume(epoch ^ 1, 5), Recovery::Gap),
    ] {
        world.events(number, &format!("client {number}"), resume);
        let effects = world.effects();
        let Effect::Welcome(welcome) = &effects[0] else { panic!("{effects:?}") };
        assert_eq!(welcome.recovery, recovery, "{number}");
        let replayed = effects.iter().any(|effect| matches!(effect, Effect::Replay { .. }));
        assert_eq!(replayed, number == 3);
    }
}

#[test]
fn history_ends_with_age_and_bytes() {
    let mut world = World::new(RoomSettings { history_bytes: 1024, ..RoomSettings::default() });
    world.raw(1, "a");
    let room = world.room();
    let remembered = |world: &World| world.rooms.history(room, 0).map(|message| message.offset).collect::<Vec<_>>();
    (0..4).for_each(|_| world.publish(1, None, &"x".repeat(300)));
    assert_eq!(remembered(&world), [3, 4]);
    world.pass(SECOND * 301);
    world.publish(1, None, "");
    assert_eq!(remembered(&world), [5]);
}

#[test]
fn an_id_that_is_published_again_is_acknowledged_and_not_delivered() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.publish(1, Some("m1"), "hi");
    let to = Publisher::Member(Member(1));
    let acknowledge = |to, offset, duplicate| Effect::Acknowledge { to, id: "m1".into(), offset, duplicate };
    assert_eq!(world.effects()[1], acknowledge(to, 1, false));
    world.publish(1, Some("m1"), "hi");
    assert_eq!(world.effects(), [acknowledge(to, 1, true)]);
    // Also over another connection of the same client; but the id of another client is another id.
    world.leave(1);
    world.raw(2, "a");
    world.raw(3, "b");
    world.effects();
    world.publish(2, Some("m1"), "hi");
    assert_eq!(world.effects(), [acknowledge(Publisher::Member(Member(2)), 1, true)]);
    world.publish(3, Some("m1"), "hi");
    assert_eq!(world.effects()[1], acknowledge(Publisher::Member(Member(3)), 2, false));
    world.pass(SECOND * 601);
    world.publish(3, Some("m1"), "hi");
    assert_eq!(world.effects()[1], acknowledge(Publisher::Member(Member(3)), 3, false), "forgotten after ten minutes");
}

#[test]
fn ids_are_bounded() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    for bad in ["", &"x".repeat(65)] {
        world.publish(1, Some(bad), "hi");
        let to = Publisher::Member(Member(1));
        assert_eq!(world.effects(), [Effect::Refuse { to, id: Some(bad.into()), problem: Problem::BadId }]);
    }
    world.publish(1, Some(&"x".repeat(64)), "hi");
    assert!(matches!(&world.effects()[..], [Effect::Deliver { .. }, Effect::Acknowledge { .. }]));
}

#[test]
fn a_durable_room_tells_nobody_before_it_is_stored() {
    let mut world = World::new(RoomSettings { durable: true, ..RoomSettings::default() });
    world.raw(1, "a");
    let room = world.room();
    assert_eq!(world.effects(), [Effect::StoreRoom { room }]);
    world.publish(1, Some("m1"), "hi");
    world.publish(1, Some("m1"), "hi");
    let effects = world.effects();
    let [Effect::StoreRoom { .. }, Effect::Store { message, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((message.offset, world.rooms.view(room).unwrap().offset), (1, 0));
    world.rooms.stored(world.now, room, 1, true);
    let effects = world.effects();
    let [
        Effect::Deliver { .. },
        Effect::Acknowledge { duplicate: false, .. },
        Effect::Acknowledge { duplicate: true, .. },
    ] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(world.rooms.view(room).unwrap().offset, 1);
}

#[test]
fn what_could_not_be_stored_is_refused_and_can_be_published_again() {
    let mut world = World::new(RoomSettings { durable: true, pending: 2, ..RoomSettings::default() });
    world.raw(1, "a");
    let room = world.room();
    (1..=3).for_each(|number| world.publish(1, Some(&format!("m{number}")), "hi"));
    let to = Publisher::Member(Member(1));
    let refuse = |id: &str, problem| Effect::Refuse { to, id: Some(id.into()), problem };
    assert_eq!(world.effects().last(), Some(&refuse("m3", Problem::Busy)));
    world.rooms.stored(world.now, room, 1, false);
    assert_eq!(world.effects(), [refuse("m1", Problem::NotStored)]);
    world.rooms.stored(world.now, room, 2, true);
    assert!(matches!(&world.effects()[0], Effect::Deliver { message, .. } if message.offset == 2));
    world.publish(1, Some("m1"), "hi");
    assert!(matches!(&world.effects()[..], [Effect::Store { message, .. }] if message.offset == 3));
}

#[test]
fn a_durable_room_is_stored_with_each_message_until_one_is_stored() {
    let mut world = World::new(RoomSettings { durable: true, ..RoomSettings::default() });
    world.raw(1, "a");
    let room = world.room();
    world.effects();
    let mut asked = |stored| {
        world.publish(1, None, "hi");
        let effects = world.effects();
        let Some(Effect::Store { message, .. }) = effects.last() else { panic!("{effects:?}") };
        world.rooms.stored(world.now, room, message.offset, stored);
        world.effects();
        effects.iter().filter(|effect| matches!(effect, Effect::StoreRoom { .. })).count()
    };
    assert_eq!([asked(false), asked(false), asked(true), asked(false), asked(true)], [1, 1, 1, 0, 0]);
}

#[test]
fn a_durable_room_goes_on_after_a_restart() {
    let mut rooms = Rooms::new(settings(RoomSettings { durable: true, ..RoomSettings::default() }), 1);
    let now = Timestamp(1_000);
    let message =
        |offset| Arc::new(Message { offset, at: now, from: "a".into(), id: Some("m1".into()), payload: text("old") });
    let restored = Restored {
        epoch: 77,
        last: 9,
        forgotten: 7,
        messages: vec![message(8), message(9)],
        ids: vec![("a".into(), "m1".into(), 9, now)],
    };
    rooms.restore(now, "main", restored).unwrap();
    rooms.admit(&join(1, "main", "b", Form::Events, Some(Resume { epoch: 77, offset: 7 }))).unwrap();
    rooms.open(now, Member(1));
    rooms.admit(&join(2, "main", "a", Form::Raw, None)).unwrap();
    rooms.open(now, Member(2));
    rooms.publish(now, Member(2), Some("m1"), text("old"));
    rooms.publish(now, Member(2), Some("m2"), text("new"));
    let effects: Vec<_> = std::iter::from_fn(|| rooms.poll_effect()).collect();
    assert!(
        matches!(&effects[0], Effect::Welcome(welcome) if welcome.recovery == Recovery::All && welcome.epoch == 77)
    );
    assert!(matches!(&effects[1], Effect::Replay { messages, .. } if messages.len() == 2));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Acknowledge { offset: 9, duplicate: true, .. })));
    assert!(matches!(effects.last(), Some(Effect::Store { message, .. }) if message.offset == 10));
}

#[test]
fn an_in_memory_room_has_another_epoch_in_every_run() {
    let epochs = [1, 2].map(|random| {
        let mut rooms = Rooms::new(Settings::default(), random);
        rooms.admit(&join(1, "main", "a", Form::Raw, None)).unwrap();
        rooms.view(rooms.room("main").unwrap()).unwrap().epoch
    });
    assert_ne!(epochs[0], epochs[1]);
}

#[test]
fn the_store_is_told_what_is_not_needed() {
    let few = RoomSettings { durable: true, history_messages: 10, ..RoomSettings::default() };
    let mut world = World::new(few);
    world.raw(1, "a");
    let room = world.room();
    let mut trims = Vec::new();
    for offset in 1..=200 {
        world.publish(1, None, "hi");
        world.rooms.stored(world.now, room, offset, true);
        trims.extend(world.effects().into_iter().filter_map(|effect| match effect {
            Effect::Trim { through, .. } => Some(through),
            _ => None,
        }));
    }
    assert_eq!(trims, [64, 128]);
}

#[test]
fn a_taken_id_is_refused_and_its_owner_asked() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    assert_eq!(world.join(2, "main", "a", Form::Raw, None), Err(Refusal::Taken));
    world.rooms.claim(world.now, "main", "a", 100);
    world.rooms.claim(world.now, "main", "a", 101);
    assert_eq!(world.effects(), [Effect::Probe { member: Member(1), within: SECOND * 2 }], "asked once");
    world.rooms.alive(world.now, Member(1));
    let busy = |ticket| Effect::Claimed { ticket, free: false };
    assert_eq!(world.effects(), [busy(100), busy(101)]);
    world.rooms.claim(world.now, "main", "a", 102);
    assert_eq!(world.effects(), [busy(102)], "known to be alive");
    world.pass(SECOND * 2);
    world.rooms.claim(world.now, "main", "a", 103);
    assert!(matches!(world.effects()[..], [Effect::Probe { .. }]), "that was a while ago");
}

#[test]
fn a_dead_owner_gives_its_id_away() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.rooms.claim(world.now, "main", "a", 100);
    world.effects();
    world.leave(1);
    assert_eq!(world.effects(), [Effect::Claimed { ticket: 100, free: true }]);
    world.raw(2, "a");
    assert_eq!(world.rooms.find("main", "a"), Some(Member(2)));
    world.rooms.claim(world.now, "main", "nobody", 101);
    assert_eq!(world.effects(), [Effect::Claimed { ticket: 101, free: true }]);
}

#[test]
fn a_claim_does_not_wait_for_ever_and_few_wait_at_once() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    (0..9).for_each(|ticket| world.rooms.claim(world.now, "main", "a", ticket));
    assert_eq!(world.effects()[1..], [Effect::Claimed { ticket: 8, free: false }]);
    world.pass(SECOND * 3);
    assert_eq!(world.effects().len(), 8);
}

#[test]
fn the_same_identity_and_the_take_over_policy_replace_the_old_connection() {
    let replaced = Effect::Close { member: Member(1), reason: CloseReason::Replaced };
    let mut world = World::new(RoomSettings { duplicates: Duplicates::TakeOver, ..RoomSettings::default() });
    world.raw(1, "a");
    world.raw(2, "a");
    assert_eq!(world.effects(), std::slice::from_ref(&replaced));
    let mut world = World::new(RoomSettings::default());
    let with = |member, identity| Join { identity, ..join(member, "main", "a", Form::Raw, None) };
    world.rooms.admit(&with(1, Some("certificate"))).unwrap();
    for other in [None, Some("other")] {
        assert_eq!(world.rooms.admit(&with(2, other)), Err(Refusal::Taken));
    }
    world.rooms.admit(&with(3, Some("certificate"))).unwrap();
    assert_eq!(world.effects(), [replaced]);
    // The old connection's end changes nothing.
    world.leave(1);
    assert_eq!(world.rooms.find("main", "a"), Some(Member(3)));
}

#[test]
fn who_was_sent_away_is_known_until_its_connection_ends() {
    let mut world = World::new(RoomSettings { duplicates: Duplicates::TakeOver, ..RoomSettings::default() });
    world.raw(1, "a");
    world.raw(2, "a");
    assert!(world.rooms.member(Member(1)).is_none());
    let known = world.rooms.known(Member(1)).unwrap();
    assert_eq!((&**known.room, &**known.client, known.opened), ("main", "a", world.now));
    world.leave(1);
    assert!(world.rooms.known(Member(1)).is_none());
    assert!(world.rooms.known(Member(2)).is_some());
}

#[test]
fn who_catches_up_hears_who_comes_and_leaves() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    let epoch = world.epoch();
    world.publish(1, None, "missed");
    world.effects();
    world.rooms.admit(&join(2, "main", "b", Form::Events, Some(Resume { epoch, offset: 0 }))).unwrap();
    world.rooms.open(world.now, Member(2));
    let effects: Vec<_> = std::iter::from_fn(|| world.rooms.poll_effect()).collect();
    assert!(matches!(effects.last(), Some(Effect::Presence { .. })), "though nobody else listens: {effects:?}");
    assert_eq!(world.rooms.catching_up_members(world.room()), [Member(2)]);
    world.rooms.caught_up(world.now, Member(2));
    assert!(world.rooms.catching_up_members(world.room()).is_empty());
}

#[test]
fn coming_and_going_leaves_one_timer() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.publish(1, None, "hi");
    world.leave(1);
    for number in 2..100 {
        world.pass(SECOND);
        world.raw(number, "a");
        world.leave(number);
    }
    world.pass(SECOND * 299);
    assert_eq!(world.rooms.rooms().count(), 1, "somebody was there less than five minutes ago");
    world.pass(SECOND * 2);
    assert_eq!((world.rooms.rooms().count(), world.rooms.poll_timeout()), (0, None));
}

#[test]
fn two_without_an_identity_are_not_the_same() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    assert_eq!(world.join(2, "main", "a", Form::Raw, None), Err(Refusal::Taken));
}

#[test]
fn presence_is_told_at_once_and_then_not_too_often() {
    let mut world = World::new(RoomSettings::default());
    world.events(1, "a", None);
    world.effects();
    world.pass(SECOND);
    (0..2_000).for_each(|number| world.raw(10 + number, &format!("{number:04}")));
    let first = PresenceChange { joined: names(&["0000"]), left: vec![], more: 0, count: 2 };
    assert_eq!(world.presence(), [first]);
    world.pass(SECOND);
    let second = world.presence();
    let [change] = &second[..] else { panic!("{second:?}") };
    assert_eq!((change.joined.len(), change.more, change.count), (100, 1_899, 2_001));
    // Who comes and goes between two announcements is not worth a word.
    world.raw(5_000, "short");
    world.leave(5_000);
    world.leave(10);
    world.raw(5_001, "0000");
    world.pass(SECOND * 5);
    assert_eq!(world.presence(), []);
    world.leave(5_001);
    let left = PresenceChange { joined: vec![], left: names(&["0000"]), more: 0, count: 2_000 };
    assert_eq!(world.presence(), [left]);
}

#[test]
fn rooms_and_members_are_bounded() {
    let few = RoomSettings { members: 2, ..RoomSettings::default() };
    let mut world = World { rooms: Rooms::new(Settings { rooms: 2, ..settings(few) }, 1), ..World::default() };
    world.raw(1, "a");
    world.raw(2, "b");
    assert_eq!(world.join(3, "main", "c", Form::Raw, None), Err(Refusal::RoomFull));
    world.join(4, "other", "c", Form::Raw, None).unwrap();
    assert_eq!(world.join(5, "third", "c", Form::Raw, None), Err(Refusal::TooManyRooms));
    // An empty room that is only remembered makes way.
    world.publish(4, None, "hi");
    world.leave(4);
    world.join(5, "third", "c", Form::Raw, None).unwrap();
    assert_eq!(world.rooms.room("other"), None);
}

#[test]
fn an_empty_room_is_forgotten_at_once_or_with_its_history() {
    let mut world = World::new(RoomSettings::default());
    world.raw(1, "a");
    world.leave(1);
    assert_eq!(world.rooms.rooms().count(), 0, "nothing was said in it");
    world.raw(2, "a");
    world.publish(2, None, "hi");
    world.leave(2);
    world.pass(SECOND * 299);
    let room = world.room();
    assert_eq!(world.rooms.history(room, 0).count(), 1);
    world.pass(SECOND);
    assert_eq!((world.rooms.rooms().count(), world.rooms.poll_timeout()), (0, None));
}

#[test]
fn others_than_members_can_publish() {
    let mut world = World::new(RoomSettings::default());
    world.rooms.publish_from_outside(world.now, "main", "api", 5, Some("m"), Payload::Json("1".into())).unwrap();
    let effects = world.effects();
    assert!(matches!(&effects[0], Effect::Deliver { except: None, message, .. } if &*message.from == "api"));
    let to = Publisher::Request(5);
    assert_eq!(effects[1], Effect::Acknowledge { to, id: "m".into(), offset: 1, duplicate: false });
    world.pass(SECOND * 300);
    assert_eq!(world.rooms.rooms().count(), 0, "it does not stay for ever");
}

#[test]
fn settings_out_of_bounds_are_named() {
    assert_eq!(RoomSettings::default().validate(), Ok(()));
    let bad = RoomSettings { probe_timeout: Duration::ZERO, ..RoomSettings::default() };
    assert_eq!(bad.validate().unwrap_err().setting, "probe_timeout");
}

fn join<'a>(member: u64, room: &'a str, client: &'a str, form: Form, resume: Option<Resume>) -> Join<'a> {
    Join {
        member: Member(member),
        room,
        client,
        form,
        anonymous: false,
        identity: None,
        replaces: true,
        rights: Rights::ALL,
        resume,
    }
}
