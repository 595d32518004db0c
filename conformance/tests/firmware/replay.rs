//! The recorded session gives a board the events that it gives a host.

use std::time::Duration;

use tautline_conformance::peers::{Board, Image};

/// For a run that ends by itself, at once in guest time.
const RUN: Duration = Duration::from_secs(120);

async fn a_recorded_session_gives_the_same_events_as_on_a_host(board: Board) {
    let recording = include_bytes!("../../device/recordings/session.txt");
    // What a program prints is read without blanks at the ends of lines.
    let events = include_str!("../../device/recordings/session.events.txt").lines().map(str::trim_end);
    let nobody = 1;
    let emulator = board.start(Image::Trial, &[("recording", recording)], nobody);
    assert_eq!(emulator.ends_within(RUN).await, events.collect::<Vec<_>>());
}

on! { riscv, Board::RISCV,
    a_recorded_session_gives_the_same_events_as_on_a_host
}

on! { arm, Board::ARM,
    a_recorded_session_gives_the_same_events_as_on_a_host
}
