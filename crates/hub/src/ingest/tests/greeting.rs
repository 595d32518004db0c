//! What a hello leaves behind, and what it does not.

use super::*;

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
