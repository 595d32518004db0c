//! The device for QEMU's Cortex-M3 board `lm3s6965evb`: what the board has, and the start.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // registers, interrupts, and semihosting

mod clock;
mod host;
mod net;
mod register;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use cortex_m_rt::{entry, exception};
use embassy_executor::Executor;
use embassy_net::Runner;
use static_cell::StaticCell;
use tautline_firmware_app::blink::Punctuality;
use tautline_firmware_app::embassy::{Setup, start};
use tautline_firmware_app::{Board, Chip, Files, Time};
use tautline_firmware_sim::network;

/// Where the interrupt controller turns on the interrupts 0 to 31, and those after them.
const ENABLE: [usize; 2] = [0xe000_e100, 0xe000_e104];

/// What the board's start-up code calls.
#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    static BOARD: StaticCell<Lm3s6965> = StaticCell::new();
    let peripherals = cortex_m::Peripherals::take().expect("the first to ask");
    let net = net::Net::new();
    for interrupt in [clock::INTERRUPT, net::INTERRUPT] {
        let (word, bit) = (interrupt as usize / 32, interrupt as usize % 32);
        register::write(ENABLE[word], 1 << bit);
    }
    clock::start(peripherals.SYST);
    EXECUTOR.init_with(Executor::new).run(|spawner| {
        let board = BOARD.init(Lm3s6965 { rng: host::Rng::open() });
        let mut seed = [0; 8];
        board.random(&mut seed);
        let (stack, runner) = network(net, u64::from_le_bytes(seed));
        spawner.spawn(network_task(runner).expect("the only one"));
        match Setup::read(board) {
            Some(setup) => start(spawner, stack, board, setup),
            None => board.ended(false),
        }
    })
}

#[embassy_executor::task]
async fn network_task(mut runner: Runner<'static, net::Net>) {
    runner.run().await
}

/// What the linker script leaves to the files of the device.
const FILES: *const [u8] = core::ptr::slice_from_raw_parts(0x3_e000 as *const u8, 0x2000);

struct Lm3s6965 {
    rng: host::Rng,
}

impl Board for Lm3s6965 {
    fn print(&self, line: fmt::Arguments<'_>) {
        let _ = writeln!(host::Uart, "{line}");
    }

    fn lamp(&self, on: bool) {
        self.print(format_args!("lamp {}", if on { "on" } else { "off" }));
    }

    fn random(&self, bytes: &mut [u8]) {
        self.rng.fill(bytes);
    }

    fn punctuality(&self) -> Punctuality {
        clock::time().punctuality()
    }
}

impl Chip for Lm3s6965 {
    fn time(&self) -> Time {
        Time::Now(host::unix_seconds())
    }

    fn files(&self) -> Files<'static> {
        // SAFETY: it is flash that nothing else is in (memory.x) and nobody writes to.
        Files::new(unsafe { &*FILES })
    }

    fn ended(&self, success: bool) {
        host::exit(success)
    }
}

/// The chip's interrupts.
#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    match interrupt {
        clock::INTERRUPT => clock::interrupt(),
        net::INTERRUPT => net::interrupt(),
        _ => {}
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(host::Uart, "{info}");
    host::exit(false)
}
