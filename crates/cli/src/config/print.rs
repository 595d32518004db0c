//! The configuration for people to read.

use std::fmt::Write;

use super::Config;
use super::define::{Fallback, Key, Section};
use super::file::NAMED;
use super::keys::SECTIONS;
use super::raw::quoted;

/// How wide lines of comments are at the most.
const WIDTH: usize = 100;

/// A file with all keys at their defaults, explained.
pub(crate) fn annotated() -> String {
    let mut out = String::new();
    comment(
        &mut out,
        "The configuration of `tautline serve`, with the defaults. What is taken out is as it stands here. A variable goes \
         before the file, and an option of the command line before both. Paths are seen from the directory in which it is \
         started.",
    );
    for section in &SECTIONS {
        out += "\n";
        comment(&mut out, &section.text());
        out += &format!("[{}]\n", section.path);
        for key in section.keys {
            out += "\n";
            comment(&mut out, &key.text());
            comment(&mut out, &format!("{}: {}.", key.variable, (key.form)(key)));
            match key.fallback {
                Fallback::Value(value) => out += &format!("{} = {value}\n", key.name),
                Fallback::Unset { meaning, example } => {
                    comment(&mut out, &format!("Not set: {meaning}."));
                    out += &format!("#{} = {example}\n", key.name);
                }
            }
        }
    }
    out += "\n# A room with settings of its own; the others are as in [rooms.default].\n";
    out + &format!("#[{NAMED}.\"plant 7\"]\n#durable = true\n#history_messages = 10000\n#history_bytes = \"4 MiB\"\n")
}

/// What counts, and where it comes from.
pub(crate) fn effective(config: &Config) -> String {
    let mut out = String::new();
    let mut last = None;
    for settled in &config.settled {
        let here = (settled.room.as_deref(), settled.key.section);
        if last != Some(here) {
            let begin = if last.is_some() { "\n" } else { "" };
            out += &match settled.room.as_deref() {
                Some(room) => format!("{begin}[{NAMED}.{}]\n", quoted(room)),
                None => format!("{begin}[{}]\n", settled.key.section),
            };
            last = Some(here);
        }
        let Key { name, secret, .. } = settled.key;
        let line = match &settled.toml {
            Some(_) if *secret => format!("# {name} is set, and not shown"),
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name} is not set"),
        };
        out += &format!("{line:<48} # {}\n", settled.origin);
    }
    out
}

/// The tables of the reference.
pub(crate) fn markdown() -> String {
    let mut out = String::new();
    for (index, section) in SECTIONS.iter().enumerate() {
        let begin = if index == 0 { "" } else { "\n" };
        let Section { path, keys, .. } = section;
        out += &format!("{begin}## `[{path}]`\n\n{}\n\n", section.text());
        out += "| key | default | what it can be | variable | option | meaning |\n|---|---|---|---|---|---|\n";
        for key in *keys {
            let default = match key.fallback {
                Fallback::Value(value) => format!("`{value}`"),
                Fallback::Unset { meaning, .. } => format!("not set: {meaning}"),
            };
            let names = |option: super::define::CommandLine| {
                let names = std::iter::once(&option.name).chain(option.aliases);
                names.map(|name| format!("`--{name}`")).collect::<Vec<_>>().join(", ")
            };
            let cells = [
                format!("`{}`", key.name),
                default,
                (key.form)(key),
                format!("`{}`", key.variable),
                key.option.map(names).unwrap_or_default(),
                key.text(),
            ];
            out += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    out
}

/// Adds a comment, in lines that fit.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > WIDTH {
            out.push('\n');
            width = 0;
        }
        let space = if width == 0 { "# " } else { " " };
        // Writing to a string does not fail.
        let _ = write!(out, "{space}{word}");
        width += space.len() + word.len();
    }
    out.push('\n');
}
