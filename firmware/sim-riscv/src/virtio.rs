//! The emulator's devices: finding them, and the memory that they share with us.

use core::ptr::NonNull;

use portable_atomic::{AtomicUsize, Ordering};
use virtio_drivers::device::rng::VirtIORng;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use crate::net::Net;

/// The eight places where a device may be.
const FIRST: usize = 0x1000_1000;
const STEP: usize = 0x1000;
const PLACES: usize = 8;
/// Two for each queue: of the network two, of the random numbers one.
const PAGES: usize = 6;

/// The random numbers of the host.
pub(crate) type Rng = VirtIORng<Board, MmioTransport<'static>>;

/// The devices that this program needs.
///
/// # Panics
///
/// If the emulator was started without one of them.
pub(crate) fn devices() -> (Net, Rng) {
    let (mut net, mut rng) = (None, None);
    for place in 0..PLACES {
        let base = FIRST + place * STEP;
        let Some(header) = NonNull::new(base as *mut VirtIOHeader) else { continue };
        // SAFETY: there is a device's header at each of these addresses, also where there is no device, and nobody else
        // uses it.
        let Ok(transport) = (unsafe { MmioTransport::new(header, STEP) }) else { continue };
        match transport.device_type() {
            DeviceType::Network => net = Some(Net::new(transport, base, place + 1)),
            DeviceType::EntropySource => rng = VirtIORng::new(transport).ok(),
            _ => {}
        }
    }
    (net.expect("-device virtio-net-device"), rng.expect("-device virtio-rng-device"))
}

/// How the drivers get memory that the devices see: all of it is where it seems to be.
pub(crate) struct Board;

#[repr(C, align(4096))]
struct Pool([u8; PAGES * PAGE_SIZE]);

static mut POOL: Pool = Pool([0; PAGES * PAGE_SIZE]);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: pages are given out once each, are aligned, zeroed and never taken back; addresses are the same for the devices.
unsafe impl Hal for Board {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = TAKEN.fetch_add(pages, Ordering::Relaxed);
        assert!(first + pages <= PAGES, "more queues than there are pages for");
        // SAFETY: the offset is within the pool.
        let page = unsafe { (&raw mut POOL).cast::<u8>().add(first * PAGE_SIZE) };
        (page as usize as PhysAddr, NonNull::new(page).expect("the pool is not at 0"))
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as usize as *mut u8).expect("no device is at 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as usize as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
