//! Types of values that the hub's parts have.

use std::fmt;
use std::path::PathBuf;

use tautline::Origins;
use tautline::deflate::Backend;
use tautline_hub::{AppName, Keyless};
use tautline_identity::ClientAuth;
use tautline_rooms::{Compression, Duplicates, SlowConsumer};

use super::define::Key;
use super::raw::{Raw, quoted};
use super::setting::{Choice, Setting};

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In files in this directory.
    Directory(PathBuf),
    /// In memory only.
    Memory,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, else as JSON.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encrypted {
    /// No.
    Off,
    /// If there are certificates, by those who want to.
    Optional,
    /// By everybody.
    Required,
}

/// Text that is not to be shown anywhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Names with commas between them, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("human", Self::Human), ("json", Self::Json)];
}

impl Choice for ClientAuth {
    const NAMES: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("optional", Self::Optional), ("required", Self::Required)];
    // As Python's `ssl` counts them.
    const ALIASES: &'static [(&'static str, Self)] = &[("0", Self::None), ("1", Self::Optional), ("2", Self::Required)];
}

impl Choice for Duplicates {
    const NAMES: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("takeover", Self::TakeOver)];
}

impl Choice for Encrypted {
    const NAMES: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("optional", Self::Optional), ("required", Self::Required)];
}

impl Choice for Keyless {
    const NAMES: &'static [(&'static str, Self)] =
        &[("loopback", Self::Loopback), ("everywhere", Self::Everywhere), ("nowhere", Self::Nowhere)];
}

impl Choice for Compression {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("no-context-takeover", Self::NoContextTakeover),
        ("context-takeover", Self::ContextTakeover),
    ];
}

impl Choice for Backend {
    const NAMES: &'static [(&'static str, Self)] = &[("small", Self::Small), ("zlib-rs", Self::ZlibRs)];
}

impl Choice for SlowConsumer {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("disconnect", Self::Disconnect),
        ("drop-oldest", Self::DropOldest),
        ("keep-latest", Self::KeepLatest),
        ("latest-per-key", Self::LatestPerKey),
    ];
}

impl Choice for AppName {
    const NAMES: &'static [(&'static str, Self)] = &{
        let mut names = [("", Self::Relay); Self::ALL.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = (Self::ALL[index].as_str(), Self::ALL[index]);
            index += 1;
        }
        names
    };
}

impl Setting for Place {
    fn form(_: &Key) -> String {
        "a path, or memory".into()
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        String::read(raw, key).map(|text| match &*text {
            "" | "memory" => Self::Memory,
            path => Self::Directory(path.into()),
        })
    }

    fn toml(&self) -> Option<String> {
        match self {
            Self::Directory(path) => path.toml(),
            Self::Memory => Some(quoted("memory")),
        }
    }
}

impl Setting for Origins {
    fn form(_: &Key) -> String {
        "any, same-host, or a list of origins such as https://example.com".into()
    }

    fn read(raw: &Raw, _: &Key) -> Option<Self> {
        let list: Vec<&str> = match raw {
            Raw::Text(text) | Raw::Word(text) => match &**text {
                "any" => return Some(Self::Any),
                "same-host" => return Some(Self::SameHost),
                list => list.split(',').collect(),
            },
            Raw::List(list) => list.iter().map(String::as_str).collect(),
            _ => return None,
        };
        let origin = |origin: &str| match origin.trim() {
            "null" => Some("null".to_owned()),
            origin => origin.contains("://").then(|| origin.trim_end_matches('/').to_owned()),
        };
        list.into_iter().map(origin).collect::<Option<_>>().map(Self::List)
    }

    fn toml(&self) -> Option<String> {
        Some(match self {
            Self::Any => quoted("any"),
            Self::List(origins) => list(origins),
            _ => quoted("same-host"),
        })
    }
}

impl Setting for Secret {
    fn form(key: &Key) -> String {
        String::form(key)
    }

    fn read(raw: &Raw, key: &Key) -> Option<Self> {
        String::read(raw, key).map(Self)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted("..."))
    }
}

impl Setting for Names {
    fn form(_: &Key) -> String {
        "a list of names".into()
    }

    fn read(raw: &Raw, _: &Key) -> Option<Self> {
        let names: Vec<String> = match raw {
            Raw::Text(text) | Raw::Word(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
            Raw::List(list) => list.clone(),
            _ => return None,
        };
        let named = names.iter().all(|name| !name.is_empty());
        named.then_some(Self(names))
    }

    fn toml(&self) -> Option<String> {
        Some(list(&self.0))
    }
}

/// Texts as they stand in a file.
fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key::new("", "");

    fn word<T: Setting>(text: &str) -> Option<T> {
        T::read(&Raw::Word(text.into()), &KEY)
    }

    #[test]
    fn origins_are_any_same_host_or_a_list() {
        assert_eq!(word("any"), Some(Origins::Any));
        assert_eq!(word("same-host"), Some(Origins::SameHost));
        let list = Origins::List(vec!["https://a.example".into(), "null".into()]);
        assert_eq!(word("https://a.example/, null"), Some(list.clone()));
        assert_eq!(Origins::read(&Raw::List(vec!["https://a.example".into(), "null".into()]), &KEY), Some(list));
        assert_eq!(word::<Origins>("a.example"), None);
    }

    #[test]
    fn client_authentication_has_names_and_numbers() {
        assert_eq!(word("2"), Some(ClientAuth::Required));
        assert_eq!(ClientAuth::read(&Raw::Whole(1), &KEY), Some(ClientAuth::Optional));
        assert_eq!(word::<ClientAuth>("3"), None);
        assert_eq!(ClientAuth::form(&KEY), "none, optional or required (or 0, 1 or 2)");
    }

    #[test]
    fn a_store_without_a_path_is_in_memory() {
        for text in ["", "memory"] {
            assert_eq!(word(text), Some(Place::Memory));
        }
        assert_eq!(word("./memory"), Some(Place::Directory("./memory".into())));
    }

    #[test]
    fn names_are_a_list_or_have_commas() {
        let names = Names(vec!["ESP Client 1".into(), "b".into()]);
        assert_eq!(word("ESP Client 1, b"), Some(names.clone()));
        assert_eq!(Names::read(&Raw::List(names.0.clone()), &KEY), Some(names.clone()));
        assert_eq!(names.toml().unwrap(), r#"["ESP Client 1", "b"]"#);
        assert_eq!(word::<Names>("a,,b"), None);
    }
}
