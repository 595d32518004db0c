//! Programs that take a command a line, in JSON, and answer each with a line.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::excerpt;
use super::{DEADLINE, Process};

/// A program that does what it is told: see "JSON lines" in `tests/peers/README.md`.
#[derive(Debug)]
pub struct Driver {
    process: Process,
}

impl Driver {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn start(command: Command) -> Self {
        Self { process: Process::spawn(command) }
    }

    /// Has it ended gently: see [`Process::gently`].
    pub fn gently(mut self) -> Self {
        self.process = self.process.gently();
        self
    }

    /// The answer to a command, also if that is an error. The command's own key comes first, then `more`.
    ///
    /// # Panics
    ///
    /// If no answer comes within this time.
    pub async fn ask_within(&mut self, time: Duration, command: &str, value: Value, more: &[(&str, Value)]) -> Value {
        // Built by hand: a map would sort its keys.
        let members = std::iter::once((command, &value)).chain(more.iter().map(|(key, value)| (*key, value)));
        let members: Vec<String> = members.map(|(key, value)| format!("{}:{value}", Value::from(key))).collect();
        let line = format!("{{{}}}", members.join(","));
        self.process.write_line(&line).await;
        let answer = self.process.line_within(time).await;
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| self.process.fail(&format!("{error} in the answer to {}", excerpt(&line))))
    }

    /// As [`ask_within`](Self::ask_within), within [`DEADLINE`].
    ///
    /// # Panics
    ///
    /// If no answer comes.
    pub async fn ask(&mut self, command: &str, value: Value, more: &[(&str, Value)]) -> Value {
        self.ask_within(DEADLINE, command, value, more).await
    }

    /// The answer to a command that has to succeed.
    ///
    /// # Panics
    ///
    /// If the answer is an error, or does not come.
    pub async fn tell(&mut self, command: &str, value: Value, more: &[(&str, Value)]) -> Value {
        let asked = excerpt(&value.to_string());
        let answer = self.ask(command, value, more).await;
        if answer.get("error").is_some() {
            self.process.fail(&format!("{command} {asked}: {}", excerpt(&answer.to_string())));
        }
        answer
    }

    /// Tells it to end, by the end of its input, and waits for that.
    ///
    /// # Panics
    ///
    /// If it does not end, or fails.
    pub async fn finish(self) {
        self.process.success_within(2 * DEADLINE).await;
    }

    /// Panics because of this program.
    pub fn fail(&self, problem: &str) -> ! {
        self.process.fail(problem)
    }
}

/// Bytes in hexadecimal, as they stand in JSON.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The bytes that hexadecimal text stands for, if it does.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8));
    if rest.is_empty() { bytes.collect() } else { None }
}
