//! The board's addresses.

use embassy_net::{ConfigV6, Ipv4Address, Ipv6Address, Ipv6Cidr, Stack, StaticConfigV6};
use embassy_time::{Duration, Timer};

use crate::Chip;

/// The file with an IPv6 address, `fd00:1::5/64`, and behind a blank the address of a router, if there is one.
const FILE: &str = "ipv6";
/// The link-local network (RFC 4291 section 2.5.6).
const LINK_LOCAL: Ipv6Cidr = Ipv6Cidr::new(Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
/// How often to look for what nobody tells.
const A_WHILE: Duration = Duration::from_millis(100);

/// Gives the stack its IPv6 address: the one in the board's file `ipv6`, or without that file the link-local one that its Ethernet
/// address makes. What is wrong with the file is printed, and it is as if there were none.
pub fn configure_ipv6(stack: Stack<'_>, board: &dyn Chip) {
    let given = board.files().read(FILE).and_then(|file| {
        let config = core::str::from_utf8(file).ok().and_then(parse);
        if config.is_none() {
            board.print(format_args!("{FILE}: neither an address such as fd00:1::5/64, nor that and a router's"));
        }
        config
    });
    let config = given.or_else(|| {
        let address = Ipv6Cidr::from_link_prefix(&LINK_LOCAL, stack.hardware_address())?;
        Some(StaticConfigV6 { address, gateway: None, dns_servers: Default::default() })
    });
    stack.set_config_v6(config.map_or(ConfigV6::None, ConfigV6::Static));
}

/// The board's IPv6 address, if it has one.
pub fn ipv6(stack: Stack<'_>) -> Option<Ipv6Address> {
    stack.config_v6().map(|config| config.address.address())
}

/// The board's IPv4 address, as soon as DHCP has given it one. The stack does not tell: to it, a board is configured that has
/// an IPv6 address.
pub async fn ipv4(stack: Stack<'_>) -> Ipv4Address {
    loop {
        if let Some(config) = stack.config_v4() {
            return config.address.address();
        }
        Timer::after(A_WHILE).await;
    }
}

fn parse(text: &str) -> Option<StaticConfigV6> {
    let mut words = text.split_ascii_whitespace();
    let (address, bits) = words.next()?.split_once('/')?;
    let bits = bits.parse().ok().filter(|bits| *bits <= 128)?;
    let gateway = match words.next() {
        Some(router) => Some(unicast(router)?),
        None => None,
    };
    let address = Ipv6Cidr::new(unicast(address)?, bits);
    words.next().is_none().then(|| StaticConfigV6 { address, gateway, dns_servers: Default::default() })
}

fn unicast(text: &str) -> Option<Ipv6Address> {
    text.parse().ok().filter(|address: &Ipv6Address| !address.is_multicast() && !address.is_unspecified())
}
