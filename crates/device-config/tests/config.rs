//! What is read, what is odd, what is refused, and how that is said.

use tautline_device_config::{Address, Config, Problem, Server, Verification};

const GOOD: &str = r#"{
  "wifi": {"SSID": "lab", "password": "correct horse", "attempts": 3, "delay_in_msec": 200},
  "server": "wss://hub.local:8443/",
  "ssl": {"ca": "ca.crt", "cert": "me.crt", "key": "me.key", "cert_reqs": 2},
  "socket_delay_ms": 5
}"#;

/// Reads with enough memory; gives the warnings, or the error, as text.
fn read<T>(file: impl AsRef<[u8]>, look: impl FnOnce(Config<'_>) -> T) -> Result<(T, Vec<String>), String> {
    let file = file.as_ref();
    let (mut memory, mut warnings) = (vec![0; file.len()], vec![]);
    let config = Config::read(file, &mut memory, |warning| warnings.push(warning.to_string()));
    config.map(|config| (look(config), warnings)).map_err(|error| error.to_string())
}

/// The warnings, or the error.
fn check(file: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
    read(file, |_| ()).map(|(_, warnings)| warnings)
}

/// The good file with one thing changed.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    GOOD.replace(from, to)
}

#[test]
fn a_good_file_is_read_without_a_warning() {
    let (config, warnings) = read(GOOD, |config| format!("{config:?}")).unwrap();
    assert!(config.contains("correct horse") && config.contains("me.key"), "{config}");
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn each_mistake_is_named_with_its_line_and_key() {
    for (from, to, message) in [
        // What is missing.
        (r#""SSID": "lab", "#, "", "wifi.SSID: is missing"),
        (r#", "password": "correct horse""#, "", "wifi.password: is missing"),
        (r#", "attempts": 3"#, "", "wifi.attempts: is missing"),
        (r#", "delay_in_msec": 200"#, "", "wifi.delay_in_msec: is missing"),
        (r#""server": "wss://hub.local:8443/","#, "", "server: is missing"),
        (r#""key": "me.key", "#, "", "ssl.key: is missing"),
        (r#""cert": "me.crt", "#, "", "ssl.cert: is missing"),
        (r#", "cert_reqs": 2"#, "", "ssl.cert_reqs: is missing"),
        (",\n  \"socket_delay_ms\": 5", "", "socket_delay_ms: is missing"),
        (
            "\"ssl\": {\"ca\": \"ca.crt\", \"cert\": \"me.crt\", \"key\": \"me.key\", \"cert_reqs\": 2},",
            "",
            "ssl: is missing",
        ),
        // Values.
        (r#""lab""#, r#""""#, "line 2: wifi.SSID: has to be a text of 1 to 32 bytes without control characters"),
        (r#""lab""#, "7", "line 2: wifi.SSID: has to be a text of 1 to 32 bytes without control characters"),
        (r#""lab""#, r#""a\u0000""#, "line 2: wifi.SSID: has to be a text of 1 to 32 bytes without control characters"),
        ("correct horse", "short", "line 2: wifi.password: has to be empty, 8 to 63 bytes, or 64 hexadecimal digits"),
        (": 3", ": 0", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": -1", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": 3.5", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": 1e2", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": \"3\"", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": 99999999999", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 3", ": null", "line 2: wifi.attempts: has to be a whole number from 1 to 1000"),
        (": 200", ": 60001", "line 2: wifi.delay_in_msec: has to be a whole number from 0 to 60000"),
        (": 5", ": 60001", "line 5: socket_delay_ms: has to be a whole number from 0 to 60000"),
        ("reqs\": 2", "reqs\": 3", "line 4: ssl.cert_reqs: has to be a whole number from 0 to 2"),
        ("\"ca.crt\"", "[]", "line 4: ssl.ca: has to be a text of 1 to 128 bytes without control characters"),
        (
            "\"wss://hub.local:8443/\"",
            "{}",
            "line 3: server: has to be a text of 1 to 256 bytes without control characters",
        ),
        ("\"SSID\": \"lab\"", "\"SSID\": \"lab\", \"SSID\": \"x\"", "line 2: wifi.SSID: is there twice"),
        ("\"cert_reqs\": 2}", "\"cert_reqs\": 2}, \"server\": \"\"", "line 4: server: is there twice"),
        // The address.
        ("wss://hub", "https://hub", "line 3: server: has to begin with ws:// or wss://"),
        ("wss://hub", "hub", "line 3: server: has to begin with ws:// or wss://"),
        ("wss://hub", "wss://me@hub", "line 3: server: cannot have a user, a query or a fragment"),
        ("8443/", "8443/?id=", "line 3: server: cannot have a user, a query or a fragment"),
        ("hub.local", "", "line 3: server: has to name a host, or its IPv4 address, or its IPv6 address in brackets"),
        (
            "hub.local",
            "my hub",
            "line 3: server: has to name a host, or its IPv4 address, or its IPv6 address in brackets",
        ),
        (
            "hub.local",
            "192.168.1",
            "line 3: server: has to name a host, or its IPv4 address, or its IPv6 address in brackets",
        ),
        (
            "hub.local",
            "192.168.1.256",
            "line 3: server: has to name a host, or its IPv4 address, or its IPv6 address in brackets",
        ),
        (
            "hub.local",
            "[fd00::g]",
            "line 3: server: has to name a host, or its IPv4 address, or its IPv6 address in brackets",
        ),
        ("hub.local", "fd00::1", "line 3: server: its port has to be a number from 1 to 65535"),
        (":8443", ":0", "line 3: server: its port has to be a number from 1 to 65535"),
        (":8443", ":65536", "line 3: server: its port has to be a number from 1 to 65535"),
        (":8443", ":+1", "line 3: server: its port has to be a number from 1 to 65535"),
        (":8443", ":", "line 3: server: its port has to be a number from 1 to 65535"),
        (
            "8443/",
            "8443/my devices/",
            "line 3: server: its path cannot have blanks or other characters that are not ASCII: percent-encode them",
        ),
        // What is not JSON.
        ("3, \"delay", "3 \"delay", "line 2: wifi.attempts: a comma is missing after it"),
        ("},\n  \"server\"", "}\n  \"server\"", "line 3: wifi: a comma is missing after it"),
        ("200}", "200,}", "line 2: wifi.delay_in_msec: a comma after it that nothing follows"),
        ("5\n}", "5,\n}", "line 6: socket_delay_ms: a comma after it that nothing follows"),
        ("5\n}", "5\n}\n}", "line 7: something stands behind the last }"),
        ("5\n}", "5\n", "line 6: socket_delay_ms: the file ends too early"),
        ("\"SSID\":", "\"SSID\"", "line 2: SSID: a colon is missing behind it"),
        ("\"SSID\":", "SSID:", "line 2: wifi: a key in double quotes is expected after it"),
        ("\"lab\"", "\"lab", "line 2: wifi.SSID: a comma is missing after it"),
        ("\"lab\", ", "\"lab\n", "line 2: wifi.SSID: the text is not closed, or has control characters"),
        ("lab", r"\x6cab", "line 2: wifi.SSID: the text has an escape that there is not"),
        ("lab", r"\ud83d", "line 2: wifi.SSID: the text has an escape that there is not"),
        ("lab", r"\ud83d\u0041", "line 2: wifi.SSID: the text has an escape that there is not"),
        ("lab", r"\ude00\ud83d", "line 2: wifi.SSID: the text has an escape that there is not"),
        ("lab", r"\u12g4", "line 2: wifi.SSID: the text has an escape that there is not"),
        (": 3", ": 03", "line 2: wifi.attempts: not a number as JSON writes it"),
        (": 3", ": 3.", "line 2: wifi.attempts: not a number as JSON writes it"),
        ("{\n  \"wifi\"", "{ // mine\n  \"wifi\"", "line 1: JSON has no comments"),
        (
            "\"socket",
            "\"more\": [[[[[[[[[1]]]]]]]]],\n\"socket",
            "line 5: more: too many objects or lists within each other",
        ),
        ("\"socket", "\"more\": [1, 2 3],\n\"socket", "line 5: more: a comma is missing after it"),
        ("\"socket", "\"more\": [1,],\n\"socket", "line 5: more: a comma after it that nothing follows"),
        ("\"socket", "\"more\": nope,\n\"socket", "line 5: more: a value is expected"),
        ("\"socket", "\"more\": {1: 2},\n\"socket", "line 5: more: a key in double quotes is expected after it"),
    ] {
        assert_eq!(check(changed(from, to)), Err(message.to_owned()), "{from} -> {to}");
    }
}

#[test]
fn what_is_no_object_at_all_is_said() {
    for (file, message) in [
        ("", "line 1: the file ends too early"),
        ("\n\n", "line 3: the file ends too early"),
        ("[]", "line 1: the file has to begin with {"),
        ("{}", "server: is missing"),
        ("{", "line 1: the file ends too early"),
    ] {
        assert_eq!(check(file), Err(message.to_owned()), "{file}");
    }
    let not_utf8 = [&b"{\"wifi\": {\"SSID\": \"\xff\""[..], b"}}"].concat();
    assert_eq!(check(not_utf8), Err("line 1: wifi.SSID: the text is not UTF-8".to_owned()));
}

#[test]
fn a_missing_comma_is_forgiven_before_socket_delay_ms_only() {
    let file = changed("2},\n  \"socket", "2}\n\n  \"socket");
    let expected = ["line 6: socket_delay_ms: a comma is missing before it"];
    assert_eq!(check(&file).unwrap(), expected);
    // Not within another object, and not before anything else.
    let nested = changed("3, \"delay", "3 \"socket_delay_ms\": 1, \"delay");
    assert_eq!(check(nested), Err("line 2: wifi.attempts: a comma is missing after it".to_owned()));
    let other = changed("2},\n  \"socket_delay_ms\"", "2}\n  \"socket_delay\"");
    assert_eq!(check(other), Err("line 5: ssl: a comma is missing after it".to_owned()));
}

#[test]
fn keys_that_are_not_known_are_passed_over_with_a_warning() {
    let file = changed("\"socket", "\"led\": {\"pin\": [2, -1.5e3, true, null, \"\\\"}\"]},\n\"socket");
    assert_eq!(check(file).unwrap(), ["line 5: led: not known, and passed over"]);
    // The case counts, as it does on the controller.
    let file = changed("\"SSID\"", "\"ssid\"");
    assert_eq!(check(file), Err("wifi.SSID: is missing".to_owned()));
}

#[test]
fn escapes_are_decoded_in_keys_too() {
    let file = changed("\"SSID\": \"lab\"", r#""\u0053SID": "caf\u00E9 \ud83d\ude00 \"\\\/""#);
    assert_eq!(read(file, |config| config.wifi.ssid.to_owned()).unwrap(), ("café 😀 \"\\/".to_owned(), vec![]));
}

#[test]
fn only_texts_with_escapes_take_memory_and_as_much_as_they_decode_to() {
    let file = changed("lab", r"\u00e9l\u00e9").replace("me.key", r"m\u0065.key");
    let read = |room| Config::read(file.as_bytes(), &mut vec![0; room], |_| {}).map(drop).map_err(|e| e.to_string());
    assert_eq!(read(5 + 6), Ok(()));
    assert_eq!(read(5 + 5), Err("line 4: ssl.key: does not fit into the memory for texts with escapes".to_owned()));
}

#[test]
fn cert_reqs_1_is_taken_for_2_with_a_warning() {
    let file = changed("reqs\": 2", "reqs\": 1");
    let (verification, warnings) = read(file, |config| config.tls.unwrap().verification).unwrap();
    assert_eq!(verification, Verification::Required);
    assert_eq!(warnings, ["line 4: ssl.cert_reqs: 1 is taken for 2: the server's certificate has to be good"]);
}

#[test]
fn ssl_for_a_server_without_tls_is_odd() {
    let (tls, warnings) = read(changed("wss://", "ws://"), |config| config.tls.is_none()).unwrap();
    assert!(tls);
    assert_eq!(warnings, ["line 4: ssl: has no effect on a server of ws://"]);
}

#[test]
fn a_client_id_may_be_given() {
    let file = changed("\"socket", "\"client_id\": \"kitchen\",\n\"socket");
    assert_eq!(read(file, |config| config.client_id.map(str::to_owned)).unwrap(), (Some("kitchen".to_owned()), vec![]));
}

#[test]
fn passwords_are_those_that_wifi_allows() {
    for (password, good) in [
        (String::new(), true),
        ("x".repeat(7), false),
        ("x".repeat(8), true),
        ("x".repeat(63), true),
        ("a0".repeat(32), true),
        ("x".repeat(64), false),
        ("a".repeat(65), false),
    ] {
        assert_eq!(check(changed("correct horse", &password)).is_ok(), good, "{password}");
    }
}

#[test]
fn an_address_from_elsewhere_follows_the_same_rules() {
    let server = Server::parse("wss://[::1]/lab/").unwrap();
    assert_eq!((server.secure, server.host, server.port, server.path), (true, "::1", 443, "/lab/"));
    assert_eq!(Server::parse("http://hub/"), Err(Problem::Scheme));
    let long = format!("ws://hub/{}", "a".repeat(248));
    assert_eq!(Server::parse(&long), Err(Problem::Text(1, 256)));
    assert!(Server::parse(&long[..256]).is_ok());
}

#[test]
fn addresses_have_their_scheme_s_port_and_a_path() {
    for (url, expected) in [
        ("ws://hub", (false, "hub", 80, "/")),
        ("WSS://Hub.Local.", (true, "Hub.Local.", 443, "/")),
        ("ws://192.168.1.20:8000", (false, "192.168.1.20", 8000, "/")),
        ("wss://[fd00::1]/rooms/lab/", (true, "fd00::1", 443, "/rooms/lab/")),
        ("wss://[fd00::1]:8443/x%20y", (true, "fd00::1", 8443, "/x%20y")),
        ("ws://my_hub:1/", (false, "my_hub", 1, "/")),
    ] {
        let look = |config: Config<'_>| {
            let server = config.server;
            assert_eq!((server.secure, server.host, server.port, server.path), expected, "{url}");
            matches!(server.address(), Address::Ip(_))
        };
        let (is_ip, _) = read(changed("wss://hub.local:8443/", url), look).unwrap();
        assert_eq!(is_ip, expected.1.contains("::") || expected.1.contains("192"), "{url}");
    }
}

#[test]
fn nothing_makes_it_panic_and_what_it_takes_is_json() {
    let mut generator = fastrand::Rng::with_seed(8259);
    let pieces: [&[u8]; 16] = [
        b"\"", b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\\u", b"\\ud83d", b"0", b"-", b"\n", b"null", b"\xff",
        b"e9",
    ];
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut file = GOOD.as_bytes().to_vec();
        for _ in 0..generator.usize(1..4) {
            let at = generator.usize(..file.len());
            match generator.u8(..3) {
                0 => file[at] = generator.u8(..),
                1 => file.truncate(at + 1),
                _ => file.splice(at..at, generator.choice(pieces).unwrap().iter().copied()).for_each(drop),
            }
        }
        let outcome = check(&file);
        let forgiven = outcome.as_ref().is_ok_and(|warnings| warnings.iter().any(|w| w.contains("comma")));
        if outcome.is_ok() && !forgiven {
            taken += 1;
            let strict = serde_json::from_slice::<serde_json::Value>(&file);
            assert!(strict.is_ok(), "{}", String::from_utf8_lossy(&file));
        }
    }
    assert!(taken > 100, "the changes are too wild to show anything: {taken}");
}

#[test]
fn texts_mean_what_serde_json_says_they_mean() {
    let mut generator = fastrand::Rng::with_seed(8259);
    for _ in 0..2000 {
        let text: String =
            (0..generator.usize(1..8)).map(|_| generator.char(' '..)).filter(|c| !c.is_control()).collect();
        // Each character as it is, or as escapes.
        let escaped: String = text
            .chars()
            .map(|char| {
                if generator.bool() && !matches!(char, '"' | '\\') {
                    return char.to_string();
                }
                char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            })
            .collect();
        let meant: String = serde_json::from_str(&format!("\"{escaped}\"")).unwrap();
        assert_eq!(meant, text);
        let (ssid, _) =
            read(changed("\"lab\"", &format!("\"x{escaped}\"")), |config| config.wifi.ssid.to_owned()).unwrap();
        assert_eq!(ssid, format!("x{text}"));
    }
}
