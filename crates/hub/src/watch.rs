//! What apps tell about their clients, to those who watch the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tautline_proto::app::Vitals;
use tautline_proto::{CloseCode, Ended};

use crate::events::Events;

/// What an app tells. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    pub(crate) events: Events,
    ends: Arc<Ends>,
}

/// How many clients have left, by cause.
#[derive(Debug, Default)]
struct Ends([AtomicU64; CAUSES.len()]);

/// The causes, as metrics name them.
const CAUSES: [&str; 8] =
    ["closed_by_client", "closed_by_hub", "too_slow", "replaced", "silent", "stuck", "violation", "cut_off"];

impl Watch {
    /// A client has left. Answers why, in plain words.
    pub(crate) fn left(&self, ended: Ended, vitals: Option<Vitals>) -> String {
        self.ends.0[cause(ended)].fetch_add(1, Ordering::Relaxed);
        reason(ended, vitals)
    }

    /// How many clients have left, by cause.
    pub(crate) fn ends(&self) -> [(&'static str, u64); CAUSES.len()] {
        std::array::from_fn(|index| (CAUSES[index], self.ends.0[index].load(Ordering::Relaxed)))
    }
}

/// Its place among the causes.
fn cause(ended: Ended) -> usize {
    match ended {
        Ended::ClosedByPeer { .. } => 0,
        Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, .. } => 2,
        Ended::ClosedByUs { code: CloseCode::REPLACED, .. } => 3,
        Ended::ClosedByUs { .. } => 1,
        Ended::PeerSilent => 4,
        Ended::SendStuck => 5,
        Ended::Violation(_) => 6,
        // And whatever else there may be one day.
        _ => 7,
    }
}

/// Why a connection ended, in plain words.
pub(crate) fn reason(ended: Ended, vitals: Option<Vitals>) -> String {
    let why = words(ended);
    // Where nobody has said that it ends, it helps to know how it was before.
    match vitals {
        Some(Vitals { silence, queued, .. }) if tells_nothing(ended) => {
            let heard = format!("{why}; last heard {}", ago(silence));
            if queued == 0 { heard } else { format!("{heard}; {} were queued", size(queued)) }
        }
        _ => why,
    }
}

/// Whether the client has left without a word.
fn tells_nothing(ended: Ended) -> bool {
    matches!(
        ended,
        Ended::PeerSilent
            | Ended::SendStuck
            | Ended::TransportFailed
            | Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, .. }
    )
}

fn ago(time: Duration) -> String {
    match time.as_secs() {
        0 => "less than a second ago".to_owned(),
        seconds @ 1..=599 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    }
}

fn size(bytes: usize) -> String {
    if bytes < 10 * 1024 { format!("{bytes} bytes") } else { format!("{} KiB", bytes / 1024) }
}

fn words(ended: Ended) -> String {
    let incomplete = |clean: bool, words| if clean { "" } else { words };
    match ended {
        Ended::ClosedByPeer { code, clean } => {
            let how = match code {
                CloseCode::NORMAL | CloseCode::NO_STATUS => "the client closed the connection".to_owned(),
                CloseCode::GOING_AWAY => "the client went away (1001: a page was left, or a program ended)".to_owned(),
                code => format!("the client closed the connection with {code}"),
            };
            how + incomplete(clean, ", and was gone before it had our answer")
        }
        Ended::ClosedByUs { code, clean } => {
            let how = match code {
                CloseCode::NORMAL => "the hub closed the connection".to_owned(),
                CloseCode::GOING_AWAY | CloseCode::SERVICE_RESTART => "the hub shut down".to_owned(),
                CloseCode::TRY_AGAIN_LATER => "the client was too slow for what was sent to it (1013)".to_owned(),
                CloseCode::REPLACED => "another connection took over its id (4001)".to_owned(),
                code => format!("the hub closed the connection with {code}"),
            };
            how + incomplete(clean, ", and the client did not answer that")
        }
        Ended::PeerSilent => "no pong in time: the client, or the way to it, is gone".to_owned(),
        Ended::SendStuck => {
            "nothing could be sent for too long: the client takes nothing, or the way to it is gone".to_owned()
        }
        Ended::Violation(violation) => format!("the client broke the protocol: {violation}"),
        Ended::TransportClosed => "the client ended the connection without a close frame".to_owned(),
        Ended::TransportFailed => "the connection was cut off".to_owned(),
        // There may be more one day.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain_and_counted_by_cause() {
        let watch = Watch::default();
        for (ended, words, cause) in [
            (Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }, "the client closed", "closed_by_client"),
            (
                Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: false },
                "before it had our answer",
                "closed_by_client",
            ),
            (Ended::ClosedByUs { code: CloseCode::GOING_AWAY, clean: true }, "the hub shut down", "closed_by_hub"),
            (Ended::ClosedByUs { code: CloseCode::TRY_AGAIN_LATER, clean: false }, "too slow", "too_slow"),
            (Ended::ClosedByUs { code: CloseCode::REPLACED, clean: true }, "took over", "replaced"),
            (Ended::PeerSilent, "no pong", "silent"),
            (Ended::SendStuck, "nothing could be sent", "stuck"),
            (Ended::TransportClosed, "without a close frame", "cut_off"),
            (Ended::TransportFailed, "cut off", "cut_off"),
        ] {
            let before = watch.ends();
            let reason = watch.left(ended, None);
            assert!(reason.contains(words), "{ended:?}: {reason}");
            let counted = watch.ends().into_iter().zip(before).find(|(after, before)| after != before);
            assert_eq!(counted.map(|((name, _), _)| name), Some(cause), "{ended:?}");
        }
    }

    #[test]
    fn who_left_without_a_word_is_described() {
        let vitals = Vitals { silence: Duration::from_secs(31), queued: 12 * 1024, ..Vitals::default() };
        let silent = reason(Ended::PeerSilent, Some(vitals));
        assert!(
            silent.starts_with("no pong in time") && silent.ends_with("; last heard 31 s ago; 12 KiB were queued"),
            "{silent}"
        );
        let idle = reason(Ended::SendStuck, Some(Vitals { silence: Duration::from_secs(700), ..Vitals::default() }));
        assert!(idle.ends_with("; last heard 11 min ago"), "{idle}");
        let closed = reason(Ended::ClosedByPeer { code: CloseCode::NORMAL, clean: true }, Some(vitals));
        assert_eq!(closed, "the client closed the connection");
    }
}
