//! Time: one timer of the board's for the light and for all tasks that wait.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use tautline_firmware_app::blink::{Blinker, Led, Punctuality};

/// What a board has for measuring time.
pub trait Hardware {
    /// Microseconds since the start.
    fn now_us(&self) -> u64;

    /// Has the interrupt come at this time; at once, if that has passed. It is called with interrupts off.
    fn wake_at(&self, us: u64);
}

/// The clock of embassy's tasks, whose interrupt also blinks.
///
/// The light is served first and in the interrupt itself: no task can delay it, whatever it does.
pub struct Time<H> {
    hardware: H,
    waiting: Mutex<RefCell<Waiting>>,
}

struct Waiting {
    tasks: Queue,
    light: Option<Blinker<Light>>,
}

impl<H: Hardware> Time<H> {
    /// With a light that does not blink yet.
    pub const fn new(hardware: H) -> Self {
        Self { hardware, waiting: Mutex::new(RefCell::new(Waiting { tasks: Queue::new(), light: None })) }
    }

    /// Has the light blink from now on.
    pub fn start(&self) {
        critical_section::with(|cs| {
            let mut waiting = self.waiting.borrow_ref_mut(cs);
            waiting.light = Some(Blinker::new(Light { is_on: false }, self.hardware.now_us()));
            self.arm(&mut waiting);
        });
    }

    /// What the timer's interrupt calls.
    pub fn interrupt(&self) {
        critical_section::with(|cs| self.arm(&mut self.waiting.borrow_ref_mut(cs)));
    }

    /// How punctual the light has been.
    pub fn punctuality(&self) -> Punctuality {
        critical_section::with(|cs| self.waiting.borrow_ref(cs).light.as_ref().map(Blinker::punctuality))
            .unwrap_or_default()
    }

    /// Does what is due, and sets the timer to what comes next.
    fn arm(&self, waiting: &mut Waiting) {
        let edge = waiting.light.as_mut().map_or(u64::MAX, |light| light.at(self.hardware.now_us()));
        let task = waiting.tasks.next_expiration(self.hardware.now_us());
        self.hardware.wake_at(edge.min(task));
    }
}

impl<H: Hardware + Send + Sync + 'static> Driver for Time<H> {
    fn now(&self) -> u64 {
        self.hardware.now_us()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut waiting = self.waiting.borrow_ref_mut(cs);
            if waiting.tasks.schedule_wake(at, waker) {
                self.arm(&mut waiting);
            }
        });
    }
}

/// The emulated boards' light, which nobody sees.
struct Light {
    is_on: bool,
}

impl Led for Light {
    fn set(&mut self, on: bool) {
        self.is_on = on;
    }
}
