//! Prints what the client makes of a recording: `replay FILE`.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout)]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).ok_or("usage: replay FILE")?;
    let recording = std::fs::read_to_string(file)?;
    tautline_device_trials::replay::replay(&recording, &mut |line| println!("{line}"))?;
    Ok(())
}
