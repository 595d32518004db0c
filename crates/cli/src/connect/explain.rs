//! What the end of a connection means, in words.

use tautline::{CloseCode, ConnectError, Ended, Next};

use crate::output::harmless;

/// What the library's errors call the options of this command.
const OPTIONS: [(&str, &str); 10] = [
    ("`address`", "--address"),
    ("`basic_auth`", "user:password@ in the URI"),
    ("`bearer`", "-H 'Authorization: Bearer TOKEN'"),
    ("`ca`", "--ca"),
    ("`client_certificate`", "--cert and --key"),
    ("`dangerous_no_verify`", "--insecure"),
    ("`header`", "--header"),
    ("`open_timeout`", "--open-timeout"),
    ("`origin`", "--origin"),
    ("`subprotocol`", "--subprotocol"),
];

/// Why there is no connection, and what to do.
pub(super) fn refused(error: &ConnectError) -> String {
    let text = harmless(&error.to_string()).replace('\n', " ");
    OPTIONS.iter().fold(text, |text, (method, option)| text.replace(method, option))
}

/// How a connection ended, what that means, and what a client should do next.
pub(super) fn ended(ended: Ended, reason: &str) -> String {
    let mut text = match ended {
        Ended::ClosedByPeer { code, .. } => format!("the server closed with {code}: {}", meaning(code)),
        Ended::ClosedByUs { code, clean: true } => return format!("closed with {code}"),
        Ended::ClosedByUs { code, clean: false } => {
            format!("closed with {code}, but the server did not answer in time")
        }
        Ended::PeerSilent => "the server did not answer a ping: it or the network is gone".to_owned(),
        Ended::SendStuck => "nothing could be sent any more: the server or the network is stuck".to_owned(),
        Ended::Violation(violation) => {
            format!("the server broke the protocol, so we closed with {}: {violation}", violation.close_code())
        }
        Ended::TransportClosed => "the server ended the connection without a word (1006)".to_owned(),
        _ => "the connection was lost (1006)".to_owned(),
    };
    if !reason.is_empty() {
        text += &format!("\nIts reason: {}", harmless(reason));
    }
    text + "\n" + next(ended)
}

/// What the peer says with a code.
fn meaning(code: CloseCode) -> &'static str {
    match code.as_u16() {
        1000 => "all is done",
        1001 => "it is shutting down, or a page was left",
        1002 => "it says that we broke the protocol",
        1003 => "it does not take this type of message (text or binary)",
        1005 => "it gave no code",
        1007 => "it got text that is not UTF-8",
        1008 => "it does not want this client, or this message",
        1009 => "a message was larger than it takes",
        1010 => "it needs an extension that was not agreed on",
        1011 => "something went wrong inside of it",
        1012 => "it is restarting",
        1013 => "it is overloaded, or we took its messages too slowly",
        1014 => "a gateway got no good answer from the server behind it",
        4001 => "another connection with this client id took over",
        3000..=3999 => "the meaning is that of a framework or library",
        _ => "the meaning is the server's own",
    }
}

fn next(ended: Ended) -> &'static str {
    match Next::after_close(ended.close_code()) {
        Next::Stop => match ended.close_code() {
            CloseCode::NORMAL => "A client stops here.",
            CloseCode::REPLACED => "A client stops here: connecting again would throw the other one out.",
            _ => "A client stops here: connecting again as it is would end the same way.",
        },
        Next::BackOff => "A client connects again after a random, growing delay.",
        Next::RetryAfter => "A client connects again after the time that the server named.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_peer(code: CloseCode) -> Ended {
        Ended::ClosedByPeer { code, clean: true }
    }

    #[tokio::test]
    async fn the_remedy_names_the_options_of_the_command() {
        let error = tautline::connect("ws://h").header("bad name", "x").await.unwrap_err();
        let text = refused(&error);
        assert!(text.starts_with("invalid argument of --header: "), "{text}");
    }

    #[test]
    fn codes_are_explained_with_what_to_do_next() {
        let text = ended(by_peer(CloseCode::SERVICE_RESTART), "new version");
        assert_eq!(
            text,
            "the server closed with 1012 (service restart): it is restarting\nIts reason: new version\n\
             A client connects again after a random, growing delay."
        );
        assert!(ended(by_peer(CloseCode::NORMAL), "").ends_with("A client stops here."));
        assert!(ended(by_peer(CloseCode::TOO_BIG), "").contains("larger than it takes"));
        assert!(ended(Ended::TransportClosed, "").contains("connects again"));
        assert_eq!(
            ended(Ended::ClosedByUs { code: CloseCode::NORMAL, clean: true }, ""),
            "closed with 1000 (normal closure)"
        );
    }

    #[test]
    fn a_reason_cannot_steer_the_terminal() {
        assert!(!ended(by_peer(CloseCode::NORMAL), "\u{1b}[2J").contains('\u{1b}'));
    }
}
