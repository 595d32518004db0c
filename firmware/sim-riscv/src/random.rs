//! Random numbers, which the host gives when it gets round to it. Who draws some may keep interrupts off meanwhile, and the light with
//! them: so there is a store, which a task fills with interrupts on.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;

use crate::virtio;

/// How many bytes are kept: masking keys for 64 frames.
const STORE: usize = 256;

static SOURCE: Mutex<RefCell<Option<virtio::Rng>>> = Mutex::new(RefCell::new(None));
static STORED: Mutex<RefCell<Store>> = Mutex::new(RefCell::new(Store { bytes: [0; STORE], len: 0 }));
static DRAWN: AtomicWaker = AtomicWaker::new();

struct Store {
    bytes: [u8; STORE],
    len: usize,
}

/// Takes the device into use.
pub(crate) fn start(source: virtio::Rng) {
    critical_section::with(|cs| SOURCE.replace(cs, Some(source)));
}

/// Fills the bytes: from the store, or where it has not got as many, from the host itself.
pub(crate) fn draw(bytes: &mut [u8]) {
    let drawn = critical_section::with(|cs| {
        let mut store = STORED.borrow_ref_mut(cs);
        let rest = store.len.checked_sub(bytes.len())?;
        let end = store.len;
        bytes.copy_from_slice(&store.bytes[rest..end]);
        store.bytes[rest..end].fill(0);
        store.len = rest;
        Some(())
    });
    match drawn {
        Some(()) => DRAWN.wake(),
        None => fetch(bytes),
    }
}

/// Keeps the store full.
#[embassy_executor::task]
pub(crate) async fn refill_task() {
    loop {
        poll_fn(|cx| {
            DRAWN.register(cx.waker());
            let missing = critical_section::with(|cs| STORED.borrow_ref(cs).len < STORE);
            if missing { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let mut bytes = [0; STORE];
        fetch(&mut bytes);
        critical_section::with(|cs| STORED.replace(cs, Store { bytes, len: STORE }));
    }
}

/// Asks the host. It takes its time, so the device is taken out for as long as it is used. Only tasks of the one executor draw.
fn fetch(bytes: &mut [u8]) {
    let taken = critical_section::with(|cs| SOURCE.take(cs));
    let mut source = taken.expect("it was put there before anything else, and back after use");
    let mut filled = 0;
    while filled < bytes.len() {
        filled += source.request_entropy(&mut bytes[filled..]).expect("the host has random numbers");
    }
    critical_section::with(|cs| SOURCE.replace(cs, Some(source)));
}
