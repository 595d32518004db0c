//! The system's allocator, counting what the threads hold that ask for it.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static BYTES: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Counts what this thread allocates and frees from now on, or does not. What one counted thread allocates and another frees is
/// counted both times.
pub(crate) fn count_this_thread(count: bool) {
    COUNTED.set(count);
}

/// Bytes that the counted threads have allocated and not freed. Differences count: something may have been there before.
pub(crate) fn held() -> i64 {
    BYTES.load(Relaxed)
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            BYTES.fetch_add(layout.size() as i64, Relaxed);
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTED.get() {
            BYTES.fetch_sub(layout.size() as i64, Relaxed);
        }
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}
