//! The network: virtio-net as a driver of embassy-net.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use portable_atomic::{AtomicUsize, Ordering};
use riscv::interrupt::Interrupt;
use static_cell::ConstStaticCell;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::mmio::MmioTransport;

use crate::register;
use crate::virtio::Board;

const QUEUE: usize = 8;
/// How many packets may be on their way, in either direction.
const PACKETS: usize = 4;
/// The longest packet of Ethernet without its checksum.
const PACKET: usize = 1514;
/// A packet with the header that the device puts before it, and what the driver wants a buffer to have at least.
const BUFFER: usize = 1536;

/// The interrupt controller; hart 0 in machine mode is its first context.
const PLIC: usize = 0x0c00_0000;
const PLIC_ENABLE: usize = PLIC + 0x2000;
const PLIC_THRESHOLD: usize = PLIC + 0x20_0000;
const PLIC_CLAIM: usize = PLIC_THRESHOLD + 4;
/// Offsets of a device's registers.
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACK: usize = 0x64;

static REGISTERS: AtomicUsize = AtomicUsize::new(0);
static WAKER: AtomicWaker = AtomicWaker::new();

type Device = VirtIONetRaw<Board, MmioTransport<'static>, QUEUE>;

/// A packet's memory, and where it is at the moment.
struct Buffer {
    bytes: [u8; BUFFER],
    /// How many bytes the device was given, and by which token. `None` while it is ours.
    lent: Option<(u16, usize)>,
}

impl Buffer {
    const NEW: Self = Self { bytes: [0; BUFFER], lent: None };
}

static RECEIVING: ConstStaticCell<[Buffer; PACKETS]> = ConstStaticCell::new([Buffer::NEW; PACKETS]);
static SENDING: ConstStaticCell<[Buffer; PACKETS]> = ConstStaticCell::new([Buffer::NEW; PACKETS]);

/// The network device.
pub(crate) struct Net {
    device: Device,
    receiving: &'static mut [Buffer; PACKETS],
    sending: &'static mut [Buffer; PACKETS],
}

impl Net {
    /// Takes the device with these registers and this interrupt into use.
    ///
    /// # Panics
    ///
    /// If there is a second one, or it does not work.
    pub(crate) fn new(transport: MmioTransport<'static>, registers: usize, interrupt: usize) -> Self {
        let device = Device::new(transport).expect("a network device that works");
        let mut net = Self { device, receiving: RECEIVING.take(), sending: SENDING.take() };
        net.lend();
        net.device.enable_interrupts();
        REGISTERS.store(registers, Ordering::Relaxed);
        register::write(PLIC + 4 * interrupt, 1); // its priority
        register::write(PLIC_ENABLE, 1 << interrupt);
        register::write(PLIC_THRESHOLD, 0);
        // SAFETY: the handler shares nothing but atomics and a waker.
        unsafe { riscv::register::mie::set_mext() };
        net
    }

    /// Gives the device every buffer for receiving that it does not have.
    fn lend(&mut self) {
        for buffer in self.receiving.iter_mut().filter(|buffer| buffer.lent.is_none()) {
            // SAFETY: the buffer is static, and is not touched until the device has given it back.
            let token = unsafe { self.device.receive_begin(&mut buffer.bytes) };
            buffer.lent = token.ok().map(|token| (token, BUFFER));
        }
    }

    /// Takes back what has been sent.
    fn take_back(&mut self) {
        while let Some(token) = self.device.poll_transmit() {
            let Some((buffer, length)) = lent(self.sending, token) else { return };
            // SAFETY: it is the buffer that was sent under this token.
            let _ = unsafe { self.device.transmit_complete(token, &buffer.bytes[..length]) };
            buffer.lent = None;
        }
    }
}

/// The buffer that the device has under this token, and how much of it.
fn lent(buffers: &mut [Buffer], token: u16) -> Option<(&mut Buffer, usize)> {
    buffers.iter_mut().find_map(|buffer| match buffer.lent {
        Some((its, length)) if its == token => Some((buffer, length)),
        _ => None,
    })
}

/// A packet that has come.
pub(crate) struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for a packet.
pub(crate) struct Sendable<'a> {
    device: &'a mut Device,
    buffer: &'a mut Buffer,
}

impl TxToken for Sendable<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let header = self.device.fill_buffer_header(&mut self.buffer.bytes).expect("room for the header");
        let end = header + length;
        let result = write(&mut self.buffer.bytes[header..end]);
        // SAFETY: the buffer is static, and is not touched until the device has given it back.
        let token = unsafe { self.device.transmit_begin(&self.buffer.bytes[..end]) };
        // A packet that the device does not take is lost, which TCP is used to.
        self.buffer.lent = token.ok().map(|token| (token, end));
        result
    }
}

impl Driver for Net {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sendable<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sendable<'_>)> {
        WAKER.register(context.waker());
        self.take_back();
        self.lend();
        let free = self.sending.iter().position(|buffer| buffer.lent.is_none())?;
        let token = self.device.poll_receive()?;
        let (buffer, _) = lent(self.receiving, token)?;
        // SAFETY: it is the buffer that was lent under this token.
        let (header, length) = unsafe { self.device.receive_complete(token, &mut buffer.bytes) }.ok()?;
        buffer.lent = None;
        let packet = buffer.bytes.get_mut(header..header + length)?;
        Some((Received(packet), Sendable { device: &mut self.device, buffer: &mut self.sending[free] }))
    }

    fn transmit(&mut self, context: &mut Context<'_>) -> Option<Sendable<'_>> {
        WAKER.register(context.waker());
        self.take_back();
        let buffer = self.sending.iter_mut().find(|buffer| buffer.lent.is_none())?;
        Some(Sendable { device: &mut self.device, buffer })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = PACKET;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.device.mac_address())
    }
}

#[riscv_rt::core_interrupt(Interrupt::MachineExternal)]
fn external() {
    let claimed = register::read(PLIC_CLAIM);
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers != 0 {
        register::write(registers + INTERRUPT_ACK, register::read(registers + INTERRUPT_STATUS));
    }
    WAKER.wake();
    register::write(PLIC_CLAIM, claimed);
}
