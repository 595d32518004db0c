//! Wi-Fi: a station that comes back.

use embassy_time::{Duration, Timer};
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, ControllerConfig, WifiController};

/// How long it waits before it begins again with the attempts.
const REST: Duration = Duration::from_secs(10);

/// The settings of a station.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    /// The network's name.
    pub(crate) ssid: &'static str,
    /// Its password (WPA2); empty for a network without one.
    pub(crate) password: &'static str,
    /// How often it tries in a row.
    pub(crate) attempts: u32,
    /// How long it waits between these.
    pub(crate) delay: Duration,
}

/// Looks for the network and joins it, over and over.
pub(crate) async fn keep_joined(wifi: esp_hal::peripherals::WIFI<'static>, network: Network) -> ! {
    let mut controller = controller(wifi, network);
    loop {
        for attempt in 1..=network.attempts {
            match controller.connect_async().await {
                Ok(_) => {
                    println!("wifi joined");
                    let _ = controller.wait_for_disconnect_async().await;
                    println!("wifi lost");
                    break;
                }
                Err(error) => println!("wifi attempt {attempt} of {}: {error:?}", network.attempts),
            }
            Timer::after(network.delay).await;
        }
        Timer::after(REST).await;
    }
}

fn controller(wifi: esp_hal::peripherals::WIFI<'static>, network: Network) -> WifiController<'static> {
    let authentication = if network.password.is_empty() {
        AuthenticationMethodConfig::Open
    } else {
        AuthenticationMethodConfig::Wpa2Personal(network.password.try_into().expect("a password of 8 to 63 bytes"))
    };
    let ssid = network.ssid.try_into().expect("a name of at most 32 bytes");
    let station = StationConfig::default().with_ssid(ssid).with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    WifiController::new(wifi, config).expect("the chip has Wi-Fi")
}
