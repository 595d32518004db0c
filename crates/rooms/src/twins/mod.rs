//! What devices should be, and what they say that they are.

mod changing;
mod effect;
mod missing;
mod settings;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::documents::part::{Part, Request, is_name};
use crate::documents::{ChangeAnswer, ChangeProblem, Update};
use crate::message::Timestamp;
use changing::shown;

pub use effect::{TwinEffect, TwinPart, TwinView};
pub use settings::TwinSettings;

/// Device twins: for each device a desired and a reported state, JSON objects with a version each.
///
/// A connected device is told what of the desired state differs from what it has reported: when it connects, and when that
/// was changed. It is never told what it has reported itself. Requests, versions, storing and draining are as with
/// [`Documents`](crate::Documents), and one change of a twin, of either half, is stored at a time.
#[derive(Debug)]
pub struct Twins {
    settings: TwinSettings,
    durable: bool,
    twins: BTreeMap<Arc<str>, Twin>,
    /// The devices that are there, and their connections.
    connected: HashMap<Arc<str>, u64>,
    /// What everything takes up.
    bytes: usize,
    effects: VecDeque<TwinEffect>,
}

/// A device's twin.
#[derive(Debug, Default)]
struct Twin {
    desired: Part,
    reported: Part,
    storing: Option<Storing>,
    /// Changes that wait for it.
    waiting: VecDeque<(TwinPart, Request)>,
}

/// A change that is being stored.
#[derive(Debug)]
struct Storing {
    ticket: u64,
    part: TwinPart,
    new: Part,
}

impl Twins {
    /// No twins. Durable ones are stored before a change is seen.
    pub fn new(settings: TwinSettings, durable: bool) -> Self {
        Self {
            settings,
            durable,
            twins: BTreeMap::new(),
            connected: HashMap::new(),
            bytes: 0,
            effects: VecDeque::new(),
        }
    }

    /// Brings a twin back: versions and JSON texts. To be called once for each, and before anything else. Limits do not
    /// apply to what is there already.
    ///
    /// # Errors
    ///
    /// [`NotJson`](ChangeProblem::NotJson) or [`NotAnObject`](ChangeProblem::NotAnObject).
    pub fn restore(&mut self, device: &str, desired: (u64, &str), reported: (u64, &str)) -> Result<(), ChangeProblem> {
        let part = |(version, json): (u64, &str)| {
            let part = Part::restore(version, Some(json))?;
            match part.is_object() {
                false => Err(ChangeProblem::NotAnObject),
                true if version == 0 => Ok(Part::default()),
                true => Ok(part),
            }
        };
        let (desired, reported) = (part(desired)?, part(reported)?);
        self.bytes += desired.weight() + reported.weight();
        let twin = self.twin(&device.into());
        (twin.desired, twin.reported) = (desired, reported);
        Ok(())
    }

    /// What there is to do next.
    pub fn poll_effect(&mut self) -> Option<TwinEffect> {
        self.effects.pop_front()
    }

    /// A device is there, by a connection that the caller gives a number; an earlier one is of no interest any longer.
    pub fn device_connected(&mut self, device: &str, connection: u64) {
        let device: Arc<str> = device.into();
        self.connected.insert(device.clone(), connection);
        self.tell(&device);
    }

    /// A device's connection is gone; there may be a later one.
    pub fn device_disconnected(&mut self, device: &str, connection: u64) {
        if self.connected.get(device) == Some(&connection) {
            self.connected.remove(device);
        }
    }

    /// Somebody changes one half of a twin, which is made if there is none: if that half has the version `if_version`,
    /// where 0 is that it was never set. What comes of it has to be an object.
    pub fn update(
        &mut self,
        now: Timestamp,
        ticket: u64,
        device: &str,
        part: TwinPart,
        update: &Update,
        if_version: Option<u64>,
    ) {
        let request = match Request::update(ticket, update, if_version, self.settings.limits()) {
            _ if !is_name(device, self.settings.name_bytes) => Err(ChangeProblem::BadName),
            // Neither as a value nor as a patch can it lead to one.
            Ok(_) if !matches!(update, Update::Put(value) | Update::Patch(value) if value.is_object()) => {
                Err(ChangeProblem::NotAnObject)
            }
            request => request,
        };
        match request {
            Ok(request) => self.ask(now, &device.into(), part, request),
            Err(problem) => self.answer(ticket, ChangeAnswer::Refused(problem)),
        }
    }

    /// The change of a twin is stored, or could not be.
    pub fn stored(&mut self, now: Timestamp, device: &str, stored: bool) {
        let Some((device, twin)) = self.twins.get_key_value(device) else { return };
        if twin.storing.is_none() {
            return;
        }
        let device = device.clone();
        self.finish(&device, stored);
        while let Some(twin) = self.twins.get_mut(&device)
            && twin.storing.is_none()
            && let Some((part, request)) = twin.waiting.pop_front()
        {
            self.bytes -= request.weight();
            self.turn(now, &device, part, &request);
        }
        self.tidy(&device);
    }

    /// What can be seen of a device's twin.
    pub fn view(&self, device: &str) -> Option<TwinView> {
        let twin = self.twins.get(device).filter(|twin| !twin.is_unset())?;
        Some(TwinView { desired: shown(&twin.desired), reported: shown(&twin.reported), delta: twin.missing() })
    }

    /// The devices that have a twin, by id.
    pub fn devices(&self) -> impl Iterator<Item = &Arc<str>> {
        self.twins.iter().filter(|(_, twin)| !twin.is_unset()).map(|(device, _)| device)
    }

    /// About how many bytes all twins take up, see [`TwinSettings::total_bytes`].
    pub fn weight(&self) -> usize {
        self.bytes
    }
}
