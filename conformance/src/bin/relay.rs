//! `relay PORT`: standard input and output as a TCP connection to 127.0.0.1:PORT. QEMU starts one for each connection that its
//! guest opens, which is the only way out that the guest has.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::thread;

fn main() -> ExitCode {
    let Some(port) = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok()) else {
        return ExitCode::from(2);
    };
    // Nobody listens: the guest sees its connection end, as behind any forwarding router.
    let Ok(there) = TcpStream::connect(("127.0.0.1", port)) else { return ExitCode::FAILURE };
    let Ok(back) = there.try_clone() else { return ExitCode::FAILURE };
    thread::spawn(move || {
        let there = back;
        let _ = pump(io::stdin().lock(), &there);
        let _ = there.shutdown(Shutdown::Write);
    });
    // When the server has ended its side, so has the whole connection: the guest is told by our end.
    let _ = pump(&there, io::stdout().lock());
    ExitCode::SUCCESS
}

fn pump(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => {
                to.write_all(&buffer[..length])?;
                to.flush()?;
            }
        }
    }
}
