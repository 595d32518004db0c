//! The network: the Stellaris' Ethernet controller, which takes and gives packets word by word.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

use crate::register;

/// The controller's interrupt.
pub(crate) const INTERRUPT: i16 = 42;
const BASE: usize = 0x4004_8000;
const INTERRUPT_STATUS: usize = BASE;
const INTERRUPT_MASK: usize = BASE + 0x04;
const RECEIVE_CONTROL: usize = BASE + 0x08;
const TRANSMIT_CONTROL: usize = BASE + 0x0c;
const DATA: usize = BASE + 0x10;
const ADDRESS_LOW: usize = BASE + 0x14;
const ADDRESS_HIGH: usize = BASE + 0x18;
const PACKETS: usize = BASE + 0x34;
const TRANSMIT: usize = BASE + 0x38;

const ADDRESS: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
/// The longest packet of Ethernet without its checksum.
const PACKET: usize = 1514;
/// What stands before a packet: its length, in two bytes.
const LENGTH: usize = 2;
/// What the length of a received packet counts besides the packet: itself and the checksum.
const OVERHEAD: usize = LENGTH + 4;
/// The header of Ethernet, which the length of a packet to be sent does not count.
const HEADER: usize = 14;
/// A packet with what stands before it, in whole words.
const BUFFER: usize = (LENGTH + PACKET).next_multiple_of(4);

static WAKER: AtomicWaker = AtomicWaker::new();

/// The network device.
pub(crate) struct Net {
    buffer: [u8; BUFFER],
}

impl Net {
    /// Takes the controller into use.
    pub(crate) fn new() -> Self {
        let [a, b, c, d, e, f] = ADDRESS;
        register::write(ADDRESS_LOW, u32::from_le_bytes([a, b, c, d]));
        register::write(ADDRESS_HIGH, u32::from_le_bytes([e, f, 0, 0]));
        let (enable, multicast) = (1, 1 << 1);
        register::write(RECEIVE_CONTROL, enable | multicast);
        let (pad, checksum) = (1 << 1, 1 << 2);
        register::write(TRANSMIT_CONTROL, enable | pad | checksum);
        register::write(INTERRUPT_MASK, 1);
        Self { buffer: [0; BUFFER] }
    }
}

/// A packet that has come.
pub(crate) struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// Room for a packet: the controller sends it before anything else happens.
pub(crate) struct Sendable;

impl TxToken for Sendable {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        // Not the buffer for receiving: an answer is written while the packet that it answers is still looked at.
        let mut buffer = [0; BUFFER];
        let end = LENGTH + length;
        let result = write(&mut buffer[LENGTH..end]);
        buffer[..LENGTH].copy_from_slice(&((length - HEADER) as u16).to_le_bytes());
        for word in buffer[..end.next_multiple_of(4)].chunks_exact(4) {
            register::write(DATA, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
        }
        register::write(TRANSMIT, 1);
        result
    }
}

impl Driver for Net {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sendable;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sendable)> {
        WAKER.register(context.waker());
        register::write(INTERRUPT_MASK, 1);
        if register::read(PACKETS) == 0 {
            return None;
        }
        let first = register::read(DATA).to_le_bytes();
        let total = usize::from(u16::from_le_bytes([first[0], first[1]]));
        self.buffer[..LENGTH].copy_from_slice(&first[LENGTH..]);
        // All of it has to be read, also of a packet that is too long.
        for at in (LENGTH..total.saturating_sub(LENGTH)).step_by(4) {
            let word = register::read(DATA).to_le_bytes();
            if let Some(place) = self.buffer.get_mut(at..at + 4) {
                place.copy_from_slice(&word);
            }
        }
        let packet = self.buffer.get_mut(..total.saturating_sub(OVERHEAD))?;
        Some((Received(packet), Sendable))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sendable> {
        Some(Sendable)
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
        HardwareAddress::Ethernet(ADDRESS)
    }
}

/// What the controller's interrupt does: it stays off until somebody has looked for packets.
pub(crate) fn interrupt() {
    register::write(INTERRUPT_STATUS, register::read(INTERRUPT_STATUS));
    register::write(INTERRUPT_MASK, 0);
    WAKER.wake();
}
