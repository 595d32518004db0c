//! Everything that a backend has, and random writes that two backends must answer alike.

use std::mem::discriminant;

use tautline_store::{
    Backend, CommandState, Memory, Reader, ReadingAge, Readings, Retention, Sensor, Sqlite, StoreError, Write,
};

use crate::records::*;
use crate::telemetry::{key, real, sensor, session};

/// All that can be read, for comparison. Numbers of the log are places, which need not be the same.
pub(crate) fn everything(reader: &mut dyn Reader) -> String {
    let rooms = reader.rooms().unwrap();
    let mut all = format!("{rooms:?}\n");
    for room in &rooms {
        all += &format!("{:?}\n", reader.history(&room.name, 0, usize::MAX, usize::MAX).unwrap());
        all += &format!("{:?}\n", reader.dedup(&room.name).unwrap());
    }
    all += &format!("{:?}\n{:?}\n", reader.counters().unwrap(), reader.documents().unwrap());
    all += &format!("{:?}\n{:?}\n", reader.twins().unwrap(), reader.tokens().unwrap());
    let devices = reader.devices(None, usize::MAX).unwrap();
    for device in ["a", "b", "lamp"] {
        all += &format!("{:?}\n", reader.commands(device, None, usize::MAX).unwrap());
    }
    all += &format!("{:?}\n{:?}\n", reader.device_keys().unwrap(), reader.device_sessions().unwrap());
    all += &format!("{:?}\n", reader.sensors().unwrap());
    for sensor in 0..3 {
        let of = Readings { sensor, from_ms: 0, to_ms: i64::MAX };
        let readings = reader.readings(&of, None, usize::MAX).unwrap();
        let readings: Vec<_> = readings.into_iter().map(|reading| (reading.at_ms, reading.value)).collect();
        all += &format!("{readings:?}\n{:?}\n", reader.buckets(&of, 7, 1000).unwrap());
    }
    all += &format!("{devices:?}\n{:?}\n", reader.pending_commands().unwrap());
    let log = reader.connections(None, None, usize::MAX).unwrap();
    all + &format!("{:?}\n", log.into_iter().map(|entry| entry.connection).collect::<Vec<_>>())
}

/// A write whose names and numbers come up again and again, so that some are refused.
fn write(random: &mut fastrand::Rng) -> Write {
    let names = ["a", "b"];
    let name = names[random.usize(..2)];
    let other = names[random.usize(..2)];
    let small = random.u64(..8);
    let at_ms = random.i64(..100);
    let epoch = if random.u8(..8) == 0 { 1 } else { EPOCH };
    match random.u8(..20) {
        0 => Write::OpenRoom { room: name.into(), epoch, durable: random.bool() },
        1 if random.u8(..4) == 0 => Write::DropRoom { room: name.into() },
        1..=4 => {
            let mut message = named(name, random.u64(..200), other, &small.to_string());
            (message.epoch, message.at_ms) = (epoch, at_ms);
            message.message_id = message.message_id.filter(|_| random.bool());
            Write::Message(message)
        }
        5 => Write::TrimRoom { room: name.into(), below_offset: random.u64(..100) },
        6 => Write::TrimDedup { room: name.into(), keep: small, since_ms: random.i64(..30) },
        7 => Write::SetCounter { name: name.into(), value: random.i64(..) },
        8 => Write::Document(document(name, random.u64(..50), random.bool().then_some("[]"))),
        9 => Write::Twin(twin(name, random.u64(..20), random.u64(..20))),
        10 => Write::AddCommand(command(&random.u64(..30).to_string(), name, at_ms)),
        11 => {
            let states = [CommandState::Sent, CommandState::Done, CommandState::Queued];
            change(&random.u64(..30).to_string(), states[random.usize(..3)], at_ms)
        }
        12 => Write::AddToken(token(name, random.u8(..3))),
        13 => Write::RevokeToken { id: name.into(), at_ms },
        14 => {
            let at = |_| real(small as u32 % 3, random.i64(..100), f64::from(random.i8(..)));
            Write::Readings((0..3).map(at).collect())
        }
        15 => Write::Sensor(Sensor { keep_ms: (small > 3).then_some(at_ms), ..sensor(small as u32 % 3, name) }),
        16 => Write::DeviceKey(key(small as u32 % 3, name)),
        17 if random.u8(..4) == 0 => Write::ForgetSessions { before_ms: random.i64(..), most: random.u32(..4) },
        17 if random.u8(..4) == 0 => Write::ForgetSession { device: small as u32 % 3, session: random.u64(..4) },
        17 => Write::DeviceSession(session(small as u32 % 3, random.u64(..4), random.i64(..))),
        18 => Write::Device(device(name, at_ms, random.i64(..100))),
        _ => Write::Connection(connection(name, at_ms)),
    }
}

fn retention(random: &mut fastrand::Rng) -> Retention {
    let mut before = || random.bool().then(|| random.i64(..40));
    Retention {
        messages_before_ms: before(),
        commands_before_ms: before(),
        connections_before_ms: before(),
        devices_before_ms: before(),
        removed_documents_before_ms: before(),
        readings: random.bool().then(|| ReadingAge { now_ms: random.i64(..80), keep_ms: Some(random.i64(..80)) }),
        max_bytes: None,
    }
}

#[test]
fn both_backends_answer_the_same_writes_alike_and_the_file_keeps_them() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut memory = Memory::new();
        let mut sqlite = Sqlite::open(directory.path()).unwrap();
        let mut refused = 0;
        for _ in 0..150 {
            let writes: Vec<_> = (0..random.usize(1..4)).map(|_| write(&mut random)).collect();
            let answers = (memory.commit(&writes), sqlite.commit(&writes));
            refused += u32::from(answers.0.is_err());
            assert!(alike(&answers.0, &answers.1), "seed {seed}: {answers:?} to {writes:?}");
            if random.u8(..10) == 0 {
                let retention = retention(&mut random);
                while memory.retain(&retention).unwrap().more {}
                while sqlite.retain(&retention).unwrap().more {}
            }
        }
        assert!(refused > 10 && refused < 140, "seed {seed} tests little: {refused} of 150 were refused");
        let wanted = everything(&mut *memory.source().reader().unwrap());
        assert_eq!(everything(&mut *sqlite.source().reader().unwrap()), wanted, "seed {seed}");
        drop(sqlite);
        let reopened = Sqlite::open(directory.path()).unwrap();
        assert_eq!(everything(&mut *reopened.source().reader().unwrap()), wanted, "seed {seed}");
    }
}

/// Both `Ok`, or errors of one kind.
fn alike(one: &Result<(), StoreError>, other: &Result<(), StoreError>) -> bool {
    match (one, other) {
        (Ok(()), Ok(())) => true,
        (Err(one), Err(other)) => discriminant(one) == discriminant(other),
        _ => false,
    }
}
