//! Wi-Fi: a station that comes back.

use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, ControllerConfig, WifiController};
use tautline_device_config::Wifi;

/// How long it waits before it begins again with the attempts.
const REST: Duration = Duration::from_secs(10);

/// Looks for the network and joins it, over and over.
///
/// # Panics
///
/// If the configuration's name or password is none of Wi-Fi's, which its reader does not let through.
pub(crate) async fn keep_joined(radio: WIFI<'static>, network: Wifi<'static>) -> ! {
    let mut controller = controller(radio, network);
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
            Timer::after_millis(network.delay_ms.into()).await;
        }
        Timer::after(REST).await;
    }
}

fn controller(radio: WIFI<'static>, network: Wifi<'static>) -> WifiController<'static> {
    let authentication = if network.password.is_empty() {
        AuthenticationMethodConfig::Open
    } else {
        AuthenticationMethodConfig::Wpa2Personal(network.password.try_into().expect("a password of 8 to 63 bytes"))
    };
    let ssid = network.ssid.try_into().expect("a name of at most 32 bytes");
    let station = StationConfig::default().with_ssid(ssid).with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    WifiController::new(radio, config).expect("the chip has Wi-Fi")
}
