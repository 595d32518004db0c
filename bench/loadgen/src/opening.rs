//! The opening handshake (RFC 6455 section 4).

use crate::failure::{Failure, Result};
use crate::net::{Connection, raise_file_limit};

/// The key of section 1.3 and the value that answers it. A real client takes a random one each time.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) fn request(port: u16, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// Whether the reply's head is complete.
///
/// # Errors
/// It is not a 101 with the right value, or something follows that nobody has asked for.
pub(crate) fn is_complete(reply: &[u8]) -> Result<bool> {
    let Some(end) = reply.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&reply[..end]);
    if !head.starts_with("HTTP/1.1 101") || !head.contains(ACCEPT) {
        return Err(Failure::new(format!("the handshake was answered with: {head}")));
    }
    if end + 4 < reply.len() {
        return Err(Failure::new("bytes behind the answer to the handshake"));
    }
    Ok(true)
}

/// Opens `count` WebSocket connections one after the other; without a `path`, plain TCP ones.
pub(crate) fn open_all(count: usize, port: u16, path: Option<&str>) -> Result<Vec<Connection>> {
    raise_file_limit();
    (0..count)
        .map(|index| {
            let connection = Connection::open(index, port)?;
            if let Some(path) = path {
                upgrade(&connection, port, path)?;
            }
            connection.set_nonblocking()?;
            Ok(connection)
        })
        .collect()
}

fn upgrade(connection: &Connection, port: u16, path: &str) -> Result<()> {
    connection.write_short(request(port, path).as_bytes())?;
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    while !is_complete(&reply)? {
        match connection.read(&mut buffer)? {
            [] => return Err(Failure::new("no answer to the handshake in 10 s")),
            bytes => reply.extend_from_slice(bytes),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_101_with_the_right_value_and_nothing_behind_it_is_accepted() {
        let reply = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        assert!(is_complete(reply.as_bytes()).unwrap());
        assert!(!is_complete(&reply.as_bytes()[..reply.len() - 1]).unwrap());
        is_complete(format!("{reply}x").as_bytes()).unwrap_err();
        is_complete(reply.replace("101", "400").as_bytes()).unwrap_err();
        is_complete(reply.replace("s3p", "S3P").as_bytes()).unwrap_err();
    }
}
