//! Making keys, and showing them once.

use std::io::{self, IsTerminal};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use tautline_store::{DeviceKey, Secret, Write};

use super::open;
use super::pass::{Pass, check_name};
use crate::calendar::now_ms;
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{complain, harmless, try_say};

const EXAMPLES: &str = "\
Examples:
  tautline device add kitchen
  tautline device add $(seq -f sim-%g 100) > fleet      keys of a hundred, for `tautline simulate --key-file fleet`

What it writes is shown this once. The key lies in the hub's database, whose file only its owner may read, and in the device: \
whoever has it can send as this device, and speak to it as the hub. The data directory is made if there is none.

A device whose key was revoked gets a new one under its old number.";

/// Make a number and a key for a device, and show them, with a QR code on a terminal
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What the device is called; with several names, several devices
    #[arg(value_name = "NAME", required = true, value_parser = name)]
    names: Vec<String>,

    /// Draw QR codes also where the output is not a terminal
    #[arg(long)]
    qr: bool,

    #[command(flatten)]
    options: Unlisted,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut store = open(&args.options, true)?;
    // All or none, since who reads an error would have to find out which.
    let passes = store.change(|reader| {
        let mut keys = reader.device_keys()?;
        let mut passes = Vec::new();
        let mut writes = Vec::new();
        for name in &args.names {
            let key = added(&keys, name, Secret(rand::random()))?;
            passes.push(pass(&key));
            writes.push(Write::DeviceKey(key.clone()));
            keys.push(key);
        }
        Ok::<_, Failure>((writes, passes))
    })?;
    let qr = args.qr || io::stdout().is_terminal();
    for pass in &passes {
        show(pass, qr)?;
    }
    complain("this is not shown again");
    Ok(())
}

/// Shows a device what it needs to know.
///
/// # Errors
///
/// Nobody reads it.
pub(super) fn show(pass: &Pass, qr: bool) -> Result<(), Failure> {
    let mut text = format!("device {} {}\nkey {}\n{pass}", pass.number, harmless(&pass.name), pass.key_digits());
    if qr {
        text += "\n";
        text += &drawn(&pass.to_string())?;
    }
    try_say(text).map_err(|_| {
        let name = harmless(&pass.name);
        Failure::new(format!(
            "nobody reads the output, and the key is lost: `tautline device rotate {name} --now` makes another"
        ))
    })
}

pub(super) fn pass(key: &DeviceKey) -> Pass {
    Pass { number: key.number, name: key.name.to_string(), key: key.key }
}

/// A device as it is added to these: under the next number, or under its own if its key was revoked.
fn added(keys: &[DeviceKey], name: &str, key: Secret) -> Result<DeviceKey, Failure> {
    let number = match keys.iter().rev().find(|key| &*key.name == name) {
        Some(known) if known.revoked_ms.is_some() => known.number,
        Some(_) => {
            let name = harmless(name);
            return Err(Failure::new(format!(
                "there is a device {name} already: choose another name, or `tautline device rotate {name}` for a new key"
            )));
        }
        None => {
            let highest = keys.iter().map(|key| key.number).max().unwrap_or(0);
            highest.checked_add(1).ok_or_else(|| Failure::new("there are no numbers left for devices"))?
        }
    };
    Ok(DeviceKey { number, name: name.into(), key, previous: None, created_ms: now_ms(), revoked_ms: None })
}

/// A QR code, two rows in a line. Scanners want it dark on light, so on a dark terminal what is light is drawn.
fn drawn(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L)
        .map_err(|error| Failure::new(format!("this does not fit into a QR code: {error}")))?;
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

fn name(text: &str) -> Result<String, &'static str> {
    check_name(text).map(|()| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32, name: &str, revoked_ms: Option<i64>) -> DeviceKey {
        let (key, previous) = (Secret([1; 32]), Some(Secret([2; 32])));
        DeviceKey { number, name: name.into(), key, previous, created_ms: 0, revoked_ms }
    }

    #[test]
    fn a_device_gets_the_next_number() {
        let keys = [key(1, "a", None), key(5, "b", None)];
        assert_eq!(added(&[], "c", Secret([3; 32])).unwrap().number, 1);
        let added = added(&keys, "c", Secret([3; 32])).unwrap();
        assert_eq!((added.number, added.key, added.previous), (6, Secret([3; 32]), None));
        assert!(super::added(&keys, "b", Secret([3; 32])).unwrap_err().to_string().contains("rotate b"));
        assert!(super::added(&[key(u32::MAX, "z", None)], "c", Secret([3; 32])).is_err());
    }

    #[test]
    fn a_device_that_was_revoked_comes_back_under_its_number() {
        let keys = [key(1, "a", Some(7)), key(2, "b", None)];
        let again = added(&keys, "a", Secret([3; 32])).unwrap();
        assert_eq!((again.number, again.key, again.previous, again.revoked_ms), (1, Secret([3; 32]), None, None));
    }

    #[test]
    fn a_code_is_square_with_a_quiet_zone() {
        let drawn = drawn("tautline:device?number=1&name=a&key=00").unwrap();
        let rows: Vec<_> = drawn.lines().collect();
        let width = rows[0].chars().count();
        assert!(rows.iter().all(|row| row.chars().count() == width));
        assert_eq!(rows.len(), width.div_ceil(2), "two rows in a line");
        assert_eq!(rows[0], "█".repeat(width), "light is what is drawn");
    }
}
