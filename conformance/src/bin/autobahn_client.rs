//! Takes our client through the cases of an Autobahn fuzzing server:
//! `autobahn-client ws://127.0.0.1:9001 [--agent NAME] [--window BITS]`.
//!
//! Each case is one connection on which everything is echoed. What the server thinks of it stands in its reports; this
//! program fails only if a case could not be run to its end.

// A terminal program: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use tautline::deflate::{Offer, Sender, WindowBits};
use tautline::{CloseCode, Connect, connect};
use tokio::time::timeout;

/// How long one case may take. The slowest send some megabytes in tiny pieces through Python.
const CASE: Duration = Duration::from_secs(100);
/// How long writing the reports may take.
const REPORTS: Duration = Duration::from_secs(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some((server, agent, window)) = arguments(env::args().skip(1)) else {
        eprintln!("usage: autobahn-client ws://HOST:PORT [--agent NAME] [--window BITS]");
        return ExitCode::from(2);
    };
    match run(&server, &agent, window).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The server's URI, without a slash at the end, the agent, and the window in which messages are compressed.
fn arguments(mut args: impl Iterator<Item = String>) -> Option<(String, String, WindowBits)> {
    let (mut server, mut agent, mut window) = (None, "tautline".to_owned(), WindowBits::MAX);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--agent" => agent = args.next().filter(|name| name.bytes().all(is_plain))?,
            "--window" => window = args.next()?.parse().ok().and_then(WindowBits::new)?,
            uri if server.is_none() && !uri.starts_with('-') => server = Some(uri.trim_end_matches('/').to_owned()),
            _ => return None,
        }
    }
    Some((server?, agent, window))
}

/// Whether a byte need not be encoded in a query.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

async fn run(server: &str, agent: &str, window: WindowBits) -> Result<(), String> {
    let count = case_count(connect(format!("{server}/getCaseCount"))).await?;
    let sender = Sender { window, takeover: true };
    let offer = Offer { server: sender, client: sender };
    let mut failed = 0;
    for case in 1..=count {
        let uri = format!("{server}/runCase?case={case}&agent={agent}");
        if let Err(problem) =
            timeout(CASE, echo(connect(uri).deflate(offer))).await.unwrap_or(Err(format!("not done in {CASE:?}")))
        {
            eprintln!("case {case} of {count}: {problem}");
            failed += 1;
        }
    }
    let reports = finish(connect(format!("{server}/updateReports?agent={agent}")));
    timeout(REPORTS, reports).await.map_err(|_| format!("no reports in {REPORTS:?}"))??;
    println!("{count} cases, {failed} of them not run to the end");
    if failed == 0 { Ok(()) } else { Err(format!("{failed} cases were not run to the end")) }
}

async fn case_count(opening: Connect) -> Result<u32, String> {
    let asking = async {
        let mut ws = opening.await.map_err(|error| error.to_string())?;
        let answer = ws.recv().await;
        ws.close(CloseCode::NORMAL, "").await;
        let count = answer.as_ref().and_then(|message| message.as_text()?.parse().ok());
        count.ok_or_else(|| format!("not a number of cases: {answer:?}"))
    };
    timeout(CASE, asking).await.unwrap_or(Err(format!("no number of cases in {CASE:?}")))
}

async fn echo(opening: Connect) -> Result<(), String> {
    let mut ws = opening.await.map_err(|error| error.to_string())?;
    while let Some(message) = ws.recv().await {
        // Where the case ends the connection meanwhile, that shows in `recv`.
        let _ = ws.send(message).await;
    }
    Ok(())
}

async fn finish(opening: Connect) -> Result<(), String> {
    let mut ws = opening.await.map_err(|error| error.to_string())?;
    while ws.recv().await.is_some() {}
    Ok(())
}
