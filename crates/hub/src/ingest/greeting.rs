//! Who says hello, and as whom.

use std::sync::Arc;

use tautline_telemetry::hub::Session;
use tautline_telemetry::{Address, Authentic, Body, ErrorCode, Hello, Key, Message, Welcome};

use super::clock::Now;
use super::commands::News;
use super::declarations::Declarations;
use super::desk::{Desk, Reply, Sender, Wrong, reply, wrong};
use super::device::Open;
use crate::rooms;

/// How many devices without a key there can be.
const KEYLESS: usize = 100_000;

/// How many seconds a device may be quiet: less than the time that a usual NAT remembers it.
const QUIET: u16 = 25;

impl Desk {
    /// Somebody says hello. Its answer is all that follows from it: it may be a copy.
    pub(super) fn hello(
        &mut self,
        now: Now,
        from: Sender<'_>,
        message: &Message<'_>,
        authentic: &Authentic<'_>,
        key: Option<&Key>,
        out: &mut Vec<Reply>,
    ) -> Result<(), Wrong> {
        let address = authentic.header().address;
        if address.link != 0 {
            return Err(wrong(ErrorCode::MALFORMED, "a hello has no link"));
        }
        let Ok(Body::Hello(hello)) = authentic.body() else {
            return Err(wrong(ErrorCode::MALFORMED, "this is no hello"));
        };
        let name = self.name(address.device, &hello, from)?;
        let (declared, sensors) = self.sensors(&name, &hello)?;
        // Not before it is known that nothing else is wrong: who is refused has no name.
        self.take_name(address.device, &name);
        let device = self.devices.entry(address.device).or_default();
        if device.name != name {
            // What it said under another name is not to count for this one.
            let before = std::mem::replace(&mut device.name, name);
            if device.line.leave() {
                self.news.push(News::Left { device: address.device, name: before.clone() });
            }
            self.forgetting.extend(device.send_away().into_iter().map(|session| (address.device, session)));
            self.names.remove(&before);
        }
        device.heard_ms = now.ms;
        device.line.had(hello.last_command);
        let sequence = authentic.header().sequence;
        let (link, stored) = match device.session(address.session) {
            Some(open) => {
                open.sent_away = false;
                // Not a copy of an earlier one.
                if sequence > open.hello {
                    (open.hello, open.declared, open.sensors) = (sequence, declared, sensors);
                }
                (open.session.address().link, open.session.stored())
            }
            None => {
                let known = device.known(address.session);
                let link = self.links.link_after(address.device, address.session, device.forgotten);
                let session = Session::restore(Address { link, ..address }, known.stored);
                let (outstanding, linked, was_here, sent_away) = (0, false, known.was_here, false);
                let open = Open {
                    session,
                    outstanding,
                    linked,
                    was_here,
                    sent_away,
                    hello: sequence,
                    declared,
                    sensors,
                    peer: from.peer,
                };
                self.forgetting.extend(device.open(open)?.map(|forgotten| (address.device, forgotten)));
                (link, known.stored)
            }
        };
        let welcome = Welcome { stored, time: now.calendar_ms, quiet: QUIET };
        reply(from.peer, message, link, &Body::Welcome(welcome), key, out);
        Ok(())
    }

    /// The name that a device may have. With a key it is the one that the key was made for, and with a certificate the one in that.
    fn name(&self, device: u32, hello: &Hello<'_>, from: Sender<'_>) -> Result<Arc<str>, Wrong> {
        let of_key = self.keys.get(&device).map(|keys| keys.name().clone());
        if from.certified.is_some_and(|certified| certified != of_key.as_deref().unwrap_or(hello.name)) {
            return Err(wrong(ErrorCode::CONFLICT, "the certificate is for another device"));
        }
        if let Some(name) = of_key {
            return Ok(name);
        }
        let conflict = || wrong(ErrorCode::CONFLICT, "the name belongs to another device");
        if !rooms::is_name(hello.name) {
            return Err(wrong(ErrorCode::MALFORMED, "a name has no control characters"));
        }
        if self.keys.values().any(|keys| **keys.name() == *hello.name) {
            return Err(conflict());
        }
        // Whoever has proven its name is not pushed aside by somebody who only says it,
        let known = self.devices.get(&device);
        if known.is_some_and(|known| known.is_certified() && from.certified != Some(&*known.name)) {
            return Err(wrong(ErrorCode::CONFLICT, "the number belongs to a device with a certificate"));
        }
        match self.names.get(hello.name) {
            // but the other way round.
            Some(other) if *other != device && from.certified.is_none() => Err(conflict()),
            None if self.names.len() >= KEYLESS => Err(Wrong::Busy),
            _ => Ok(hello.name.into()),
        }
    }

    /// A device has this name from now on, and nobody else has it. With a key it is the key's, which needs no note.
    fn take_name(&mut self, device: u32, name: &Arc<str>) {
        if self.keys.contains_key(&device) {
            return;
        }
        if let Some(other) = self.names.get(name).copied().filter(|other| *other != device) {
            self.forget(other);
        }
        self.names.insert(name.clone(), device);
    }

    /// The sensors that a device declares, and by index the numbers of those that there are. The others are made when the device
    /// says something that is no copy.
    fn sensors(&self, device: &str, hello: &Hello<'_>) -> Result<(Declarations, Vec<(u8, u32)>), Wrong> {
        if hello.sensors.iter().any(|sensor| !rooms::is_name(sensor.name) || !rooms::is_name(sensor.unit)) {
            return Err(wrong(ErrorCode::MALFORMED, "names and units have no control characters"));
        }
        let declared = Declarations::new(hello);
        let sensors = self.telemetry.find(device, declared.iter());
        let sensors = sensors.map_err(|_| wrong(ErrorCode::REFUSED, "there are as many sensors as there can be"))?;
        Ok((declared, sensors))
    }
}
