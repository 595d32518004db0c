//! What is forgotten, and when; and what is not.

use super::*;

/// A device that starts anew with the session of this number, and has `count` readings stored. Answers what it sent.
fn visit(world: &mut World, number: u64, count: u32) -> Vec<Vec<u8>> {
    let key = Some(Key::new(&KEY));
    let identity = Identity { device: 1, name: "lamp", firmware: "", sensors: &SENSORS, key };
    let mut device = Device::new(0, identity, Config::DATAGRAM, number, 1, vec![0; 20_000]).unwrap();
    let mut sent = Vec::new();
    for index in 0..count {
        // One message for each.
        device.push(0, 0, Value::U32(number as u32 * 100 + index)).unwrap();
        let mut out = [0; MAX_MESSAGE];
        while let Some(length) = device.poll_transmit(0, &mut out) {
            let bytes = out[..length].to_vec();
            for reply in hand(world, sender(1), &bytes).1 {
                let _ = device.receive(0, &Message::parse(&reply).unwrap().0);
            }
            sent.push(bytes);
        }
    }
    settle(world);
    sent
}

/// Commits what waits.
fn settle(world: &mut World) -> usize {
    let Some((readings, writes)) = world.desk.next_batch(at(0)) else { return 0 };
    let count = readings.len();
    let (told, stored) = mpsc::channel();
    world.telemetry.submit(readings, writes, move |result| told.send(result).unwrap()).unwrap();
    stored.recv().unwrap().unwrap();
    world.desk.committed(true, &mut Vec::new());
    count
}

#[test]
fn a_device_that_starts_anew_all_the_time_leaves_few_sessions_and_no_copy_is_stored() {
    let mut world = World::new(1);
    let mut recorded = Vec::new();
    for number in 1..=60 {
        recorded.extend(visit(&mut world, number, 2));
    }
    let rows = |world: &World| world.store.read(|reader| reader.device_sessions()).unwrap().len();
    // Those in memory besides.
    assert!(rows(&world) <= crate::ingest::KNOWN as usize + 4, "{}", rows(&world));
    let all: Vec<i64> = (1..=60).flat_map(|number| [number * 100, number * 100 + 1]).collect();
    assert_eq!(world.stored("lamp"), all);
    // Whoever has recorded all of it sends it again, in the same order and in the other.
    let backwards: Vec<_> = recorded.iter().rev().cloned().collect();
    for message in recorded.iter().chain(&backwards).chain(&recorded) {
        hand(&mut world, sender(9), message);
        settle(&mut world);
    }
    assert_eq!(world.stored("lamp"), all);
    // So it is after a restart, which trims what another version of the hub has left.
    world.restart();
    for message in &recorded {
        hand(&mut world, sender(9), message);
    }
    assert_eq!(settle(&mut world), 0);
}

#[test]
fn a_session_that_is_sent_away_while_its_readings_wait_goes_on_where_it_was() {
    let mut world = World::new(1);
    let key =
        DeviceKey { number: 1, name: "lamp".into(), key: Secret(KEY), previous: None, created_ms: 0, revoked_ms: None };
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let readings = transmit(&mut lamp, 1000);
    hand(&mut world, sender(1), &readings);
    world.desk.set_keys(vec![DeviceKey { revoked_ms: Some(1), ..key.clone() }]);
    world.desk.set_keys(vec![key]);
    let (_, replies) = hand(&mut world, sender(1), &readings);
    assert_eq!((replies[0][3], replies[0][33]), (0x86, 2), "it has to say hello");
    lamp.reconnected(2000);
    let hello = transmit(&mut lamp, 2000);
    hand(&mut world, sender(1), &hello);
    let (_, replies) = hand(&mut world, sender(1), &readings);
    assert_eq!(replies, [[0; 0]; 0], "it is being stored");
    assert_eq!(settle(&mut world), 1);
    let (_, replies) = hand(&mut world, sender(1), &readings);
    assert_eq!(replies[0][3], 0x82, "now it is");
    assert_eq!(world.stored("lamp"), [0]);
}

#[test]
fn a_name_without_a_key_is_free_again_when_nothing_came_for_long() {
    let mut world = World::new(1);
    linked(&mut world, 2, None);
    let named_door = |number| {
        let identity = Identity { device: number, name: "door", firmware: "", sensors: &SENSORS, key: None };
        Device::new(0, identity, Config::DATAGRAM, 1, 1, vec![0; 100]).unwrap()
    };
    let kind = |world: &mut World, number| {
        let hello = transmit(&mut named_door(number), 0);
        hand(world, sender(number), &hello).1[0][3]
    };
    world.desk.sweep(599_000);
    assert_eq!(kind(&mut world, 4), 0x86, "it is another's");
    world.desk.sweep(601_000);
    assert_eq!(kind(&mut world, 4), 0x81);
    assert_eq!(kind(&mut world, 2), 0x86, "and the first one has to find another");
    assert_eq!(world.desk.devices.len(), 1, "of who only said hello nothing is left");
}

#[test]
fn a_calendar_that_jumps_delays_neither_commands_nor_silence() {
    let mut world = World::new(1);
    let mut lamp = linked(&mut world, 1, Some(Key::new(&KEY)));
    let readings = transmit(&mut lamp, 1000);
    hand(&mut world, sender(1), &readings);
    let back = |ms| Now { calendar_ms: START - 3_600_000, ms };
    let command = tautline_rooms::Command {
        id: "1".into(),
        device: "lamp".into(),
        name: "reboot".into(),
        payload: "null".into(),
        created: tautline_rooms::Timestamp(0),
        expires: None,
    };
    world.desk.command(back(10), 1, &command, std::time::Duration::from_secs(30));
    let mut sent = |ms| {
        let mut replies = Vec::new();
        let waiting = world.desk.transmit_commands(back(ms).ms, &mut replies);
        (waiting, replies.len())
    };
    assert_eq!(
        [sent(10), sent(20), sent(1_010), sent(30_009), sent(30_010)],
        [(true, 1), (true, 0), (true, 1), (true, 1), (false, 0)]
    );
    world.desk.news.clear();
    world.desk.sweep(90_000);
    assert_eq!(world.desk.news, []);
    world.desk.sweep(90_001);
    assert!(matches!(&world.desk.news[..], [News::Left { device: 1, .. }]));
}
