//! The file: which of the keys stand in it, and where.

use std::fs::File as Opened;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::define::Key;
use super::keys::{Room, SECTIONS};
use super::raw::{Raw, short};

/// The section whose sections are rooms.
pub(super) const NAMED: &str = "rooms.named";

/// How large a file can be, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The longest name of a room, in bytes, as the hub has it.
const LONGEST_NAME: usize = 128;

/// What stands in a file.
#[derive(Debug)]
pub(crate) struct File {
    /// How the file is called in messages.
    pub(crate) name: String,
    /// The rooms that have sections of their own, in the order of the file.
    pub(crate) rooms: Vec<String>,
    entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whose it is, if it is in the section of a room.
    room: Option<String>,
    section: &'static str,
    key: &'static str,
    /// Its value.
    pub(crate) raw: Raw,
    /// Its line, from 1.
    pub(crate) line: usize,
}

impl File {
    /// Reads a file. What is wrong with it is added to `problems`.
    pub(crate) fn read(path: &Path, problems: &mut Vec<String>) -> Option<Self> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let read = Opened::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        match (read, String::from_utf8(bytes)) {
            (Err(error), _) => problems.push(format!("cannot read {name}: {error}")),
            (Ok(length), _) if length as u64 > LARGEST => {
                problems.push(format!("{name} is no configuration: it has more than 1 MiB"));
            }
            (Ok(_), Err(_)) => problems.push(format!("{name} is no configuration: it is not UTF-8")),
            (Ok(_), Ok(text)) => return Self::parse(name, &text, problems),
        }
        None
    }

    /// Takes a file's text apart. What is wrong with it is added to `problems`.
    pub(crate) fn parse(name: String, text: &str, problems: &mut Vec<String>) -> Option<Self> {
        match DeTable::parse(text) {
            Ok(table) => {
                let mut file = Self { name, rooms: Vec::new(), entries: Vec::new() };
                Walk { file: &mut file, text, problems }.section("", table.get_ref());
                Some(file)
            }
            Err(error) => {
                let line = error.span().map_or(1, |span| line(text, span.start));
                problems.push(format!("{name}:{line}: {}", error.message().replace('\n', ", ")));
                None
            }
        }
    }

    /// A key in the section of a room, or in its own.
    pub(crate) fn find(&self, room: Option<&str>, key: &Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.room.as_deref() == room && key.is(entry.section, entry.key))
    }
}

/// A way through the sections of a file.
struct Walk<'a> {
    file: &'a mut File,
    text: &'a str,
    problems: &'a mut Vec<String>,
}

impl Walk<'_> {
    fn section(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let (at, name) = (key.span().start, &**key.get_ref());
            let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match value.get_ref() {
                DeValue::Table(table) if path == NAMED => self.room(at, name, table),
                DeValue::Table(table) if inner == NAMED || SECTIONS.iter().any(|known| known.path == inner) => {
                    self.section(&inner, table);
                }
                DeValue::Table(_) => self.unknown_section(at, &inner),
                value => self.key(at, None, path, name, value),
            }
        }
    }

    fn room(&mut self, at: usize, name: &str, table: &DeTable<'_>) {
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            self.problem(at, format!("a room's name has 1 to {LONGEST_NAME} bytes and no control characters"));
        }
        self.file.rooms.push(name.to_owned());
        for (key, value) in table {
            self.key(key.span().start, Some(name), Room::SECTION.path, key.get_ref(), value.get_ref());
        }
    }

    fn key(&mut self, at: usize, room: Option<&str>, section: &str, name: &str, value: &DeValue<'_>) {
        let keys = SECTIONS.iter().find(|known| known.path == section).map_or(&[][..], |known| known.keys);
        match keys.iter().find(|key| key.name == name) {
            Some(key) => {
                let line = line(self.text, at);
                let (room, raw) = (room.map(str::to_owned), Raw::of(value));
                self.file.entries.push(Entry { room, section: key.section, key: key.name, raw, line });
            }
            None => {
                let advice = advice(name, keys);
                self.problem(at, format!("there is no key `{}` here: {advice}", short(name)));
            }
        }
    }

    fn unknown_section(&mut self, at: usize, path: &str) {
        let known = SECTIONS.iter().map(|section| section.path).chain([NAMED]);
        let advice = match nearest(path, known.clone()) {
            Some(near) => format!("[{near}] is meant?"),
            None => format!("there are {}", known.map(|path| format!("[{path}]")).collect::<Vec<_>>().join(", ")),
        };
        self.problem(at, format!("there is no section [{}]: {advice}", short(path)));
    }

    fn problem(&mut self, at: usize, problem: String) {
        let line = line(self.text, at);
        self.problems.push(format!("{}:{line}: {problem}", self.file.name));
    }
}

/// What whoever wrote an unknown key could have meant.
fn advice(name: &str, keys: &[Key]) -> String {
    if let Some(near) = nearest(name, keys.iter().map(|key| key.name)) {
        return format!("`{near}` is meant?");
    }
    let everywhere = || SECTIONS.iter().flat_map(|section| section.keys);
    let elsewhere: Vec<_> =
        everywhere().filter(|key| key.name == name).map(|key| format!("[{}]", key.section)).collect();
    if !elsewhere.is_empty() {
        return format!("it belongs in {}", elsewhere.join(" or "));
    }
    match nearest(name, everywhere().map(|key| key.name)) {
        Some(near) => advice(near, &[]).replace("it belongs", &format!("`{near}` is meant? That belongs")),
        None => "`tautline config` shows all there are".into(),
    }
}

/// The name that is the most like another, if one is like it at all.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + name.len().min(12) / 4;
    let like = known.map(|known| (strsim::osa_distance(name, known), known)).filter(|(distance, _)| *distance <= far);
    like.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// The line of a place in a text, from 1.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        File::parse("t.toml".into(), text, &mut problems);
        problems
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_one() {
        for (text, problem) in [
            (
                "[websocket]\n\npnig_interval = 1",
                "t.toml:3: there is no key `pnig_interval` here: `ping_interval` is meant?",
            ),
            ("[listen]\ndurable = true", "t.toml:2: there is no key `durable` here: it belongs in [rooms.default]"),
            ("hots = 1", "t.toml:1: there is no key `hots` here: `host` is meant? That belongs in [listen]"),
            (
                "[rooms.named.a]\nhistory = 1\n[log]\nxyzzy = 1",
                "t.toml:4: there is no key `xyzzy` here: `tautline config` shows all there are",
            ),
            ("[websockt]\n", "t.toml:1: there is no section [websockt]: [websocket] is meant?"),
            ("[log.deep]", "t.toml:1: there is no section [log.deep]: there are [listen], [tls]"),
            ("listen = 3", "t.toml:1: there is no key `listen` here: "),
        ] {
            let found = problems(text);
            assert!(found.iter().any(|found| found.starts_with(problem)), "{found:?}");
        }
    }

    #[test]
    fn bad_syntax_names_its_line() {
        for (text, line) in [("[listen]\nport = \n", 2), ("\n\n[x", 3), ("[log]\nlevel = \"a\"\nlevel = \"b\"", 3)] {
            let found = problems(text);
            assert!(found.len() == 1 && found[0].starts_with(&format!("t.toml:{line}: ")), "{found:?}");
            assert!(!found[0].contains('\n'));
        }
    }

    #[test]
    fn rooms_have_names_that_a_client_can_ask_for() {
        assert_eq!(problems("[rooms.named.\"plant 7\"]\n"), [""; 0]);
        for name in ["\"\"", "\"a\\u0007\"", &"n".repeat(129)] {
            let found = problems(&format!("\n[rooms.named.{name}]"));
            assert!(found.len() == 1 && found[0].starts_with("t.toml:2: a room's name"), "{found:?}");
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        let whole =
            "[listen]\nhost = \"ñ\"\nport = 0x1F\n[rooms.named.\"a.b\"]\ndurable = true\n[[log]]\nlevel=[1,{a=2}]";
        for cut in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            problems(&whole[..cut]);
            problems(&whole[cut..]);
        }
        assert!(!problems(whole).is_empty());
    }
}
