//! The board's addresses.

use embassy_net::{Config, ConfigV6, Ipv4Address, Ipv6Address, Ipv6Cidr, Stack, StaticConfigV6};
use embassy_time::{Duration, Timer};

use crate::Chip;

/// The file with an IPv6 address: `fd00:1::5/64`, and behind a blank the address of a router, if there is one.
const IPV6: &str = "ipv6";

/// The link-local network (RFC 4291 section 2.5.6).
const LINK_LOCAL: Ipv6Cidr = Ipv6Cidr::new(Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64);
/// How often to look for what nobody tells.
const A_WHILE: Duration = Duration::from_millis(100);

/// What addresses the board has: of IPv4 what DHCP gives; of IPv6 the link-local one that its Ethernet address makes, and the one in
/// its file `ipv6`, if it has that. What is wrong with the file is printed, and it is as if there were none.
pub fn addresses(board: &dyn Chip) -> Config {
    let mut config = Config::dhcpv4(Default::default());
    if let Some(file) = board.files().read(IPV6) {
        match core::str::from_utf8(file).ok().and_then(parse) {
            Some(address) => config.ipv6 = ConfigV6::Static(address),
            None => {
                board.print(format_args!("{IPV6}: no address such as fd00:1::5/64, with that of a router or without"))
            }
        }
    }
    config
}

/// The board's IPv4 address, as soon as DHCP has given it one. The stack does not tell of it: to it, a board that has an IPv6 address
/// is configured.
pub async fn ipv4(stack: Stack<'_>) -> Ipv4Address {
    loop {
        if let Some(config) = stack.config_v4() {
            return config.address.address();
        }
        Timer::after(A_WHILE).await;
    }
}

/// The board's IPv6 addresses.
pub fn ipv6(stack: Stack<'_>) -> impl Iterator<Item = Ipv6Address> {
    let link_local = Ipv6Cidr::from_link_prefix(&LINK_LOCAL, stack.hardware_address());
    link_local.into_iter().chain(stack.config_v6().map(|config| config.address)).map(|network| network.address())
}

/// Reads the file `ipv6`.
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
