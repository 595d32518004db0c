//! What a line that somebody enters means.

use tautline::CloseCode;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Close(CloseCode, String),
    Help,
}

pub(super) const HELP: &str = "\
TEXT                   send it as a text message (a line that begins with / is written //...)
/binary HEX            send bytes: /binary 48 65 6c 6c 6f
/ping                  ping the server and show how long the answer takes
/close [CODE [REASON]] close the connection, with 1000 if nothing else is given; Ctrl-D does the same
/help                  this text";

impl Command {
    /// Reads a line. `Err` says what is wrong with it.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let Some(command) = line.strip_prefix('/') else { return Ok(Self::Text(line.to_owned())) };
        if command.starts_with('/') {
            return Ok(Self::Text(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "binary" => unhex(rest).map(Self::Binary).ok_or_else(|| "two hex digits are needed for each byte".into()),
            "ping" => Ok(Self::Ping),
            "close" => close(rest),
            "help" | "?" => Ok(Self::Help),
            _ => Err(format!("there is no /{name}; /help tells what there is, and //{name} sends /{name}")),
        }
    }
}

fn close(arguments: &str) -> Result<Command, String> {
    if arguments.is_empty() {
        return Ok(Command::Close(CloseCode::NORMAL, String::new()));
    }
    let (code, reason) = arguments.split_once(char::is_whitespace).unwrap_or((arguments, ""));
    let code = code.parse().ok().and_then(CloseCode::new);
    let code = code.ok_or("a code that may be sent is 1000-1003, 1007-1014 or 3000-4999")?;
    let reason = reason.trim();
    if reason.len() > 123 {
        return Err("a reason has at most 123 bytes".into());
    }
    Ok(Command::Close(code, reason.to_owned()))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text_unless_they_begin_with_a_slash() {
        assert_eq!(Command::parse(" hi "), Ok(Command::Text(" hi ".into())));
        assert_eq!(Command::parse(""), Ok(Command::Text(String::new())));
        assert_eq!(Command::parse("//x"), Ok(Command::Text("/x".into())));
        assert!(Command::parse("/x").is_err());
    }

    #[test]
    fn bytes_are_entered_in_hexadecimal() {
        assert_eq!(Command::parse("/binary 00ff 0A"), Ok(Command::Binary(vec![0, 255, 10])));
        assert_eq!(Command::parse("/binary"), Ok(Command::Binary(vec![])));
        assert!(Command::parse("/binary 0").is_err());
        assert!(Command::parse("/binary zz").is_err());
    }

    #[test]
    fn closing_takes_a_code_and_a_reason() {
        assert_eq!(Command::parse("/close"), Ok(Command::Close(CloseCode::NORMAL, String::new())));
        let code = CloseCode::new(4000).unwrap();
        assert_eq!(Command::parse("/close 4000  over and out"), Ok(Command::Close(code, "over and out".into())));
        assert!(Command::parse("/close 1005").is_err());
        assert!(Command::parse("/close soon").is_err());
        assert!(Command::parse(&format!("/close 1000 {}", "x".repeat(124))).is_err());
    }
}
