//! Whose key is good, and who has signed a message.

use std::sync::Arc;

use tautline_store::DeviceKey;
use tautline_telemetry::{Authentic, ErrorCode, Forged, Key, Message, Side};

use super::commands::News;
use super::desk::{Desk, Sender};

/// The keys of a device.
#[derive(Debug)]
pub(super) struct Keys {
    kept: DeviceKey,
    key: Key,
    /// The one before, until the device has used the new one.
    previous: Option<Key>,
    /// Whether the device has used its key.
    is_used: bool,
}

impl Keys {
    fn new(kept: DeviceKey) -> Self {
        let previous = kept.previous.map(|previous| Key::new(&previous.0));
        Self { key: Key::new(&kept.key.0), previous, is_used: false, kept }
    }

    /// The name that the key was made for.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.kept.name
    }
}

impl Desk {
    /// The keys of all devices, as they are now. A device whose key is new or was revoked has to begin anew.
    pub(super) fn set_keys(&mut self, kept: Vec<DeviceKey>) {
        let mut before = std::mem::take(&mut self.keys);
        for kept in kept {
            let number = kept.number;
            let keys = match before.remove(&number) {
                Some(keys) if keys.kept == kept => keys,
                // It has used its new key, and the store does not know that yet.
                Some(keys) if keys.is_used && keys.kept.key == kept.key && keys.kept.revoked_ms == kept.revoked_ms => {
                    if kept.previous.is_some() {
                        self.news.push(News::KeyUsed { device: number, key: kept.key });
                    }
                    Keys { kept, ..keys }
                }
                before => {
                    let was_good = before.is_some_and(|keys| keys.kept.revoked_ms.is_none());
                    if !was_good || kept.revoked_ms.is_some() {
                        self.send_away(number);
                    }
                    Keys::new(kept)
                }
            };
            self.keys.insert(number, keys);
        }
        // What had a key and has none now.
        for number in before.into_keys() {
            self.send_away(number);
        }
    }

    /// Finds out whether a message is from whom it says, and with which key.
    pub(super) fn authenticate<'a>(
        &mut self,
        from: Sender<'_>,
        message: &Message<'a>,
    ) -> Result<(Authentic<'a>, Option<Key>), (ErrorCode, &'static str)> {
        let forged = |_: Forged| (ErrorCode::NOT_AUTHENTIC, "the tag is not right");
        let Some(keys) = self.keys.get_mut(&message.header().address.device) else {
            if !from.may_be_keyless && from.certified.is_none() {
                return Err((ErrorCode::UNKNOWN_DEVICE, "the hub has no key for this device"));
            }
            return message.authenticate(Side::Device, None).map(|authentic| (authentic, None)).map_err(forged);
        };
        if keys.kept.revoked_ms.is_some() {
            return Err((ErrorCode::UNKNOWN_DEVICE, "the key was revoked"));
        }
        match message.authenticate(Side::Device, Some(&keys.key)) {
            Ok(authentic) => {
                // It has its new key: the old one is worth nothing from now on.
                if keys.previous.take().is_some() {
                    self.news.push(News::KeyUsed { device: keys.kept.number, key: keys.kept.key });
                }
                keys.is_used = true;
                Ok((authentic, Some(keys.key.clone())))
            }
            Err(error) => {
                let previous = keys.previous.as_ref().ok_or_else(|| forged(error))?;
                let authentic = message.authenticate(Side::Device, Some(previous)).map_err(forged)?;
                Ok((authentic, Some(previous.clone())))
            }
        }
    }

    /// The key that a device is known to have.
    pub(super) fn key_of(&self, device: u32) -> Option<&Key> {
        self.keys.get(&device).map(|keys| keys.previous.as_ref().unwrap_or(&keys.key))
    }
}
