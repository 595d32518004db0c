//! The table of tests: what `cargo xtask bench` measures.

use super::{
    measure::Measure::{self, *},
    peers::{Peer, Side},
};

/// One row.
pub(crate) struct Test {
    /// How `--only` and the results call it.
    pub(crate) name: &'static str,
    /// What is measured, for headings.
    pub(crate) what: &'static str,
    /// The load generator's mode and options. `{...}` stands for what is known only when it runs.
    pub(crate) load: &'static str,
    /// Seconds that are measured, and with `--quick`.
    pub(crate) secs: (f64, f64),
    /// What is compared.
    pub(crate) measure: Measure,
    /// Each peer is run in each of them; more than one when they are compared with each other.
    pub(crate) cases: &'static [Case],
    /// Which peers take part.
    pub(crate) takes: fn(&Peer) -> bool,
}

/// A way to run a test.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Further options of the load generator.
    pub(crate) load: &'static str,
    /// The server's variables.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// Whether the server gets two cores instead of one.
    pub(crate) two_cores: bool,
}

const ONE: &[Case] = &[case("", "", &[], false)];
const NEIGHBOURS: &[Case] =
    &[case("alone", "", &[], false), case("with neighbours", "--neighbours {neighbours}", &[], false)];
const LOOPS: &[Case] = &[case("one loop", "", &[], true), case("two loops", "", &[("THREADS", "2")], true)];
const TLS: &[Case] = &[case("", "", &[("TLS_CERT", "{certs}/server.pem"), ("TLS_KEY", "{certs}/server.key")], false)];
const MUTUAL_TLS: &[Case] = &[case(
    "",
    "",
    &[("TLS_CERT", "{certs}/server.pem"), ("TLS_KEY", "{certs}/server.key"), ("TLS_CLIENT_CA", "{certs}/ca.pem")],
    false,
)];

/// Every test there is.
#[rustfmt::skip] // one column per field
pub(crate) const ALL: &[Test] = &[
    test("echo-64-1", "echo of 64 B, 50 connections, 1 message in flight on each", "echo --conns 50 --size 64 --pipeline 1", (4.0, 1.0), Rate, ONE, one_by_one),
    test("echo-64-16", "echo of 64 B, 50 connections, 16 messages in flight on each", "echo --conns 50 --size 64 --pipeline 16", (2.0, 0.6), Rate, ONE, echoes),
    test("echo-16k", "echo of 16 KiB, 50 connections, 1 message in flight on each", "echo --conns 50 --size 16384 --pipeline 1", (2.0, 0.6), Rate, ONE, one_by_one),
    test("echo-1m", "echo of 1 MiB, 10 connections, 1 message in flight on each", "echo --conns 10 --size 1048576 --pipeline 1", (2.0, 0.8), Rate, ONE, one_by_one),
    test("fanout-16", "fan-out of 128 B to 1,000 subscribers, 16 publishes in flight", "fanout --conns 1000 --size 128 --window 16", (2.0, 0.6), Rate, ONE, not_batching),
    test("fanout-1", "fan-out of 128 B to 1,000 subscribers, 1 publish in flight", "fanout --conns 1000 --size 128 --window 1", (2.0, 0.6), Rate, ONE, not_batching),
    test("idle", "resident memory per idle connection", "idle --conns {idle}", (0.5, 0.1), Memory, ONE, not_batching),
    test("idle-tls", "resident memory per idle connection over TLS", "idle --conns {idle} --tls {certs}", (0.5, 0.1), Memory, TLS, with_tls),
    test("idle-mtls", "resident memory per idle connection over TLS with client certificates", "idle --conns {idle} --tls {certs} --client-cert", (0.5, 0.1), Memory, MUTUAL_TLS, with_tls),
    test("handshake", "the server's processor time per connection that opens and closes", "handshake --conns 32", (2.0, 0.6), CpuPerOp, ONE, not_batching),
    test("neighbours", "processor time per message beside 20,000 idle connections (or as many as a process may have files), as a multiple of without (echo of 64 B)", "echo --conns 50 --size 64 --pipeline 1", (2.0, 0.6), CpuRatio, NEIGHBOURS, one_by_one),
    test("two-loops", "processor time per message with two threads, as a multiple of one (echo of 64 B)", "echo --conns 50 --size 64 --pipeline 1", (2.0, 0.6), CpuRatio, LOOPS, with_threads),
    test("half-load", "latency at half of the load that uWebSockets can take (echo of 64 B, open loop)", "echo --conns 50 --size 64 --rate {rate}", (3.0, 1.0), TailLatency, ONE, one_by_one),
];

#[rustfmt::skip]
const fn test(name: &'static str, what: &'static str, load: &'static str, secs: (f64, f64), measure: Measure, cases: &'static [Case], takes: fn(&Peer) -> bool) -> Test {
    Test { name, what, load, secs, measure, cases, takes }
}

const fn case(
    name: &'static str,
    load: &'static str,
    env: &'static [(&'static str, &'static str)],
    two_cores: bool,
) -> Case {
    Case { name, load, env, two_cores }
}

/// A room sends nothing back.
fn echoes(peer: &Peer) -> bool {
    peer.side != Side::Rooms
}

fn one_by_one(peer: &Peer) -> bool {
    echoes(peer) && not_batching(peer)
}

/// A batch makes a difference only where several messages are in flight.
fn not_batching(peer: &Peer) -> bool {
    !peer.batches()
}

fn with_tls(peer: &Peer) -> bool {
    peer.tls
}

fn with_threads(peer: &Peer) -> bool {
    peer.threads && one_by_one(peer)
}

impl Test {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|test| test.name == name)
    }

    /// Whether it echoes or holds plain TCP connections, so that the ceiling needs no handshake for it.
    pub(crate) fn can_be_raw(&self) -> bool {
        self.load.starts_with("echo") || self.load.starts_with("idle")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: HashSet<&str> = ALL.iter().map(|test| test.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| Test::named(name).is_some()));
    }

    #[test]
    fn what_is_a_ratio_of_cases_has_two() {
        for test in ALL {
            assert_eq!(test.cases.len(), if test.measure == CpuRatio { 2 } else { 1 }, "{}", test.name);
        }
    }
}
