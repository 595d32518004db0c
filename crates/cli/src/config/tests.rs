use super::define::Fallback;
use super::keys::SECTIONS;
use super::*;

/// What these variables and this file's text make.
fn load(options: &Options, variables: &[(&str, &str)], text: &str) -> Result<Config, Vec<String>> {
    let mut problems = Vec::new();
    let file = File::parse("t.toml".into(), text, &mut problems);
    let environment = |name: &str| {
        let variable = variables.iter().find(|(variable, _)| *variable == name);
        variable.map(|(_, value)| OsString::from(value))
    };
    Config::of(options, &environment, file.as_ref(), problems).map_err(|problems| problems.0)
}

fn of_file(text: &str) -> Config {
    load(&Options::default(), &[], text).unwrap()
}

fn problems_of(text: &str) -> Vec<String> {
    load(&Options::default(), &[], text).unwrap_err()
}

/// What `tautline serve` makes of these arguments.
fn options(arguments: &[&str]) -> Options {
    #[derive(clap::Parser)]
    struct Serve {
        #[command(flatten)]
        options: Options,
        // Behind them, as those of all commands are: what is taken from the command line is no longer there.
        #[command(flatten)]
        _logging: crate::logging::Args,
    }
    let Serve { options, .. } = clap::Parser::try_parse_from([&["serve"], arguments].concat()).unwrap();
    options
}

/// All values, without where they come from.
fn values(config: &Config) -> Vec<(&'static str, &'static str, Option<String>)> {
    config.settled.iter().map(|settled| (settled.key.section, settled.key.name, settled.toml.clone())).collect()
}

#[test]
fn the_defaults_are_those_of_the_libraries() {
    let config = of_file("");
    assert_eq!((&*config.listen.host, config.listen.port, config.listen.app), ("127.0.0.1", 8000, None));
    let (protocol, send_queue, compression_backend) = tautline::Settings::default().parts();
    let websocket = &config.websocket;
    let same = protocol.max_message(websocket.max_message.0).max_frame(websocket.max_message.0);
    let same = same.ping_interval(Some(websocket.ping_interval)).pong_timeout(websocket.ping_timeout);
    assert_eq!(same, protocol);
    assert_eq!(websocket.origins, tautline::Origins::default());
    assert_eq!(config.websocket.send_queue.0, send_queue as u64);
    assert_eq!(config.websocket.compression_backend, compression_backend);
    let rooms = tautline_rooms::Settings::default();
    assert_eq!(config.rooms.default, rooms.default);
    assert_eq!(config.rooms.rooms, rooms.rooms);
    assert!(config.rooms.named.is_empty() && config.tls.is_none());
    assert_eq!(config.store.path, Place::Directory("tautline-data".into()));
}

#[test]
fn the_annotated_file_is_read_back_as_the_defaults() {
    let read = of_file(&print::annotated());
    assert_eq!(values(&read), values(&of_file("")));
    assert!(read.tls.is_none(), "what stands there as the default asks for nothing");
    let from_file = read.settled.iter().filter(|settled| matches!(settled.origin, Origin::File(..))).count();
    let with_default = |key: &&define::Key| matches!(key.fallback, Fallback::Value(_));
    assert_eq!(from_file, SECTIONS.iter().flat_map(|section| section.keys).filter(with_default).count());
}

#[test]
fn the_examples_of_the_annotated_file_are_good() {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(code) if !code.starts_with(' ') => code.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<String> = print::annotated().lines().map(uncommented).collect();
    let config = of_file(&text.join("\n"));
    assert!(config.tls.is_some_and(|tls| tls.port == Some(8443)));
    assert!(config.rooms.named["plant 7"].durable);
    assert!(config.settled.iter().all(|settled| settled.toml.is_some()));
}

#[test]
fn what_counts_is_printed_as_a_file_that_says_the_same() {
    let text = "[listen]\nport = 9\n[websocket]\nping_interval = 0.5\norigins = [\"https://a.example\", \"null\"]\n\
                [store]\npath = \"\"\n[rooms.named.\"a \\\"b\\\"\"]\nhistory_bytes = 5000\n";
    let config = of_file(text);
    let printed = print::effective(&config);
    assert_eq!(values(&of_file(&printed)), values(&config), "{printed}");
    assert!(printed.contains("port = 9 ") && printed.contains("# t.toml:2\n"), "{printed}");
    assert!(printed.contains("path = \"memory\""), "{printed}");
}

#[test]
fn every_key_is_well_defined() {
    let keys: Vec<_> = SECTIONS.iter().flat_map(|section| section.keys).collect();
    for (index, key) in keys.iter().enumerate() {
        assert!(key.text().ends_with('.') && !key.section.is_empty(), "{key:?}");
        assert!(key.variable.starts_with("TAUTLINE_"), "{key:?}");
        assert!(keys[..index].iter().all(|other| other.variable != key.variable), "{key:?}");
        let form = (key.form)(key);
        assert!(!form.is_empty() && !form.contains("from  "), "{key:?}: {form}");
    }
    // A default that is written otherwise than it is shown would make the annotated file and `--effective` differ.
    for settled in &of_file("").settled {
        if let Fallback::Value(default) = settled.key.fallback {
            assert_eq!(settled.toml.as_deref(), Some(default), "{:?}", settled.key);
        }
    }
}

#[test]
fn an_option_goes_before_its_variable_and_that_before_the_file() {
    let text = "[listen]\nport = 1\n";
    let variables = [("TAUTLINE_PORT", "2")];
    let given = options(&["--port", "3"]);
    let port = |options: &Options, variables: &[_], text| {
        let config = load(options, variables, text).unwrap();
        let settled = config.settled.iter().find(|settled| settled.key.is("listen", "port")).unwrap();
        (config.listen.port, settled.origin.to_string())
    };
    assert_eq!(port(&given, &variables, text), (3, "--port".into()));
    assert_eq!(port(&Options::default(), &variables, text), (2, "TAUTLINE_PORT".into()));
    assert_eq!(port(&Options::default(), &[], text), (1, "t.toml:2".into()));
    assert_eq!(port(&Options::default(), &[], ""), (8000, "default".into()));
}

#[test]
fn a_bad_value_names_its_place_and_what_it_can_be() {
    for (text, problem) in [
        ("[listen]\nport = 70000", "t.toml:2: port cannot be 70000: a whole number from 0 to 65535 is needed"),
        ("[listen]\n\nport = \"80\"", "t.toml:3: port cannot be \"80\": a whole number from 0 to 65535 is needed"),
        (
            "[websocket]\nping_timeout = 0",
            "t.toml:2: ping_timeout cannot be 0: a number of seconds from 0.001 to 31536000 is needed",
        ),
        (
            "[websocket]\nping_interval = -1",
            "t.toml:2: ping_interval cannot be -1: a number of seconds from 0.001 to 31536000, or 0 is needed",
        ),
        (
            "[tls]\nclient_auth = 3",
            "t.toml:2: client_auth cannot be 3: none, optional or required (or 0, 1 or 2) is needed",
        ),
        ("[rooms.default]\ndurable = \"yes\"", "t.toml:2: durable cannot be \"yes\": true or false is needed"),
        ("[tls]\nkey_password = 12345", "t.toml:2: key_password cannot be this: text is needed"),
        (
            "[log]\nlevel = \"loud\"",
            "t.toml:2: level cannot be \"loud\": off, error, warn, info, debug or trace (or critical or warning) is needed",
        ),
    ] {
        assert_eq!(problems_of(text), [problem]);
    }
    let bad = load(&options(&["--port", "x"]), &[("TAUTLINE_LOOPS", "0")], "").unwrap_err();
    assert_eq!(bad[0], "--port cannot be \"x\": a whole number from 0 to 65535 is needed");
    assert_eq!(bad[1], "TAUTLINE_LOOPS cannot be \"0\": a whole number from 1 to 256 is needed");
}

#[test]
fn all_problems_are_found_at_once() {
    let text = "[listen]\nprot = 1\nport = -1\n[rooms.default]\nmembers = 0\n[rooms.named.a]\nslow = \"no\"\n[rooms.named.b]\n";
    let lines: Vec<_> =
        problems_of(text).iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["t.toml:2", "t.toml:3", "t.toml:5", "t.toml:7"]);
    let failure = Problems(problems_of(text)).into_failure().to_string();
    assert!(failure.starts_with("t.toml:2: ") && failure.contains("(and 3 more: "), "{failure}");
}

#[test]
fn rooms_inherit_what_they_do_not_say() {
    let text = "[rooms]\nlimit = 7\n[rooms.default]\nhistory_messages = 5\nslow = \"drop-oldest\"\n\
                [rooms.named.\"plant 7\"]\ndurable = true\nslow = \"keep-latest\"\n";
    let config =
        load(&Options::default(), &[("TAUTLINE_ROOM_MEMBERS", "3"), ("TAUTLINE_ROOM_SLOW", "disconnect")], text);
    let rooms = config.unwrap().rooms;
    let (default, named) = (&rooms.default, &rooms.named["plant 7"]);
    assert_eq!((rooms.rooms, default.durable, default.history_messages, default.members), (7, false, 5, 3));
    assert_eq!((named.durable, named.history_messages, named.members), (true, 5, 3));
    assert_eq!(default.slow, tautline_rooms::SlowConsumer::Disconnect, "the variable goes before the file");
    assert_eq!(named.slow, tautline_rooms::SlowConsumer::KeepLatest, "but a room's own section is about that room");
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let found = problems_of("[rooms.named.a]\ndurable = true\nhistory_bytes = 10\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("t.toml:3: [rooms.named.\"a\"]: `history_bytes` must be"), "{found:?}");
    let found = problems_of("[tls]\nport = 8000\n");
    assert_eq!(found, ["[listen] and [tls] both have port 8000: each needs its own"]);
}

#[test]
fn anything_about_certificates_asks_for_tls() {
    assert!(of_file("[tls]\n").tls.is_none());
    assert!(of_file("[tls]\nclient_auth = \"none\"\ncertificate = \"\"\n").tls.is_none());
    for text in ["port = 0", "certificate = \"a\"", "client_auth = 2", "client_ca = \"a\"", "key_password = \"a\""] {
        assert!(of_file(&format!("[tls]\n{text}")).tls.is_some(), "{text}");
    }
}

#[test]
fn the_command_lines_of_other_servers_mean_the_same() {
    let uvicorn = options(&[
        "--host",
        "0.0.0.0",
        "--port",
        "8443",
        "--ws-ping-interval",
        "10",
        "--ws-ping-timeout",
        "10",
        "--ssl-keyfile=./tls/server.key",
        "--ssl-certfile=./tls/server.crt",
        "--ssl-keyfile-password",
        "p",
        "--ssl-ca-certs",
        "ca.crt",
        "--ssl-cert-reqs",
        "1",
        "--ws-max-size",
        "5",
        "--log-level",
        "warning",
    ]);
    let config = load(&uvicorn, &[], "[tls]\nport = 1\n").unwrap();
    let tls = config.tls.clone().unwrap();
    let password = |tls: &Tls| tls.key_password.as_ref().map(|password| password.0.clone());
    assert_eq!((tls.port, password(&tls).as_deref()), (None, Some("p")), "the only port speaks TLS");
    assert_eq!(tls.client_auth, tautline_identity::ClientAuth::Optional);
    assert_eq!(tls.certificate.as_deref(), Some(Path::new("./tls/server.crt")));
    assert_eq!((config.websocket.max_message.0, config.log.level), (5, crate::logging::Level::Warn));
    assert!(config.level_is_explicit());

    let given = ["--ssl", "--ssl-ca-cert=tls/ca/ca.crt", "--ssl-certs-reqs=2", "--ssl-password=p", "--port=8443"];
    let tls = load(&options(&given), &[], "").unwrap().tls.unwrap();
    assert_eq!((tls.client_auth, tls.port), (tautline_identity::ClientAuth::Required, None));
    assert_eq!((tls.client_ca.as_deref(), password(&tls).as_deref()), (Some(Path::new("tls/ca/ca.crt")), Some("p")));

    assert!(load(&options(&["--ssl"]), &[], "").unwrap().tls.is_some_and(|tls| tls.port.is_none()));
    let both = load(&options(&["--ssl-certfile", "a", "--tls-port", "0"]), &[], "").unwrap();
    assert_eq!(both.tls.unwrap().port, Some(0));
}

#[test]
fn rust_log_goes_before_the_level_of_a_file_only() {
    assert!(!of_file("[log]\nlevel = \"debug\"").level_is_explicit());
    assert!(!of_file("").level_is_explicit());
    assert!(load(&options(&["--log-level", "info"]), &[], "").unwrap().level_is_explicit());
    assert!(load(&Options::default(), &[("TAUTLINE_LOG_LEVEL", "info")], "").unwrap().level_is_explicit());
}

#[test]
fn secrets_are_not_shown() {
    let config = of_file("[tls]\nkey_password = \"hunter2\"\n");
    let printed = print::effective(&config);
    assert!(printed.contains("key_password is set") && !printed.contains("hunter2"), "{printed}");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn authentication_cannot_be_required_and_left_out() {
    let environment = [("TAUTLINE_REQUIRE_AUTHENTICATION", "true")];
    assert!(load(&options(&[]), &environment, "").unwrap().access.require_authentication);
    let problems = load(&options(&["--insecure"]), &environment, "").unwrap_err();
    assert!(problems.iter().any(|line| line.contains("exclude each other")), "{problems:?}");
}

#[test]
fn nothing_can_be_kept() {
    for options in [options(&["--no-store"]), options(&["--data", "memory"]), options(&["--data", ""])] {
        assert_eq!(load(&options, &[("TAUTLINE_DATA", "x")], "").unwrap().store.path, Place::Memory);
    }
}

#[test]
fn the_reference_is_made_from_the_definition() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let begin = page.find("## `[listen]`").expect("the first table");
    let advice =
        "docs/reference/configuration.md: put what `tautline config --markdown` prints from the first table on";
    assert!(page[begin..] == print::markdown(), "{advice}");
}
