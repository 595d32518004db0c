//! An emulated board for Autobahn: `autobahn-emulated riscv client AGENT PORT` takes its client through the cases of the fuzzing
//! server at this port of this machine; `autobahn-emulated riscv server` serves, and says where.
//!
//! It fails only if a case could not be run to its end.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use tautline_conformance::peers::{Board, Image};

/// How long all cases may take.
const RUN: Duration = Duration::from_secs(580);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let board = match arguments.first() {
        Some(&"riscv") => Board::RISCV,
        Some(&"arm") => Board::ARM,
        _ => return usage(),
    };
    match arguments[1..] {
        ["client", agent, port] => match port.parse() {
            Ok(port) => client(board, agent, port).await,
            Err(_) => return usage(),
        },
        ["server"] => server(board).await,
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: autobahn-emulated riscv|arm client AGENT PORT, or: autobahn-emulated riscv|arm server");
    ExitCode::from(2)
}

async fn client(board: Board, agent: &str, port: u16) {
    let subject = format!("{agent} {port}");
    let emulator = board.start(Image::Trial, &[("autobahn", subject.as_bytes())], port);
    for line in emulator.ends_within(RUN).await {
        println!("{line}");
    }
}

async fn server(board: Board) {
    let nobody = 1;
    let mut emulator = board.start(Image::Trial, &[], nobody);
    emulator.prints(&format!("clients at {}", board.address())).await;
    println!("listening {}", emulator.port);
    // Until it is ended from outside.
    emulator.ends_within(RUN).await;
}
