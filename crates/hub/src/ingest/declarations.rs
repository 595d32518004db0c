//! What a device says that it has, while nothing has come of it.

use tautline_store::SensorKind;
use tautline_telemetry::{Hello, Sensor};

use super::values::kind;
use crate::telemetry::Declared;

/// The sensors of a hello, by index. Little room, since very many may say hello and nothing else: that of the hello itself and some bytes.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    places: Box<[Place]>,
    /// Names and units, one behind the other.
    text: Box<str>,
}

#[derive(Debug)]
struct Place {
    index: u8,
    kind: SensorKind,
    /// How long the name is, in bytes.
    name: u8,
    /// And the unit behind it.
    unit: u8,
}

impl Declarations {
    pub(super) fn new(hello: &Hello<'_>) -> Self {
        let mut sensors: Vec<Sensor<'_>> = hello.sensors.iter().collect();
        sensors.sort_unstable_by_key(|sensor| sensor.index);
        let length = |text: &str| u8::try_from(text.len()).expect("a name has at most 64 bytes, a unit 32");
        let place = |Sensor { index, kind: of, name, unit }: &Sensor<'_>| Place {
            index: *index,
            kind: kind(*of),
            name: length(name),
            unit: length(unit),
        };
        let places = sensors.iter().map(place).collect();
        let text: String = sensors.iter().flat_map(|sensor| [sensor.name, sensor.unit]).collect();
        Self { places, text: text.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Each of them, by index.
    pub(super) fn iter(&self) -> impl Iterator<Item = Declared<'_>> + Clone {
        let mut rest = &*self.text;
        let mut next = move |length: u8| {
            let (text, behind) = rest.split_at(length.into());
            rest = behind;
            text
        };
        self.places.iter().map(move |&Place { index, kind, name, unit }| {
            let (name, unit) = (next(name), next(unit));
            Declared { index, name, unit, kind }
        })
    }
}

#[cfg(test)]
mod tests {
    use tautline_telemetry::Type;

    use super::*;

    #[test]
    fn sensors_come_back_by_index_as_they_were_declared() {
        let longest = "é".repeat(32);
        let sensors = [
            Sensor { index: 9, kind: Type::F32, name: &longest, unit: "°C" },
            Sensor { index: 0, kind: Type::Bool, name: "open", unit: "" },
            Sensor { index: 255, kind: Type::Text, name: "note", unit: "" },
        ];
        let hello = Hello { last_command: 0, name: "door", firmware: "", sensors: (&sensors[..]).into() };
        let declarations = Declarations::new(&hello);
        let expected = [
            Declared { index: 0, name: "open", unit: "", kind: SensorKind::Boolean },
            Declared { index: 9, name: &longest, unit: "°C", kind: SensorKind::Number },
            Declared { index: 255, name: "note", unit: "", kind: SensorKind::Text },
        ];
        assert_eq!(declarations.iter().collect::<Vec<_>>(), expected);
    }
}
