//! What a hello leaves behind, and what it does not.

use tautline_store::SensorKind;

use super::*;
use crate::telemetry::Declared;

/// A hello, the first one of its session.
fn hello(number: u32, name: &str, sensors: &[Sensor<'_>]) -> Vec<u8> {
    let hello = Hello { last_command: 0, name, firmware: "", sensors: sensors.into() };
    let mut bytes = [0; MAX_MESSAGE];
    let address = Address { device: number, session: 5, link: 0 };
    let length = Body::Hello(hello).encode(address, 1, None, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

/// The kind of the only answer.
fn answered(world: &mut World, from: Sender<'_>, bytes: &[u8]) -> u8 {
    let (authentic, replies) = hand(world, from, bytes);
    assert_eq!((authentic, replies.len()), (true, 1));
    replies[0][3]
}

const WELCOME: u8 = 0x81;
const ERROR: u8 = 0x86;

/// The link of a welcome, or the code of an error.
fn greeted(world: &mut World, number: u32, bytes: &[u8]) -> Result<u64, u8> {
    let (_, replies) = hand(world, sender(number), bytes);
    let link = Message::parse(&replies[0]).unwrap().0.header().address.link;
    if replies[0][3] == WELCOME { Ok(link) } else { Err(replies[0][33]) }
}

/// Any other message of that session.
fn message(number: u32, link: u64, body: &Body<'_>) -> Vec<u8> {
    let mut bytes = [0; MAX_MESSAGE];
    let address = Address { device: number, session: 5, link };
    let length = body.encode(address, 1, None, &mut bytes).unwrap();
    bytes[..length].to_vec()
}

fn reading(number: u32, link: u64) -> Vec<u8> {
    let record = [Record { offset: 0, sensor: 9, value: Value::F32(21.5) }];
    message(number, link, &Body::Readings(Readings { time: Time::Age(0), records: (&record[..]).into() }))
}

#[test]
fn a_hello_makes_no_sensors_and_whatever_follows_it_does() {
    let mut world = World::new(1);
    for number in 2..100 {
        greeted(&mut world, number, &hello(number, &format!("device {number}"), &SENSORS)).unwrap();
    }
    assert_eq!(world.telemetry.devices(None, 10), []);
    let asks: [fn(u32, u64) -> Vec<u8>; 2] = [reading, |number, link| message(number, link, &Body::TimeRequest)];
    for (number, says) in (2..).zip(asks) {
        let name = format!("device {number}");
        let link = greeted(&mut world, number, &hello(number, &name, &SENSORS)).unwrap();
        hand(&mut world, sender(number), &says(number, link));
        let sensors = world.telemetry.sensors_of(&name);
        let sensors: Vec<_> = sensors.iter().map(|known| (&*known.sensor.name, &*known.sensor.unit)).collect();
        assert_eq!(sensors, [("count", ""), ("temperature", "Cel")]);
    }
    assert_eq!(world.telemetry.devices(None, 10).len(), 2, "and of no other device");
    world.desk.sweep(601_000);
    assert_eq!(world.desk.names.len(), 0, "who says nothing is forgotten");
}

#[test]
fn a_device_with_too_many_sensors_is_told_when_it_says_hello_and_loses_no_reading() {
    let mut world = World::new(1);
    let fill = |world: &World, names: std::ops::Range<usize>| {
        for name in names.map(|name| name.to_string()) {
            let declared = Declared { index: 0, name: &name, unit: "", kind: SensorKind::Number };
            world.telemetry.declare(&"door".into(), std::iter::once(declared)).unwrap();
        }
    };
    fill(&world, 0..998);
    let hello = hello(2, "door", &SENSORS);
    let link = greeted(&mut world, 2, &hello).unwrap();
    fill(&world, 998..999);
    let (_, replies) = hand(&mut world, sender(2), &reading(2, link));
    assert_eq!((replies[0][3], replies[0][33]), (ERROR, 2), "no link: it says hello again");
    assert!(world.desk.next_batch(at(0)).is_none());
    assert_eq!(greeted(&mut world, 2, &hello), Err(5), "refused");
    assert_eq!(world.telemetry.sensors_of("door").len(), 999, "all or none");
}

#[test]
fn a_hello_that_is_refused_takes_no_name() {
    let mut world = World::new(1);
    let bad = [Sensor { index: 0, kind: Type::U32, name: "a\nb", unit: "" }];
    for name in ["door", "gate", "window"] {
        assert_eq!(answered(&mut world, sender(2), &hello(2, name, &bad)), ERROR);
    }
    assert_eq!((world.desk.names.len(), world.desk.devices.len()), (0, 0));
    assert_eq!(answered(&mut world, sender(4), &hello(4, "door", &SENSORS)), WELCOME);
    // Nor does one take it away that could.
    let certified = Sender { certified: Some("door"), ..sender(6) };
    assert_eq!(answered(&mut world, certified, &hello(6, "door", &bad)), ERROR);
    assert_eq!(world.desk.names["door"], 4);
    assert_eq!(answered(&mut world, certified, &hello(6, "door", &SENSORS)), WELCOME);
    assert_eq!(world.desk.names["door"], 6);
}
