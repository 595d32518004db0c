//! What a simulated device measures, and what it does when it is told to.

use fastrand::Rng;
use tautline_telemetry::{Command, Outcome, Sensor, Status, Type, Value};

/// The sensors of every device, by index.
pub(super) const SENSORS: [Sensor<'static>; 6] = [
    Sensor { index: 0, kind: Type::F32, name: "temperature", unit: "Cel" },
    Sensor { index: 1, kind: Type::F32, name: "humidity", unit: "%RH" },
    Sensor { index: 2, kind: Type::F64, name: "battery", unit: "V" },
    Sensor { index: 3, kind: Type::Bool, name: "door", unit: "" },
    Sensor { index: 4, kind: Type::U32, name: "passages", unit: "count" },
    Sensor { index: 5, kind: Type::Text, name: "state", unit: "" },
];

/// A room with a heater, a door that people go through, and a battery that gets empty.
#[derive(Debug)]
pub(super) struct Room {
    rng: Rng,
    temperature: f32,
    target: f32,
    humidity: f32,
    battery: f64,
    open: bool,
    passages: u32,
    heating: bool,
}

impl Room {
    /// The room of this seed; the same seed is the same room.
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        Self {
            temperature: 18.0 + 6.0 * rng.f32(),
            target: 21.0,
            humidity: 35.0 + 25.0 * rng.f32(),
            battery: 3.9 + 0.3 * rng.f64(),
            open: rng.bool(),
            passages: 0,
            heating: false,
            rng,
        }
    }

    /// Reads a sensor, a step later than the last time.
    pub(super) fn read(&mut self, sensor: u8) -> Value<'static> {
        match sensor {
            0 => {
                let drift = if self.heating { (self.target - self.temperature) * 0.1 } else { 0.0 };
                self.temperature = (self.temperature + drift + self.step() * 0.2).clamp(-20.0, 45.0);
                // The steps of such a sensor; a number that is the same with 32 and 64 bits.
                Value::F32((self.temperature * 16.0).round() / 16.0)
            }
            1 => {
                self.humidity = (self.humidity + self.step()).clamp(10.0, 95.0);
                Value::F32((self.humidity * 4.0).round() / 4.0)
            }
            2 => {
                self.battery = (self.battery - 0.0005 * self.rng.f64()).max(3.0);
                Value::F64((self.battery * 1000.0).round() / 1000.0)
            }
            3 => {
                if self.rng.u8(..10) == 0 {
                    self.open = !self.open;
                }
                Value::Bool(self.open)
            }
            4 => {
                self.passages = self.passages.wrapping_add(self.rng.u32(..3));
                Value::U32(self.passages)
            }
            _ => Value::Text(if self.heating { "heating" } else { "idle" }),
        }
    }

    /// Does what it is told: switch 0 is the heater; `target` is a temperature, `passages` what the counter shows.
    pub(super) fn obey(&mut self, command: &Command<'_>) -> Outcome<'static> {
        let refused = |why| Outcome { status: Status::Refused, value: Some(Value::Text(why)) };
        match *command {
            Command::Switch { index: 0, on } => {
                self.heating = on;
                Outcome { status: Status::Done, value: Some(Value::Bool(on)) }
            }
            Command::Switch { .. } => refused("the only switch is 0, the heater"),
            Command::Set { key: "target", value } => match value.and_then(number) {
                Some(target) if (5.0..=30.0).contains(&target) => {
                    // Such a sensor needs no more digits than these.
                    self.target = target as f32;
                    Outcome { status: Status::Done, value: Some(Value::F32(self.target)) }
                }
                _ => refused("a target is a number from 5 to 30"),
            },
            Command::Set { key: "passages", value } => match value.and_then(number) {
                Some(count) if count >= 0.0 && count <= f64::from(u32::MAX) && count.fract() == 0.0 => {
                    self.passages = count as u32;
                    Outcome { status: Status::Done, value: Some(Value::U32(self.passages)) }
                }
                _ => refused("a count is an integer from 0"),
            },
            Command::Set { .. } => refused("what can be set is target and passages"),
            // Whoever has the intervals has done that.
            Command::Interval { .. } => refused("there is no such sensor"),
        }
    }

    /// From -1 to 1.
    fn step(&mut self) -> f32 {
        self.rng.f32() * 2.0 - 1.0
    }
}

fn number(value: Value<'_>) -> Option<f64> {
    Some(match value {
        Value::I8(number) => number.into(),
        Value::I16(number) => number.into(),
        Value::I32(number) => number.into(),
        Value::U8(number) => number.into(),
        Value::U16(number) => number.into(),
        Value::U32(number) => number.into(),
        Value::F32(number) => number.into(),
        Value::F64(number) => number,
        // What is set here is small: no number of 64 bits that is good loses anything.
        Value::I64(number) => number as f64,
        Value::U64(number) => number as f64,
        Value::Bool(_) | Value::Text(_) | Value::Bytes(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sensor_reads_what_it_declares_in_sensible_bounds() {
        let mut room = Room::new(1);
        for _ in 0..1_000 {
            for sensor in SENSORS {
                let value = room.read(sensor.index);
                assert_eq!(value.kind(), sensor.kind, "{}", sensor.name);
                match (sensor.index, number(value)) {
                    (0, Some(value)) => assert!((-20.0..=45.0).contains(&value)),
                    (1, Some(value)) => assert!((10.0..=95.0).contains(&value)),
                    (2, Some(value)) => assert!((3.0..=4.2).contains(&value)),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn the_same_seed_reads_the_same() {
        let readings = |seed| {
            let mut room = Room::new(seed);
            (0..60).map(|n| format!("{:?}", room.read(n % 6))).collect::<Vec<_>>()
        };
        assert_eq!(readings(7), readings(7));
        assert_ne!(readings(7), readings(8));
    }

    #[test]
    fn the_heater_heats_to_its_target() {
        let mut room = Room::new(3);
        let set = Command::Set { key: "target", value: Some(Value::U8(30)) };
        assert_eq!(room.obey(&set), Outcome { status: Status::Done, value: Some(Value::F32(30.0)) });
        assert_eq!(room.obey(&Command::Switch { index: 0, on: true }).status, Status::Done);
        assert_eq!(room.read(5), Value::Text("heating"));
        let Some(Value::F32(warm)) = (0..200).map(|_| room.read(0)).last() else { panic!("a temperature") };
        assert!((28.0..=32.0).contains(&warm), "{warm}");
    }

    #[test]
    fn what_a_device_does_not_do_is_refused() {
        let mut room = Room::new(3);
        for command in [
            Command::Switch { index: 1, on: true },
            Command::Set { key: "target", value: None },
            Command::Set { key: "target", value: Some(Value::Text("warm")) },
            Command::Set { key: "target", value: Some(Value::F64(1e9)) },
            Command::Set { key: "passages", value: Some(Value::I8(-1)) },
            Command::Set { key: "door", value: Some(Value::Bool(true)) },
        ] {
            assert_eq!(room.obey(&command).status, Status::Refused, "{command:?}");
        }
        assert_eq!(room.obey(&Command::Set { key: "passages", value: Some(Value::U32(7)) }).status, Status::Done);
    }
}
