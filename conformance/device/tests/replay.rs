//! The recorded session gives the events that were written down. The emulated boards are held to the same file.

use tautline_device_trials::replay::{NotARecording, replay};

fn told(recording: &str) -> Result<String, NotARecording> {
    let mut told = String::new();
    replay(recording, &mut |line| told.push_str(&format!("{line}\n"))).map(|()| told)
}

#[test]
fn a_recorded_session_gives_the_events_that_were_written_down() {
    let events = include_str!("../recordings/session.events.txt");
    assert_eq!(told(include_str!("../recordings/session.txt")).as_deref(), Ok(events));
}

#[test]
fn a_line_that_cannot_be_replayed_is_named() {
    for line in ["", "connect", "x connect", "1 dance", "1 receive 8", "1 receive zz", "1 connect"] {
        assert_eq!(told(&format!("# for people\n0 connect\n{line}\n")), Err(NotARecording { line: 3 }), "{line:?}");
    }
}
