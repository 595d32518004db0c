//! A load generator for WebSocket servers. One thread, epoll, hand-made masked frames and no WebSocket library, so that it
//! favours none; every byte of every reply is checked. Each mode prints one JSON object.

mod args;
mod certificates;
mod echo;
mod failure;
mod fanout;
mod frame;
mod handshake;
mod histogram;
mod idle;
mod net;
mod opening;
mod proc;
mod report;
mod tls;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use args::{Args, Mode};

fn main() -> ExitCode {
    let args = Args::parse();
    let ran = match &args.mode {
        Mode::Echo(options) => {
            end_after(options.target.limit);
            echo::run(options)
        }
        Mode::Fanout(options) => {
            end_after(options.target.limit);
            fanout::run(options)
        }
        Mode::Idle(options) => {
            end_after(options.target.limit);
            idle::run(options)
        }
        Mode::Handshake(options) => {
            end_after(options.target.limit);
            handshake::run(options)
        }
        Mode::Certificates { dir } => certificates::write(dir).map(|()| serde_json::json!({ "mode": "certificates" })),
    };
    match ran {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever happens, and wherever it hangs, the run ends after this many seconds.
fn end_after(seconds: f64) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs_f64(seconds));
        eprintln!("error: not done after {seconds} s");
        std::process::exit(3);
    });
}
