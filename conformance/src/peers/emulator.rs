//! The project's firmware in QEMU, which has no network but a way to one port of this machine, and one back: by IPv4 QEMU's own,
//! and by IPv6, where that is asked for, a neighbour's.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use super::neighbour::Neighbour;
use super::{Process, Scratch, lasting_port, tool};

/// How many nanoseconds of guest time an instruction takes, as a power of two: 32 ns, a fifth of the speed of an ESP32-C3.
/// Guest time is counted in instructions, so it does not depend on how busy this machine is.
const SHIFT: u32 = 5;

/// How late the light may be, in microseconds of guest time.
const LATEST_US: u64 = 10_000;

/// An emulated board, and what it and its peers call each other by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    chip: Chip,
    network: Network,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chip {
    Riscv,
    Arm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Ipv4,
    LinkLocal,
    Routed,
}

/// A program for the boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The labs' device; on [`Board::RISCV`] it is a small server, too.
    Device,
    /// The small server, and what its files ask for, without TLS.
    Trial,
}

impl Board {
    /// QEMU's `virt` with the instruction set of an ESP32-C3.
    pub const RISCV: Self = Self { chip: Chip::Riscv, network: Network::Ipv4 };
    /// QEMU's `lm3s6965evb`, a Cortex-M3 with 64 KB of RAM.
    pub const ARM: Self = Self { chip: Chip::Arm, network: Network::Ipv4 };

    /// The same board where it and its peers call each other by link-local addresses of IPv6. IPv4 is there beside it.
    pub const fn by_ipv6(self) -> Self {
        Self { network: Network::LinkLocal, ..self }
    }

    /// The same board with an address of IPv6 in its files, and with the server behind a router.
    pub const fn by_routed_ipv6(self) -> Self {
        Self { network: Network::Routed, ..self }
    }

    /// What it is to call to reach the port of this machine that [`start`](Self::start) is given.
    pub fn server(self) -> SocketAddr {
        let address = match self.network {
            Network::Ipv4 => Ipv4Addr::new(10, 0, 2, 100).into(),
            Network::LinkLocal => Neighbour::LINK_LOCAL.into(),
            Network::Routed => Neighbour::ROUTED.into(),
        };
        SocketAddr::new(address, 8000)
    }

    /// Its own address in the network by which it is reached.
    pub fn address(self) -> IpAddr {
        // Link-local ones are made of the Ethernet addresses.
        match (self.network, self.chip) {
            (Network::Ipv4, _) => Ipv4Addr::new(10, 0, 2, 15).into(),
            (Network::LinkLocal, Chip::Riscv) => link_local(0x3456).into(),
            (Network::LinkLocal, Chip::Arm) => link_local(0x3457).into(),
            (Network::Routed, _) => Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 5).into(),
        }
    }

    /// Starts the board with these files in its flash. What it sends to [`server`](Self::server) goes to `port` of this machine; and
    /// [`Emulator::port`] leads to its port 80.
    ///
    /// # Panics
    ///
    /// If the variables that say where QEMU and the firmware are are not set, or the files do not fit; outside of tokio.
    pub fn start(self, image: Image, files: &[(&str, &[u8])], port: u16) -> Emulator {
        let folder = Scratch::new();
        let ipv6 = format!("{}/64 {}", self.address(), Neighbour::ROUTER);
        let own: &[(&str, &[u8])] = if self.network == Network::Routed { &[("ipv6", ipv6.as_bytes())] } else { &[] };
        let flash = folder.write("files", archive(&[files, own].concat(), self.room()));
        let neighbour = match self.address() {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Neighbour::of(address, port)),
        };
        let door = lasting_port();
        let mut qemu = match self.chip {
            Chip::Riscv => {
                let mut qemu = Command::new(tool("TAUTLINE_QEMU_RISCV32"));
                // What the chip does not have is to trap, as it would there.
                qemu.args(["-M", "virt", "-cpu", "rv32,a=false,f=false,d=false,mmu=false,pmp=false", "-m", "16M"]);
                qemu.args(["-bios", "none", "-global", "virtio-mmio.force-legacy=false"]);
                qemu.args(["-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"]);
                qemu.arg("-kernel").arg(tool(image.variable("TAUTLINE_SIM_RISCV", "TAUTLINE_TRIAL_RISCV")));
                qemu
            }
            Chip::Arm => {
                let mut qemu = Command::new(tool("TAUTLINE_QEMU_ARM"));
                qemu.args(["-M", "lm3s6965evb", "-semihosting-config", "enable=on,target=native"]);
                qemu.args(["-net", "nic,netdev=net"]);
                qemu.arg("-kernel").arg(tool(image.variable("TAUTLINE_SIM_ARM", "TAUTLINE_TRIAL_ARM")));
                qemu
            }
        };
        qemu.args(network(door, port, neighbour.as_ref()).iter().flat_map(|part| ["-netdev", part]));
        // Not `-nographic`, which would put QEMU's monitor behind the serial port.
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
        qemu.args(["-icount", &format!("shift={SHIFT},align=on")]);
        let address = self.files();
        qemu.args(["-device", &format!("loader,file={},addr={address:#x},force-raw=on", flash.display())]);
        Emulator {
            port: neighbour.as_ref().map_or(door, |neighbour| neighbour.port),
            ipv4_port: door,
            process: Process::spawn(qemu),
            _neighbour: neighbour,
            _folder: folder,
        }
    }

    /// Where the linker scripts of the firmware leave room for the files, and how much.
    fn files(self) -> u32 {
        match self.chip {
            Chip::Riscv => 0x803f_0000,
            Chip::Arm => 0x3_e000,
        }
    }

    fn room(self) -> usize {
        match self.chip {
            Chip::Riscv => 64 * 1024,
            Chip::Arm => 8 * 1024,
        }
    }
}

/// The parts of the guest's network `net`: QEMU's own, which knows IPv4, and where there is one, the neighbour on the same Ethernet.
fn network(door: u16, port: u16, neighbour: Option<&Neighbour>) -> Vec<String> {
    let relay = tool("TAUTLINE_RELAY");
    let relay = relay.to_str().expect("a path in UTF-8");
    let ipv4 = format!(
        "restrict=on,ipv6=off,guestfwd=tcp:10.0.2.100:8000-cmd:{relay} {port},hostfwd=tcp:127.0.0.1:{door}-:80"
    );
    match neighbour {
        None => vec![format!("user,id=net,{ipv4}")],
        Some(neighbour) => vec![
            format!("user,id=ipv4,{ipv4}"),
            format!("socket,id=ipv6,connect=127.0.0.1:{}", neighbour.ethernet),
            "hubport,id=first,hubid=1,netdev=ipv4".into(),
            "hubport,id=second,hubid=1,netdev=ipv6".into(),
            "hubport,id=net,hubid=1".into(),
        ],
    }
}

/// The link-local address of one of QEMU's Ethernet addresses, which begin with 52:54:00:12.
const fn link_local(end: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe12, end)
}

impl Image {
    fn variable(self, device: &'static str, trial: &'static str) -> &'static str {
        match self {
            Self::Device => device,
            Self::Trial => trial,
        }
    }
}

/// A running board. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    /// The port of this machine that leads to the board's port 80.
    pub port: u16,
    /// The one that leads there by IPv4, whatever the network.
    pub ipv4_port: u16,
    process: Process,
    _neighbour: Option<Neighbour>,
    _folder: Scratch,
}

impl Emulator {
    /// Reads the lines that the board prints until one has this text.
    ///
    /// # Panics
    ///
    /// If none has it within [`DEADLINE`](super::DEADLINE), or the light is late.
    pub async fn prints(&mut self, text: &str) -> String {
        self.find(|line| line.contains(text).then(|| line.to_owned())).await
    }

    /// Reads the lines that the board prints until `find` makes something of one.
    ///
    /// # Panics
    ///
    /// As [`prints`](Self::prints).
    pub async fn find<T>(&mut self, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let found =
            self.process.find(|line| if is_late(line) { Some(Err(line.to_owned())) } else { find(line).map(Ok) });
        match found.await {
            Ok(found) => found,
            Err(late) => self.process.fail(&late),
        }
    }

    /// The lines that it prints until it ends, which it has to do with success.
    ///
    /// # Panics
    ///
    /// If it does not end within this time, fails, or the light is late.
    pub async fn ends_within(self, time: Duration) -> Vec<String> {
        let lines = self.process.success_within(time).await;
        assert!(!lines.iter().any(|line| is_late(line)), "{lines:#?}");
        lines
    }
}

/// Whether it says of the light that it was.
fn is_late(line: &str) -> bool {
    let light = || line.strip_prefix("light ")?.split_once("worst ")?.1.split_once(" us")?.0.parse::<u64>().ok();
    light().is_some_and(|worst| worst > LATEST_US)
}

/// The files as the firmware finds them: a line `NAME LENGTH` before each one's bytes.
fn archive(files: &[(&str, &[u8])], room: usize) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in files {
        let mut line = String::new();
        let _ = writeln!(line, "{name} {}", bytes.len());
        archive.extend_from_slice(line.as_bytes());
        archive.extend_from_slice(bytes);
    }
    assert!(archive.len() < room, "the board has {room} bytes for its files; these are {}", archive.len());
    archive.push(0xff);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_late_by_more_than_ten_milliseconds() {
        assert!(is_late("light 812 edges, worst 10001 us late"));
        for line in ["light 812 edges, worst 10000 us late", "received light 1 edges, worst 99999 us late", "light"] {
            assert!(!is_late(line), "{line}");
        }
    }

    #[test]
    fn files_are_one_after_the_other_and_end() {
        assert_eq!(archive(&[("plan", b"cycles 1"), ("a b", b"")], 100), b"plan 8\ncycles 1a b 0\n\xff");
    }
}
