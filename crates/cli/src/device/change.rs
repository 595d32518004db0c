//! New keys for devices, and none any longer.

use std::io::{self, IsTerminal};

use tautline_store::{DeviceKey, Secret, Write};

use super::add::{pass, show};
use super::{find, open};
use crate::calendar::now_ms;
use crate::config::Unlisted;
use crate::failure::Failure;
use crate::output::{complain, harmless, say};

/// Make a new key for a device, and show it; the old one is good until the device has used the new one
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Rotate {
    /// The device's name
    name: String,

    /// Have the old key accepted no longer, at once
    #[arg(long)]
    now: bool,

    /// Draw a QR code also where the output is not a terminal
    #[arg(long)]
    qr: bool,

    #[command(flatten)]
    options: Unlisted,
}

/// Have nothing accepted any longer that is sent with a device's key
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Revoke {
    /// The device's name
    name: String,

    #[command(flatten)]
    options: Unlisted,
}

pub(super) fn rotate(args: &Rotate) -> Result<(), Failure> {
    let mut store = open(&args.options, false)?;
    let pass = store.change(|reader| {
        let key = rotated(find(reader.device_keys()?, &args.name)?, Secret(rand::random()), args.now)?;
        let pass = pass(&key);
        Ok::<_, Failure>((vec![Write::DeviceKey(key)], pass))
    })?;
    show(&pass, args.qr || io::stdout().is_terminal())?;
    let old = if args.now { "is not good any longer" } else { "is good until the device has used this one" };
    complain(format_args!("this is not shown again; the key before {old}"));
    Ok(())
}

pub(super) fn revoke(args: &Revoke) -> Result<(), Failure> {
    let name = harmless(&args.name);
    let mut store = open(&args.options, false)?;
    let was_good = store.change(|reader| {
        let key = find(reader.device_keys()?, &args.name)?;
        let was_good = key.revoked_ms.is_none();
        let revoked = was_good.then(|| DeviceKey { revoked_ms: Some(now_ms()), previous: None, ..key });
        Ok::<_, Failure>((revoked.map(Write::DeviceKey).into_iter().collect(), was_good))
    })?;
    say(if was_good { format!("revoked the key of {name}") } else { format!("the key of {name} was revoked before") });
    Ok(())
}

/// A device with a new key. The one that stays valid is the one that the device has: if the last new key was never used, that is
/// the one before it.
fn rotated(old: DeviceKey, key: Secret, now: bool) -> Result<DeviceKey, Failure> {
    if old.revoked_ms.is_some() {
        let name = harmless(&old.name);
        return Err(Failure::new(format!(
            "the key of {name} is revoked: `tautline device add {name}` makes a new one"
        )));
    }
    let previous = if now { None } else { old.previous.or(Some(old.key)) };
    Ok(DeviceKey { key, previous, ..old })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Secret = Secret([1; 32]);
    const B: Secret = Secret([2; 32]);
    const C: Secret = Secret([3; 32]);

    fn device(key: Secret, previous: Option<Secret>) -> DeviceKey {
        DeviceKey { number: 1, name: "a".into(), key, previous, created_ms: 0, revoked_ms: None }
    }

    #[test]
    fn the_key_that_the_device_has_stays_valid() {
        assert_eq!(rotated(device(A, None), B, false).unwrap(), device(B, Some(A)));
        assert_eq!(rotated(device(B, Some(A)), C, false).unwrap(), device(C, Some(A)), "B was never used");
    }

    #[test]
    fn at_once_means_that_no_other_key_is_valid() {
        assert_eq!(rotated(device(B, Some(A)), C, true).unwrap(), device(C, None));
    }

    #[test]
    fn a_key_that_is_revoked_is_not_replaced() {
        let revoked = DeviceKey { revoked_ms: Some(1), ..device(A, None) };
        assert!(rotated(revoked, B, false).unwrap_err().to_string().contains("device add a"));
    }
}
