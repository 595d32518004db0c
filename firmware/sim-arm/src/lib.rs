//! QEMU's Cortex-M3 board `lm3s6965evb`: what it has, and the start of the programs that run on it.

#![no_std]
#![allow(unsafe_code)] // registers, interrupts, and semihosting

mod clock;
mod host;
mod net;
mod register;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use cortex_m_rt::exception;
use embassy_executor::{Executor, Spawner};
use embassy_net::{Runner, StackResources};
use static_cell::StaticCell;
use tautline_firmware_app::blink::Punctuality;
use tautline_firmware_app::{Board, Chip, Files, Time};
use tautline_firmware_sim::{Program, network};

/// Where the interrupt controller turns on the interrupts 0 to 31, and those after them.
const ENABLE: [usize; 2] = [0xe000_e100, 0xe000_e104];

/// Starts the board, and the program with a network of so many sockets.
///
/// # Panics
///
/// If it is called twice.
pub fn run<const SOCKETS: usize>(resources: &'static mut StackResources<SOCKETS>, program: Program) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init_with(Executor::new).run(|spawner| begin(spawner, resources, program))
}

/// Apart from what never returns, which would keep room on the stack for everything that is moved here.
#[inline(never)]
fn begin<const SOCKETS: usize>(spawner: Spawner, resources: &'static mut StackResources<SOCKETS>, program: Program) {
    static BOARD: StaticCell<Lm3s6965> = StaticCell::new();
    let peripherals = cortex_m::Peripherals::take().expect("the first to ask");
    let net = net::Net::new();
    for interrupt in [clock::INTERRUPT, net::INTERRUPT] {
        let (word, bit) = (interrupt as usize / 32, interrupt as usize % 32);
        register::write(ENABLE[word], 1 << bit);
    }
    clock::start(peripherals.SYST);
    let board = BOARD.init(Lm3s6965 { rng: host::Rng::open() });
    let (stack, runner) = network(net, resources, board);
    spawner.spawn(network_task(runner).expect("the only one"));
    program(spawner, stack, board);
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
