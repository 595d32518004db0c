//! The device for a board with an ESP32-C3: what the board has, and the start.

#![no_std]
#![no_main]
#![allow(unsafe_code)] // what the chip's macros make

mod light;
mod wifi;

use core::fmt;

use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use esp_backtrace as _;
use esp_hal::clock::CpuClock;
use esp_hal::gpio::{Level, Output, OutputConfig};
use esp_hal::peripherals::WIFI;
use esp_hal::ram;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::TimerGroup;
use esp_println::println;
use esp_radio::wifi::Interface;
use static_cell::StaticCell;
use tautline_device_config::Wifi;
use tautline_firmware_app::blink::Punctuality;
use tautline_firmware_app::embassy::{Setup, configure_ipv6, start};
use tautline_firmware_app::{Board, Chip, Files};

esp_bootloader_esp_idf::esp_app_desc!();

/// The files of the device, which build.rs put together.
static FILES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/files"));

/// TCP of the device and of the small server, DHCP, DNS.
const SOCKETS: usize = 5;
/// For the radio's driver, which is not ours and needs an allocator. The first part is what the bootloader leaves.
const FROM_BOOTLOADER: usize = 64 * 1024;
const FOR_RADIO: usize = 36 * 1024;

#[esp_hal::main]
async fn main(spawner: Spawner) -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: FROM_BOOTLOADER);
    esp_alloc::heap_allocator!(size: FOR_RADIO);
    esp_rtos::start(TimerGroup::new(chip.TIMG0).timer0, chip.FROM_CPU_INTR0);
    light::start(Output::new(chip.GPIO8, Level::High, OutputConfig::default()), chip.FROM_CPU_INTR1);

    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let mut seed = [0; 8];
    Esp32c3.random(&mut seed);
    let network = embassy_net::Config::dhcpv4(Default::default());
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(Interface::station(), network, resources, u64::from_le_bytes(seed));
    configure_ipv6(stack, &Esp32c3);
    spawner.spawn(network_task(runner).expect("the only one"));
    if let Some(setup) = Setup::read(&Esp32c3) {
        spawner.spawn(wifi_task(chip.WIFI, setup.config.wifi).expect("the only one"));
        start(spawner, stack, &Esp32c3, setup);
    }
    core::future::pending().await
}

#[embassy_executor::task]
async fn network_task(mut runner: Runner<'static, Interface>) {
    runner.run().await
}

#[embassy_executor::task]
async fn wifi_task(radio: WIFI<'static>, network: Wifi<'static>) {
    wifi::keep_joined(radio, network).await
}

struct Esp32c3;

impl Board for Esp32c3 {
    fn print(&self, line: fmt::Arguments<'_>) {
        println!("{line}");
    }

    fn lamp(&self, on: bool) {
        self.print(format_args!("lamp {}", if on { "on" } else { "off" }));
    }

    fn punctuality(&self) -> Punctuality {
        light::punctuality()
    }

    /// While Wi-Fi is on, and it is, the generator has noise enough for keys.
    fn random(&self, bytes: &mut [u8]) {
        Rng::new().read(bytes);
    }
}

impl Chip for Esp32c3 {
    fn files(&self) -> Files<'static> {
        Files::new(FILES)
    }

    /// The board stays on, and blinks.
    fn ended(&self, _: bool) {}
}
