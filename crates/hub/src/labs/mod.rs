//! The labs' servers that need no WebSocket: echo over TCP and UDP, and a receiver of datagrams.

mod tcp;
mod udp;

pub use tcp::tcp_echo;
pub use udp::{udp_echo, udp_receive};
