//! QEMU's riscv32 board `virt`: what it has, and the start of the programs that run on it.

#![no_std]
#![allow(unsafe_code)] // registers, interrupts, and memory that is shared with devices

mod clock;
mod net;
mod random;
mod register;
mod uart;
mod virtio;

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use embassy_executor::Executor;
use embassy_net::{Runner, StackResources};
use static_cell::StaticCell;
use tautline_firmware_app::blink::Punctuality;
use tautline_firmware_app::{Board, Chip, Files, Time};
use tautline_firmware_sim::{Program, network};

/// What the linker script leaves to the files of the device.
const FILES: *const [u8] = core::ptr::slice_from_raw_parts(0x803f_0000 as *const u8, 0x1_0000);

/// Starts the board, and the program with a network of so many sockets.
///
/// # Panics
///
/// If it is called twice, or the emulator lacks a device.
pub fn run<const SOCKETS: usize>(resources: &'static mut StackResources<SOCKETS>, program: Program) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let (net, rng) = virtio::devices();
    random::start(rng);
    clock::start();
    // SAFETY: every handler is in place.
    unsafe { riscv::interrupt::enable() };
    EXECUTOR.init_with(Executor::new).run(|spawner| {
        let (stack, runner) = network(net, resources, &Virt);
        spawner.spawn(random::refill_task().expect("the only one"));
        spawner.spawn(network_task(runner).expect("the only one"));
        program(spawner, stack, &Virt);
    })
}

#[embassy_executor::task]
async fn network_task(mut runner: Runner<'static, net::Net>) {
    runner.run().await
}

struct Virt;

impl Board for Virt {
    fn print(&self, line: fmt::Arguments<'_>) {
        let _ = writeln!(uart::Uart, "{line}");
    }

    fn lamp(&self, on: bool) {
        self.print(format_args!("lamp {}", if on { "on" } else { "off" }));
    }

    fn punctuality(&self) -> Punctuality {
        clock::time().punctuality()
    }

    fn random(&self, bytes: &mut [u8]) {
        random::draw(bytes);
    }
}

impl Chip for Virt {
    fn time(&self) -> Time {
        Time::Now(clock::unix_seconds())
    }

    fn files(&self) -> Files<'static> {
        // SAFETY: it is memory that nothing else is in (memory.x) and nobody writes to.
        Files::new(unsafe { &*FILES })
    }

    fn ended(&self, success: bool) {
        uart::exit(u16::from(!success))
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(uart::Uart, "{info}");
    uart::exit(101)
}
