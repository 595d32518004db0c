//! What a token permits.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::Right;

/// What a token permits, as it stands in the store. What is not named is not permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// The rooms that it is for, and for nothing else. `None`: all of them, and what belongs to no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<BTreeSet<String>>,
    /// Publish messages; with `subscribe` also change documents and counters.
    pub publish: bool,
    /// Get messages, and see who and what is there.
    pub subscribe: bool,
    /// Have devices do something.
    pub command: bool,
    /// Everything, whatever else is said here but `rooms`.
    pub admin: bool,
}

impl Permissions {
    /// As JSON.
    pub fn to_json(&self) -> String {
        // There are no maps with other keys than strings, and no writer that can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From JSON; `None` if it says something that is not known here: that may be a restriction.
    pub fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    pub(crate) fn allow(&self, right: Right) -> bool {
        self.admin
            || match right {
                Right::Read => self.subscribe,
                Right::Publish => self.publish,
                Right::Command => self.command,
                Right::Admin => false,
            }
    }

    /// Whether it is for this room.
    pub(crate) fn include(&self, room: &str) -> bool {
        self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_json_and_what_is_unknown_is_no_permission() {
        let lab = Permissions { rooms: Some(["lab".to_owned()].into()), publish: true, ..Permissions::default() };
        let json = r#"{"rooms":["lab"],"publish":true,"subscribe":false,"command":false,"admin":false}"#;
        assert_eq!(lab.to_json(), json);
        assert_eq!(Permissions::from_json(json), Some(lab));
        assert_eq!(Permissions::from_json("{}"), Some(Permissions::default()));
        for bad in ["", "7", r#"{"publish":1}"#, r#"{"publish":true,"only_at_night":true}"#] {
            assert_eq!(Permissions::from_json(bad), None, "{bad}");
        }
    }

    #[test]
    fn each_right_is_of_its_own_and_admin_is_all_of_them() {
        let rights = [Right::Read, Right::Publish, Right::Command, Right::Admin];
        let allowed = |permissions: Permissions| rights.map(|right| permissions.allow(right));
        let none = Permissions::default;
        assert_eq!(allowed(none()), [false; 4]);
        assert_eq!(allowed(Permissions { subscribe: true, ..none() }), [true, false, false, false]);
        assert_eq!(allowed(Permissions { publish: true, ..none() }), [false, true, false, false]);
        assert_eq!(allowed(Permissions { command: true, ..none() }), [false, false, true, false]);
        assert_eq!(allowed(Permissions { admin: true, ..none() }), [true; 4]);
    }
}
