//! Who is in a fleet.

use std::collections::HashSet;
use std::path::Path;

use tautline_store::Secret;

use crate::device::Pass;
use crate::failure::Failure;

/// The number of the first device without a key: far from those that `tautline device add` gives.
const FIRST: u32 = 1_000_001;

/// A simulated device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its place in the fleet, from 0.
    pub(super) place: u64,
    /// Which device it is on the wire.
    pub(super) number: u32,
    /// Its name.
    pub(super) name: String,
    /// Its key.
    pub(super) key: Option<Secret>,
}

/// So many devices without keys: NAME-1, NAME-2, and so on.
pub(super) fn keyless(devices: u32, name: &str) -> Vec<Member> {
    let member = |place: u32| Member {
        place: place.into(),
        number: FIRST.wrapping_add(place),
        name: format!("{name}-{}", place + 1),
        key: None,
    };
    (0..devices).map(member).collect()
}

/// The devices of a file, or the first ones of it.
///
/// # Errors
///
/// The file cannot be read, or has too few, or one twice.
pub(super) fn from_file(file: &Path, devices: Option<u32>) -> Result<Vec<Member>, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!("cannot read {shown}: {error}; `tautline device add` writes such files"))
    })?;
    let members = parse(&text).map_err(|error| Failure::usage(format!("{shown}{error}")))?;
    let wanted = devices.map_or(members.len(), |devices| devices as usize);
    if members.len() < wanted || members.is_empty() {
        let found = members.len();
        return Err(Failure::usage(format!("{shown} has {found} devices: `tautline device add` makes more")));
    }
    Ok(members.into_iter().take(wanted).collect())
}

fn parse(text: &str) -> Result<Vec<Member>, String> {
    let mut known = HashSet::new();
    let mut members = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| Pass::is_meant_by(text.trim())) {
        let pass = Pass::parse(text.trim()).ok_or_else(|| format!(":{line}: this is no number, name and key"))?;
        if !known.insert(pass.number) {
            return Err(format!(":{line}: device {} is here twice", pass.number));
        }
        let place = members.len() as u64;
        members.push(Member { place, number: pass.number, name: pass.name, key: Some(pass.key) });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_device_add_writes_is_a_fleet() {
        let key = "0a".repeat(32);
        let text = format!(
            "device 3 a\nkey {key}\ntautline:device?number=3&name=a&key={key}\n\n  tautline:device?number=1&name=b&key={key}\n"
        );
        let members = parse(&text).unwrap();
        let shown: Vec<_> = members.iter().map(|member| (member.place, member.number, &*member.name)).collect();
        assert_eq!(shown, [(0, 3, "a"), (1, 1, "b")]);
        assert_eq!(members[0].key, Some(Secret([10; 32])));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let key = "0a".repeat(32);
        let good = format!("tautline:device?number=3&name=a&key={key}");
        assert!(parse("\ntautline:device?number=3").unwrap_err().starts_with(":2: "));
        assert!(parse(&format!("{good}\n{good}")).unwrap_err().contains(":2: device 3 is here twice"));
    }

    #[test]
    fn devices_without_keys_have_numbers_of_their_own() {
        let members = keyless(2, "sim");
        assert_eq!((members[0].number, &*members[0].name), (1_000_001, "sim-1"));
        assert_eq!((members[1].number, &*members[1].name), (1_000_002, "sim-2"));
    }
}
