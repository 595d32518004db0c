//! Which room, and which client.

use percent_encoding::percent_decode_str;

/// The longest name of a room or client, in bytes after decoding.
const LONGEST: usize = 128;

/// The room of those who name none.
pub(crate) const MAIN: &str = "main";

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) room: String,
    /// Empty if the client has no id of its own.
    pub(crate) client: String,
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadPath {
    /// It is none of the forms there are.
    Form,
    /// A name is not UTF-8, has control characters, or a room has none.
    Name,
    /// A name is too long.
    Long,
}

impl BadPath {
    /// The HTTP status that says so.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Form => 404,
            Self::Name => 400,
            Self::Long => 414,
        }
    }
}

impl Place {
    /// `/rooms/{room}/{client_id}`, `/rooms/{room}`, `/{client_id}` or `/`.
    pub(crate) fn of(path: &str) -> Result<Self, BadPath> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/');
        match (segments.next(), segments.next(), segments.next(), segments.next()) {
            (Some("rooms"), Some(room), client, None) => {
                let room = name(room)?;
                let client = client_name(client.unwrap_or_default())?;
                if room.is_empty() { Err(BadPath::Name) } else { Ok(Self { room, client }) }
            }
            (Some("rooms"), ..) => Err(BadPath::Form),
            (Some(client), None, ..) => Ok(Self { room: MAIN.into(), client: client_name(client)? }),
            _ => Err(BadPath::Form),
        }
    }

    /// The last segment of any path, as client id.
    pub(crate) fn of_last_segment(path: &str) -> Result<Self, BadPath> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let segment = path.rsplit('/').next().unwrap_or_default();
        Ok(Self { room: MAIN.into(), client: client_name(segment)? })
    }
}

/// What those who publish by HTTP are called: no client can be.
pub(crate) const API: &str = "api";

fn client_name(segment: &str) -> Result<String, BadPath> {
    name(segment).and_then(|name| if name == API { Err(BadPath::Form) } else { Ok(name) })
}

/// The name in a segment of a path.
pub(crate) fn name(segment: &str) -> Result<String, BadPath> {
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| BadPath::Name)?;
    if name.len() > LONGEST {
        return Err(BadPath::Long);
    }
    if is_name(&name) { Ok(name.into_owned()) } else { Err(BadPath::Name) }
}

/// Whether this can be a name. Control characters would make a mess of every log and list.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_rooms_and_clients() {
        for (path, room, client) in [
            ("/7", "main", "7"),
            ("/", "main", ""),
            ("", "main", ""),
            ("/a/", "main", "a"),
            ("/a%20b", "main", "a b"),
            ("/%C3%B1", "main", "ñ"),
            ("/a%2Fb", "main", "a/b"),
            ("/rooms/lab/7", "lab", "7"),
            ("/rooms/lab/7/", "lab", "7"),
            ("/rooms/lab", "lab", ""),
            ("/rooms/lab/", "lab", ""),
            ("/rooms/l%C3%A1b/x%2Fy", "láb", "x/y"),
        ] {
            assert_eq!(Place::of(path), Ok(Place { room: room.into(), client: client.into() }), "{path}");
        }
        for (path, problem) in [
            ("/a/b", BadPath::Form),
            ("/rooms", BadPath::Form),
            ("/rooms/", BadPath::Form),
            ("/rooms/a/b/c", BadPath::Form),
            ("/%61pi", BadPath::Form),
            ("/rooms/lab/api", BadPath::Form),
            ("/rooms//b", BadPath::Name),
            ("/%ff", BadPath::Name),
            ("/rooms/a%0Ab/c", BadPath::Name),
        ] {
            assert_eq!(Place::of(path), Err(problem), "{path}");
        }
        let long = |bytes| format!("/rooms/{}/x", "x".repeat(bytes));
        assert_eq!(Place::of(&long(LONGEST)).map(|place| place.room.len()), Ok(LONGEST));
        assert_eq!(Place::of(&long(LONGEST + 1)), Err(BadPath::Long));
    }

    #[test]
    fn the_last_segment_alone_is_a_client_of_the_main_room() {
        for (path, client) in [("/7", "7"), ("/ws/7", "7"), ("/a/b/c%20d/", "c d"), ("/", "")] {
            assert_eq!(Place::of_last_segment(path), Ok(Place { room: MAIN.into(), client: client.into() }), "{path}");
        }
        assert_eq!(Place::of_last_segment("/ws/%ff"), Err(BadPath::Name));
    }
}
