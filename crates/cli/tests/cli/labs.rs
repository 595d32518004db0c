//! `tautline labs`.

use std::collections::HashMap;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Tautline, run, text};

const NAMES: [&str; 6] = ["hello", "clock", "counter", "tcp-echo", "udp-echo", "udp-receiver"];

/// All labs on free ports of 127.0.0.1, and their addresses by name.
async fn start() -> (Tautline, HashMap<String, String>) {
    let ports = NAMES.map(|name| format!("{name}=0"));
    let mut arguments = vec!["labs", "--host", "127.0.0.1"];
    for port in &ports {
        arguments.extend(["--port", port]);
    }
    let mut labs = Tautline::start(&arguments);
    assert!(labs.line().await.starts_with("NAME "));
    let mut addresses = HashMap::new();
    for _ in NAMES {
        let line = labs.line().await;
        let mut columns = line.split_whitespace();
        let (name, url) = (columns.next().unwrap(), columns.next().unwrap());
        addresses.insert(name.to_owned(), url.split_once("://").unwrap().1.to_owned());
    }
    (labs, addresses)
}

#[tokio::test]
async fn all_labs_run_at_once() {
    let (mut labs, at) = start().await;
    assert_eq!(text(&run(&["connect", &at["hello"]], b"Ada\n").await.stdout), "Hello Ada!\n");
    let counted = run(&["connect", &at["counter"]], b"{\"action\": \"plus\"}\n").await;
    assert!(text(&counted.stdout).ends_with("{\"type\": \"state\", \"value\": 1}\n"), "{}", text(&counted.stdout));
    let time = run(&["connect", &at["clock"], "--linger", "0.1"], b"").await;
    assert!(text(&time.stdout).lines().next().is_some_and(|line| line.ends_with('Z')));

    let mut tcp = TcpStream::connect(&at["tcp-echo"]).await.unwrap();
    tcp.write_all(b"Hola, mundo").await.unwrap();
    let mut echo = [0; 11];
    tcp.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"Hola, mundo");

    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    udp.send_to(b"Hola", &at["udp-echo"]).await.unwrap();
    let mut echo = [0; 10];
    assert_eq!(udp.recv(&mut echo).await.unwrap(), 4);
    udp.send_to(b"Hola, mundo!", &at["udp-receiver"]).await.unwrap();
    let own = udp.local_addr().unwrap();
    assert_eq!(labs.line().await, format!("udp-receiver: {own}: Hola, mundo!"));
    udp.send_to(&[0xff, 0x1b], &at["udp-receiver"]).await.unwrap();
    assert_eq!(labs.line().await, format!("udp-receiver: {own}: ff 1b (hex)"));

    drop(tcp);
    labs.signal(Signal::TERM);
    assert_eq!(labs.end().await.0, Some(0));
}

#[tokio::test]
async fn a_taken_port_names_the_server_and_how_to_leave_it_out() {
    let (_labs, at) = start().await;
    let port = at["clock"].rsplit(':').next().unwrap();
    let mut arguments = vec!["labs", "--host", "127.0.0.1"];
    for skipped in NAMES.iter().filter(|name| **name != "clock") {
        arguments.extend(["--skip", skipped]);
    }
    let clock = format!("clock={port}");
    arguments.extend(["--port", &clock]);
    let second = run(&arguments, b"").await;
    assert_eq!(second.status.code(), Some(1));
    let error = text(&second.stderr);
    assert!(error.starts_with(&format!("error: port {port} is taken")) && error.ends_with("--skip clock\n"), "{error}");
    assert_eq!(error.lines().count(), 1);
}
