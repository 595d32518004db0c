//! The table of peers: the servers that are measured.

/// One row.
pub(crate) struct Peer {
    /// How `--peers` and the results call it.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// Its variables.
    pub(crate) env: &'static [(&'static str, &'static str)],
    pub(crate) version: Version,
    pub(crate) side: Side,
    /// Whether `--quick` runs it.
    pub(crate) quick: bool,
    /// Whether it can use several threads.
    pub(crate) threads: bool,
    /// Whether its server here speaks TLS.
    pub(crate) tls: bool,
    /// The load generator's options for fan-out, if its paths are not those that peers have here.
    pub(crate) fanout: &'static str,
}

/// How it is made and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A package of the benchmarks' workspace.
    Cargo(&'static str),
    /// bench/peers/uwebsockets/server.cpp.
    Uwebsockets,
    /// bench/peers/libwebsockets/server.c.
    Libwebsockets,
    /// bench/peers/node/server.cjs.
    Node,
    /// A script of bench/peers/python.
    Python(&'static str),
}

/// Where its version stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// It is part of this repository.
    Commit,
    /// In Cargo.lock, under this name.
    Crate(&'static str),
    /// In package-lock.json.
    Npm(&'static str),
    /// In requirements.txt, under these names.
    Python(&'static [&'static str]),
    /// pkg-config knows.
    PkgConfig(&'static str),
    /// There is none.
    None,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Our event loop.
    Engine,
    /// Our library for tokio.
    Tokio,
    /// Our hub's rooms.
    Rooms,
    /// Something to be compared with.
    Others,
}

/// The peer that others are compared with: TCP without a protocol above it, one send per subscriber.
pub(crate) const CEILING: &str = "raw";
/// The other one: the fastest that there is.
pub(crate) const FASTEST: &str = "uwebsockets";

const BATCH: &[(&str, &str)] = &[("BATCH", "1")];

use Program::*;

/// Every peer there is.
pub(crate) const ALL: &[Peer] = &[
    Peer { quick: true, ..peer(CEILING, Cargo("peer-raw"), Version::None).threads() },
    Peer { quick: true, ..peer(FASTEST, Uwebsockets, Version::Crate("libuwebsockets-sys")).threads() },
    Peer {
        side: Side::Engine,
        quick: true,
        tls: true,
        ..peer("engine", Cargo("peer-engine"), Version::Commit).threads()
    },
    Peer {
        side: Side::Tokio,
        quick: true,
        tls: true,
        ..peer("tautline", Cargo("peer-tautline"), Version::Commit).threads()
    },
    Peer {
        side: Side::Rooms,
        quick: true,
        fanout: "--subscribe /rooms/bench/ --publish /rooms/bench/",
        ..peer("hub", Cargo("peer-hub"), Version::Commit).threads()
    },
    Peer {
        quick: true,
        ..peer("fastwebsockets", Cargo("peer-fastwebsockets"), Version::Crate("fastwebsockets")).threads()
    },
    peer("tokio-websockets", Cargo("peer-tokio-websockets"), Version::Crate("tokio-websockets")).threads(),
    peer("tokio-websockets-batched", Cargo("peer-tokio-websockets"), Version::Crate("tokio-websockets")).batched(),
    peer("tokio-tungstenite", Cargo("peer-tokio-tungstenite"), Version::Crate("tokio-tungstenite")).threads(),
    peer("tokio-tungstenite-batched", Cargo("peer-tokio-tungstenite"), Version::Crate("tokio-tungstenite")).batched(),
    peer("yawc", Cargo("peer-yawc"), Version::Crate("yawc")).threads(),
    peer("yawc-batched", Cargo("peer-yawc"), Version::Crate("yawc")).batched(),
    peer("sockudo-ws", Cargo("peer-sockudo-ws"), Version::Crate("sockudo-ws")).threads(),
    peer("sockudo-ws-batched", Cargo("peer-sockudo-ws"), Version::Crate("sockudo-ws")).batched(),
    peer("libwebsockets", Libwebsockets, Version::PkgConfig("libwebsockets")),
    peer("node-ws", Node, Version::Npm("ws")),
    peer("python-websockets", Python("websockets_server.py"), Version::Python(&["websockets", "uvloop"])),
    peer("fastapi", Python("fastapi_server.py"), Version::Python(&["fastapi", "uvicorn", "uvloop", "websockets"])),
];

const fn peer(name: &'static str, program: Program, version: Version) -> Peer {
    Peer { name, program, env: &[], version, side: Side::Others, quick: false, threads: false, tls: false, fanout: "" }
}

impl Peer {
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|peer| peer.name == name)
    }

    /// Whether it answers all messages at hand with one write because its handler was written to do that.
    pub(crate) fn batches(&self) -> bool {
        !self.env.is_empty()
    }

    /// Whether others are compared with it.
    pub(crate) fn is_reference(&self) -> bool {
        self.name == CEILING || self.name == FASTEST
    }

    const fn threads(mut self) -> Self {
        self.threads = true;
        self
    }

    const fn batched(mut self) -> Self {
        self.env = BATCH;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_the_references_are_among_them() {
        let names: HashSet<&str> = ALL.iter().map(|peer| peer.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(ALL.iter().filter(|peer| peer.is_reference()).count(), 2);
    }
}
