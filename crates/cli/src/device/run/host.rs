//! This computer in the place of a board.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tautline_device::Random;
use tautline_device::host::HostRandom;
use tautline_device_app::Board;
use tautline_device_app::blink::{Blinker, Led, Punctuality};

use super::Link;
use super::screen::Screen;

/// A computer with a light and a lamp on its terminal.
#[derive(Debug)]
pub(super) struct Host {
    screen: Arc<Screen>,
    lamp: Arc<AtomicBool>,
    blinker: Mutex<Blinker<Light>>,
    start: Instant,
}

/// The light on the terminal.
#[derive(Debug)]
struct Light {
    screen: Arc<Screen>,
    on: Arc<AtomicBool>,
}

impl Host {
    /// Shows lines, and on a terminal what light, lamp and link are doing.
    pub(super) fn new(link: &'static Link) -> Self {
        let (light, lamp) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
        let (shows_light, shows_lamp) = (Arc::clone(&light), Arc::clone(&lamp));
        let screen = Arc::new(Screen::start(move || {
            let [light, lamp] =
                [&shows_light, &shows_lamp].map(|lit| if lit.load(Ordering::Relaxed) { '●' } else { '○' });
            let state = if link.is_open() { "connected" } else { "not connected" };
            let counters = link.counters();
            format!("{light} SOS  {lamp} lamp  {state}, {} sent, {} dropped", counters.sent, counters.dropped)
        }));
        let blinker = Mutex::new(Blinker::new(Light { screen: Arc::clone(&screen), on: light }, 0));
        Self { screen, lamp, blinker, start: Instant::now() }
    }

    /// Has the light blink, in a thread of its own, so that nothing that the device does can delay it.
    ///
    /// # Errors
    ///
    /// The system has no thread for it.
    pub(super) fn blink(&'static self) -> io::Result<()> {
        let blink = || loop {
            let next = Duration::from_micros(self.blinker().at(self.start.elapsed().as_micros() as u64));
            thread::sleep(next.saturating_sub(self.start.elapsed()));
        };
        thread::Builder::new().name("light".into()).spawn(blink).map(drop)
    }

    /// Waits until all lines have been written.
    pub(super) fn finish(&self) {
        self.screen.finish();
    }

    fn blinker(&self) -> MutexGuard<'_, Blinker<Light>> {
        self.blinker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board for Host {
    fn print(&self, line: fmt::Arguments<'_>) {
        self.screen.line(line.to_string());
    }

    fn lamp(&self, on: bool) {
        self.lamp.store(on, Ordering::Relaxed);
        self.print(format_args!("lamp {}", if on { "on" } else { "off" }));
    }

    fn punctuality(&self) -> Punctuality {
        self.blinker().punctuality()
    }

    fn random(&self, bytes: &mut [u8]) {
        HostRandom.fill(bytes);
    }
}

impl Led for Light {
    fn set(&mut self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
        self.screen.refresh();
    }
}
