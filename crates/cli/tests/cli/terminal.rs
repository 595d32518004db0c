//! `tautline connect` at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::tcgetattr;

use super::{LIMIT, Tautline};

/// The outer end of a terminal, and what has been shown on it.
struct Terminal {
    keyboard: File,
    shown: Receiver<Vec<u8>>,
    screen: String,
}

impl Terminal {
    /// Starts a program at a terminal.
    fn start(arguments: &[&str]) -> (Self, std::process::Child) {
        Self::start_with_output(arguments, None)
    }

    /// The same with the output going elsewhere.
    fn start_with_output(arguments: &[&str], output: Option<Stdio>) -> (Self, std::process::Child) {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let path = ptsname(&outer, Vec::new()).unwrap().into_string().unwrap();
        let inner = || Stdio::from(File::options().read(true).write(true).open(&path).unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_tautline"))
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(inner())
            .stdout(output.unwrap_or_else(inner))
            .stderr(inner())
            .spawn()
            .unwrap();
        let keyboard = File::from(outer);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with an error when nobody has the inner end any more.
            while let Ok(n) = screen.read(&mut chunk) {
                if sender.send(chunk[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        (Self { keyboard, shown, screen: String::new() }, child)
    }

    fn enter(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// Waits until this is shown, behind what was waited for before.
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.screen.find(text) {
                self.screen.drain(..at + text.len());
                return;
            }
            let chunk = self.shown.recv_timeout(LIMIT);
            let chunk = chunk.unwrap_or_else(|_| panic!("{text:?} is not shown, but {:?}", self.screen));
            self.screen.push_str(&String::from_utf8_lossy(&chunk));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lines_can_be_edited_while_messages_come_and_the_terminal_is_left_as_it_was() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let (mut terminal, mut client) = Terminal::start(&["connect", &format!("ws://{address}/echo")]);
    terminal.wait_for("/help");
    terminal.wait_for("> ");
    // With the cursor moved to the front, and something deleted.
    terminal.enter("ello\u{1}hx\u{8}");
    terminal.wait_for("< hello");
    terminal.enter("/binary 00ff");
    terminal.wait_for("< [2 bytes] 00 ff");
    terminal.enter("/ping");
    terminal.wait_for("* pong after ");
    terminal.enter("/nope");
    terminal.wait_for("* there is no /nope");
    terminal.enter("/close 4000 over");
    terminal.wait_for("closed with 4000");
    assert!(client.wait().unwrap().success());
    let settings = tcgetattr(&terminal.keyboard).unwrap();
    assert!(settings.local_modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_end_of_a_connection_is_shown_while_a_line_is_being_edited() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let (mut terminal, mut client) = Terminal::start(&["connect", &format!("ws://{address}/hello")]);
    terminal.wait_for("> ");
    terminal.enter("Ada");
    terminal.wait_for("< Hello Ada!");
    terminal.wait_for("the server closed with 1000 (normal closure)");
    assert!(client.wait().unwrap().success());
    let settings = tcgetattr(&terminal.keyboard).unwrap();
    assert!(settings.local_modes.contains(rustix::termios::LocalModes::ECHO));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn redirected_output_has_the_messages_and_nothing_else() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let url = format!("ws://{address}/hello");
    let (mut terminal, mut client) = Terminal::start_with_output(&["connect", &url], Some(Stdio::piped()));
    terminal.enter("Ada");
    assert!(client.wait().unwrap().success());
    let mut output = String::new();
    client.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "Hello Ada!\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_device_shows_light_lamp_and_link_below_what_arrives() {
    let (_server, address) = Tautline::serve(&["serve", "--port", "0"]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let wifi = r#"{ "SSID": "lab", "password": "", "attempts": 1, "delay_in_msec": 0 }"#;
    let text = format!(r#"{{ "wifi": {wifi}, "server": "ws://{address}/", "socket_delay_ms": 5 }}"#);
    std::fs::write(&config, text).unwrap();
    let (mut terminal, mut device) =
        Terminal::start(&["device", "--config", config.to_str().unwrap(), "--client-id", "esp"]);
    terminal.wait_for("wifi lab: not joined");
    terminal.wait_for("welcome, esp, to main");
    terminal.wait_for("● SOS  ○ lamp  connected, ");
    terminal.wait_for("○ SOS  ○ lamp  connected, ");
    let body = r#"{"name": "led", "payload": {"on": true}}"#;
    let request = format!(
        "POST /api/devices/esp/commands HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut api = std::net::TcpStream::connect(&address).unwrap();
    api.write_all(request.as_bytes()).unwrap();
    terminal.wait_for("lamp on\r\n");
    terminal.wait_for(" SOS  ● lamp  connected, ");
    kill_process(Pid::from_child(&device), Signal::INT).unwrap();
    terminal.wait_for("closed with 1000");
    assert!(device.wait().unwrap().success());
}
