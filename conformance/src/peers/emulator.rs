//! The project's firmware in QEMU, which has no network but a way to one port of this machine.

use std::fmt::Write;
use std::process::Command;

use super::{Process, Scratch, tool};

/// How many nanoseconds of guest time an instruction takes, as a power of two: 32 ns, a tenth of what the chip of an ESP32-C3
/// can do. Guest time is counted in instructions, so it does not depend on how busy this machine is.
const SHIFT: u32 = 5;

/// An emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// QEMU's `virt` with the instruction set of an ESP32-C3.
    Riscv,
    /// QEMU's `lm3s6965evb`, a Cortex-M3 with 64 KB of RAM.
    Arm,
}

impl Board {
    /// Starts the board with these files in its flash. What it sends to 10.0.2.100, port 8000, goes to `port` of this machine.
    ///
    /// # Panics
    ///
    /// If the variables that say where QEMU and the firmware are are not set, or the files do not fit.
    pub fn start(self, files: &[(&str, &[u8])], port: u16) -> Emulator {
        let folder = Scratch::new();
        let flash = folder.write("files", archive(files, self.room()));
        let relay = tool("TAUTLINE_RELAY");
        let way = format!(
            "user,id=net,restrict=on,ipv6=off,guestfwd=tcp:10.0.2.100:8000-cmd:{} {port}",
            relay.to_str().expect("a path in UTF-8")
        );
        let mut qemu = match self {
            Self::Riscv => {
                let mut qemu = Command::new(tool("TAUTLINE_QEMU_RISCV32"));
                // What the chip does not have is to trap, as it would there.
                qemu.args(["-M", "virt", "-cpu", "rv32,a=false,f=false,d=false,mmu=false,pmp=false", "-m", "16M"]);
                qemu.args(["-bios", "none", "-global", "virtio-mmio.force-legacy=false"]);
                qemu.args(["-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device", "-netdev", &way]);
                qemu.arg("-kernel").arg(tool("TAUTLINE_SIM_RISCV"));
                qemu
            }
            Self::Arm => {
                let mut qemu = Command::new(tool("TAUTLINE_QEMU_ARM"));
                qemu.args(["-M", "lm3s6965evb", "-semihosting-config", "enable=on,target=native"]);
                qemu.args(["-net", "nic,netdev=net", "-netdev", &way]);
                qemu.arg("-kernel").arg(tool("TAUTLINE_SIM_ARM"));
                qemu
            }
        };
        // Not `-nographic`, which would put QEMU's monitor behind the serial port.
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
        qemu.args(["-icount", &format!("shift={SHIFT},align=on")]);
        let address = self.files();
        qemu.args(["-device", &format!("loader,file={},addr={address:#x},force-raw=on", flash.display())]);
        Emulator { process: Process::spawn(qemu), _folder: folder }
    }

    /// Where the linker scripts of the firmware leave room for the files, and how much.
    fn files(self) -> u32 {
        match self {
            Self::Riscv => 0x803f_0000,
            Self::Arm => 0x3_e000,
        }
    }

    fn room(self) -> usize {
        match self {
            Self::Riscv => 64 * 1024,
            Self::Arm => 8 * 1024,
        }
    }
}

/// A running board. What it prints are the lines of its process; dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    /// QEMU.
    pub process: Process,
    _folder: Scratch,
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
