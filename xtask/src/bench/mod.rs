//! `cargo xtask bench`: measures the peers of bench/peers with the load generator of bench/loadgen, and writes
//! bench/RESULTS.md and its plots. `catalogue.rs` and `peers.rs` are the tables to read first.

mod alone;
mod build;
mod catalogue;
mod goals;
mod machine;
mod measure;
mod peers;
mod plots;
mod report;
mod run;
mod runs;
mod stats;
mod versions;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use self::{
    alone::Alone,
    build::{Builder, Launch},
    catalogue::Test,
    machine::Cores,
    peers::{FASTEST, Peer},
    run::Bench,
    runs::{Run, Runs, Session},
};
use crate::{
    outcome::Stop,
    process::{self, Log},
    workspace::Workspace,
};

/// What `cargo xtask bench` was asked to do.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One short round of the most important peers, for a first impression; the results go to bench/target/quick
    #[arg(long)]
    quick: bool,
    /// Run only these tests, in the table's order
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Run only these peers, and those that others are compared with
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    peers: Vec<String>,
    /// How often every peer is run in every test; default 3
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// List the tests and peers, and run nothing
    #[arg(long)]
    list: bool,
    /// Write the results and plots again from the runs that were recorded, and run nothing
    #[arg(long)]
    report: bool,
}

/// `cargo xtask bench`.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Stop> {
    if options.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    // They are about no peers, so whoever names some does not mean them.
    let is_alone = |name: &String| alone::ALL.iter().any(|alone| alone.name == name);
    let (own, others): (Vec<_>, Vec<_>) = options.only.iter().cloned().partition(is_alone);
    let everything = options.only.is_empty() && options.peers.is_empty();
    let chosen = |alone: &&Alone| !options.report && (everything || own.iter().any(|name| name == alone.name));
    let tests = choose(catalogue::ALL, &others, "test", |test| test.name)?;
    let peers = choose_peers(options)?;
    process::catch_interrupts()?;
    let workspace = Workspace::find()?;
    let bench_dir = workspace.root.join("bench");
    let out = if options.quick { bench_dir.join("target/quick") } else { bench_dir };
    for alone in alone::ALL.iter().filter(chosen) {
        println!("{}", alone.run(&workspace, options, &out)?.display());
    }
    if !own.is_empty() && others.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let recorded = out.join("results/runs.jsonl");
    if !options.report {
        let measured = measure(&workspace, options, &tests, &peers, &recorded);
        if !matches!(measured, Ok(()) | Err(Stop::Interrupted)) {
            measured?;
        }
        if process::interrupted() {
            let quick = if options.quick { " --quick" } else { "" };
            println!("\ninterrupted; `cargo xtask bench{quick} --report` writes the results of what was run so far");
            return Ok(ExitCode::from(130));
        }
    }
    let runs = Runs::read(&recorded)?;
    let written = report::write(&runs, &out)?;
    println!("\n{}\n{}", goals::table(&runs), written.display());
    Ok(ExitCode::SUCCESS)
}

fn measure(
    workspace: &Workspace,
    options: &Options,
    tests: &[&'static Test],
    peers: &[&'static Peer],
    recorded: &Path,
) -> Result<(), Stop> {
    let cores = Cores::choose()?;
    let mut builder = Builder::new(workspace)?;
    let load_generator = builder.load_generator()?;
    let certificates = builder.target.join("certificates");
    run::make_certificates(&load_generator, &certificates, &Log::create(workspace.log("bench-certificates"))?)?;
    let contestants = build_peers(&mut builder, peers)?;
    let session = Session {
        id: utc_now(),
        command: command_line(),
        machine: machine::description(),
        versions: versions::of(workspace, contestants.iter().map(|(peer, _)| *peer)),
    };
    let mut bench = Bench {
        load_generator,
        cores,
        certificates,
        logs: workspace.state().join("logs"),
        session: session.id.clone(),
        quick: options.quick,
        file_limit: machine::raise_file_limit(),
        rate: None,
    };
    runs::append_session(recorded, &session)?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let mut progress = Progress::new(tests, &contestants, rounds);
    for test in tests {
        if test.load.contains("{rate}") {
            bench.rate = half_of_the_fastest(&bench, &contestants)?;
            if bench.rate.is_none() {
                println!("{} needs {FASTEST}, whose capacity decides the load: left out", test.name);
                continue;
            }
        }
        // A B C A B C: what changes with time changes for all of them.
        for round in 0..rounds {
            for (peer, launch) in contestants.iter().filter(|(peer, _)| (test.takes)(peer)) {
                for case in test.cases {
                    let run = bench.run(test, case, peer, launch, round)?;
                    runs::append_run(recorded, &run)?;
                    progress.print(test, &run);
                }
            }
        }
    }
    Ok(())
}

/// What can be built, and how to start it. A peer that cannot is named and left out.
fn build_peers(builder: &mut Builder<'_>, peers: &[&'static Peer]) -> Result<Vec<(&'static Peer, Launch)>, Stop> {
    builder.build_together(peers)?;
    let mut contestants = Vec::new();
    for &peer in peers {
        match builder.launch(peer) {
            Ok(launch) => contestants.push((peer, launch)),
            Err(Stop::Interrupted) => return Err(Stop::Interrupted),
            Err(Stop::NotRun(why)) => println!("!! {} is LEFT OUT: {}\n!!   {}", peer.name, why.reason, why.remedy),
            Err(stop) => println!("!! {} is LEFT OUT: {stop}", peer.name),
        }
    }
    Ok(contestants)
}

/// The load of the test at half load: half of what the fastest peer does in a closed loop, now.
fn half_of_the_fastest(bench: &Bench, contestants: &[(&'static Peer, Launch)]) -> Result<Option<f64>, Stop> {
    let Some((peer, launch)) = contestants.iter().find(|(peer, _)| peer.name == FASTEST) else { return Ok(None) };
    let Some(test) = Test::named("echo-64-1") else { return Ok(None) };
    let run = bench.run(test, &test.cases[0], peer, launch, 0)?;
    Ok(run.number("ops_per_s").map(|rate| (rate / 2.0 / 1000.0).round() * 1000.0))
}

struct Progress {
    done: usize,
    all: usize,
    start: Instant,
}

impl Progress {
    fn new(tests: &[&Test], contestants: &[(&'static Peer, Launch)], rounds: u64) -> Self {
        let of = |test: &&Test| contestants.iter().filter(|(peer, _)| (test.takes)(peer)).count() * test.cases.len();
        let all = tests.iter().map(of).sum::<usize>() * rounds as usize;
        println!("{all} runs");
        Self { done: 0, all, start: Instant::now() }
    }

    fn print(&mut self, test: &Test, run: &Run) {
        self.done += 1;
        let number = |name| run.number(name).unwrap_or_default();
        let result = match &run.result {
            Err(error) => format!("FAILED: {error}"),
            Ok(_) if run.number("bytes_per_conn").is_some() => format!("{} B", number("bytes_per_conn")),
            Ok(_) => format!(
                "{}/s, {} us of processor time, p99 {} us",
                measure::grouped(number("ops_per_s")),
                measure::significant(number("server_us_per_op")),
                measure::significant(number("p99_us")),
            ),
        };
        let case = if run.case.is_empty() { String::new() } else { format!(" ({})", run.case) };
        let disturbed = if run.disturbed { " DISTURBED" } else { "" };
        let left = self.start.elapsed().mul_f64((self.all - self.done) as f64 / self.done as f64);
        println!(
            "[{:>3}/{}] {} #{} {}{case}: {result}{disturbed}; {} left",
            self.done,
            self.all,
            test.name,
            run.round + 1,
            run.peer,
            minutes(left)
        );
    }
}

fn minutes(time: Duration) -> String {
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

fn list() {
    println!("tests:");
    for test in catalogue::ALL {
        println!("  {:<12} {}", test.name, test.what);
    }
    for alone in alone::ALL {
        println!("  {:<12} {}", alone.name, alone.what);
    }
    println!("peers:");
    for peer in peers::ALL {
        println!("  {}", peer.name);
    }
}

/// The chosen peers in the table's order; always with those that others are compared with.
fn choose_peers(options: &Options) -> Result<Vec<&'static Peer>, Stop> {
    let chosen = choose(peers::ALL, &options.peers, "peer", |peer| peer.name)?;
    if options.peers.is_empty() {
        return Ok(chosen.into_iter().filter(|peer| peer.quick || !options.quick).collect());
    }
    let is_chosen = |peer: &&Peer| peer.is_reference() || options.peers.iter().any(|name| name == peer.name);
    Ok(peers::ALL.iter().filter(is_chosen).collect())
}

/// The rows of these names in the table's order; all when no name is given.
fn choose<T>(all: &'static [T], names: &[String], kind: &str, name: fn(&T) -> &str) -> Result<Vec<&'static T>, Stop> {
    if let Some(unknown) = names.iter().find(|wanted| !all.iter().any(|row| name(row) == *wanted)) {
        let known: Vec<&str> = all.iter().map(name).collect();
        return Err(Stop::Failed(format!("there is no {kind} {unknown}; there are: {}", known.join("; "))));
    }
    Ok(all.iter().filter(|row| names.is_empty() || names.iter().any(|wanted| name(row) == wanted)).collect())
}

fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

fn utc_now() -> String {
    let date = process::quick_output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M:%S"]));
    date.map_or_else(|| "undated".into(), |date| date.trim().to_owned())
}
