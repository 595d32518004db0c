//! The light: a task of an executor that runs in an interrupt of its own, above everything that talks to the network.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::{Instant, Timer};
use esp_hal::gpio::Output;
use esp_hal::interrupt::Priority;
use esp_hal::peripherals::FROM_CPU_INTR1;
use esp_rtos::embassy::InterruptExecutor;
use static_cell::StaticCell;
use tautline_firmware_app::blink::{Blinker, Led, Punctuality};

/// The light of most small boards is between the supply and the pin: it is on while the pin is low.
const ON_IS_LOW: bool = true;

static PUNCTUALITY: Mutex<Cell<Punctuality>> = Mutex::new(Cell::new(Punctuality { edges: 0, worst_us: 0 }));

/// Has it blink from now on.
pub(crate) fn start(pin: Output<'static>, interrupt: FROM_CPU_INTR1<'static>) {
    static EXECUTOR: StaticCell<InterruptExecutor<1>> = StaticCell::new();
    let spawner = EXECUTOR.init(InterruptExecutor::new(interrupt)).start(Priority::Priority3);
    spawner.spawn(blink(Blinker::new(Light(pin), Instant::now().as_micros())).expect("the only one"));
}

/// How punctual it has been.
pub(crate) fn punctuality() -> Punctuality {
    critical_section::with(|cs| PUNCTUALITY.borrow(cs).get())
}

#[embassy_executor::task]
async fn blink(mut blinker: Blinker<Light>) {
    loop {
        let next = blinker.at(Instant::now().as_micros());
        critical_section::with(|cs| PUNCTUALITY.borrow(cs).set(blinker.punctuality()));
        Timer::at(Instant::from_micros(next)).await;
    }
}

struct Light(Output<'static>);

impl Led for Light {
    fn set(&mut self, on: bool) {
        self.0.set_level((on != ON_IS_LOW).into());
    }
}
