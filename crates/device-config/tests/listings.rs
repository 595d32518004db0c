//! The projects' own listings, as they stand in their documents.

use tautline_device_config::{Address, Config, Files, Server, Tls, Verification, Wifi};

/// What a listing means, and what is odd in it.
fn read(file: &str) -> Result<(Config<'_>, Vec<String>), String> {
    let mut warnings = vec![];
    // No listing has escapes.
    let config = Config::read(file.as_bytes(), &mut [], |warning| warnings.push(warning.to_string()));
    config.map(|config| (config, warnings)).map_err(|error| error.to_string())
}

const WIFI: Wifi<'static> =
    Wifi { ssid: "<wifi network name>", password: "<wifi network pwd>", attempts: 3, delay_ms: 200 };

fn server(secure: bool, port: u16) -> Server<'static> {
    Server { secure, host: "<host IP>", port, path: "/" }
}

/// What every listing leaves to be filled in.
fn placeholders(server_line: u32) -> Vec<String> {
    let todo = |line: u32, key: &str| format!("line {line}: {key}: still has to be filled in");
    vec![todo(3, "wifi.SSID"), todo(4, "wifi.password"), todo(server_line, "server")]
}

#[test]
fn ws() {
    let (config, warnings) = read(include_str!("../../../tests/peers/seeds/config_ws.json")).unwrap();
    let expected = Config { wifi: WIFI, server: server(false, 8000), tls: None, socket_delay_ms: 5, client_id: None };
    assert_eq!(config, expected);
    assert_eq!(config.server.address(), Address::Placeholder);
    assert_eq!(warnings, placeholders(8));
}

#[test]
fn wss_without_checks_lacks_a_comma() {
    let (config, warnings) = read(include_str!("../../../tests/peers/seeds/config_wss_noverify.json")).unwrap();
    let tls = Some(Tls { verification: Verification::Nothing, ca: "ca.der", identity: None });
    assert_eq!(config, Config { wifi: WIFI, server: server(true, 8443), tls, socket_delay_ms: 5, client_id: None });
    let comma = "line 12: socket_delay_ms: a comma is missing before it".to_owned();
    assert_eq!(warnings, [placeholders(8), vec![comma]].concat());
}

#[test]
fn wss_with_checks_lacks_a_comma_and_names_no_authority() {
    let (config, warnings) = read(include_str!("../../../tests/peers/seeds/config_wss_verify.json")).unwrap();
    let tls = Some(Tls { verification: Verification::Required, ca: "ca.der", identity: None });
    assert_eq!(config, Config { wifi: WIFI, server: server(true, 8443), tls, socket_delay_ms: 5, client_id: None });
    let comma = "line 12: socket_delay_ms: a comma is missing before it".to_owned();
    assert_eq!(warnings, [placeholders(8), vec![comma]].concat());
}

#[test]
fn wss_with_checks_of_both_sides() {
    let (config, warnings) = read(include_str!("../../../tests/peers/seeds/config_wss_mutual.json")).unwrap();
    let identity = Some(Files { certificate: "ESP Client 1.crt", key: "ESP Client 1.key" });
    let tls = Some(Tls { verification: Verification::Required, ca: "ca.der", identity });
    assert_eq!(config, Config { wifi: WIFI, server: server(true, 8443), tls, socket_delay_ms: 5, client_id: None });
    assert_eq!(warnings, placeholders(8));
}

#[test]
fn the_examples_are_good() {
    let (config, warnings) = read(include_str!("../../../examples/device/config.json")).unwrap();
    assert_eq!((config.server.address(), config.server.port), (Address::Ip("127.0.0.1".parse().unwrap()), 8000));
    assert_eq!(warnings, [""; 0]);
    let (_, warnings) = read(include_str!("../../../firmware/esp32c3/files/config.json")).unwrap();
    assert_eq!(warnings, placeholders(8));
}

#[test]
fn the_listing_that_explains_the_keys_has_comments_and_is_no_file() {
    let listing = r#"{
    "wifi": {
        "SSID": "SSID",                      # network name
        "password": "***********",           # network password
        "attempts": 3,                       # how many times during one cycle we will try to connect to wifi
        "delay_in_msec": 200                 # delay after wifi.connect() command
    },
    "server": "ws://192.168.1.100:8000/",    # uri for test server
    "socket_delay_ms": 5                     # delay for read/write operations on socket. if you have slow wifi network, try to increase this delay
}
"#;
    assert_eq!(read(listing).unwrap_err(), "line 3: wifi.SSID: JSON has no comments");
    let stripped: Vec<&str> = listing.lines().map(|line| line.split('#').next().unwrap()).collect();
    let stripped = stripped.join("\n");
    let (config, warnings) = read(&stripped).unwrap();
    assert_eq!((config.wifi.ssid, config.wifi.password), ("SSID", "***********"));
    assert_eq!(config.server.address(), Address::Ip("192.168.1.100".parse().unwrap()));
    assert_eq!(warnings, [""; 0]);
}
