//! What the clients of one address may have together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::bucket::{Bucket, SECOND};

/// From how many addresses on those are forgotten of which there is nothing to remember.
const SWEEP: usize = 1024;

/// How many addresses without a connection are remembered at most.
const ABSENT: usize = 64 * 1024;

/// How often there is a line in the log about an address at most, in nanoseconds.
const PERIOD: u64 = 60 * SECOND;

/// How many lines there are in the log in a second in the long run, about all addresses.
const LINES: u32 = 1;

/// What the clients of one address may have together. An address is one of IPv4, or the first 64 bits of one of IPv6, which is
/// what a single customer or a single house usually has.
///
/// The defaults are for a building, not for a desk: whole classrooms and factories are behind one address. A proxy on another
/// machine is one address, too: either it keeps limits of its own, or these are turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    connections: u32,
    rate: u32,
    loopback: bool,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl AddressLimits {
    /// The defaults, which each setter names.
    pub const fn new() -> Self {
        Self { connections: 1000, rate: 100, loopback: false }
    }

    /// How many connections there can be at once; 0 is no limit. Default 1,000.
    pub const fn connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// How many may come in a second in the long run; 0 is no limit. As many as come in five seconds may come at once.
    /// Default 100.
    pub const fn rate(self, per_second: u32) -> Self {
        Self { rate: per_second, ..self }
    }

    /// Whether the limits hold for this machine, too. Default: no. A proxy is there, or a tool that has reasons.
    pub const fn loopback(self, on: bool) -> Self {
        Self { loopback: on, ..self }
    }
}

/// The addresses that have something, and how much. Clones are handles to the same.
///
/// An address takes up 50 to 100 bytes. Those without a connection are forgotten when there is nothing to remember of them, and there
/// are never more than 65,536 besides those that had connections lately.
#[derive(Clone, Debug)]
pub struct Addresses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: AddressLimits,
    start: Instant,
    table: Mutex<Table>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self::new(AddressLimits::new())
    }
}

impl Addresses {
    /// None yet.
    pub fn new(limits: AddressLimits) -> Self {
        Self(Arc::new(Inner { limits, start: Instant::now(), table: Mutex::default() }))
    }

    /// A connection comes. It counts until the answer is dropped. `None`: it is not limited.
    ///
    /// # Errors
    ///
    /// Its address has as many as it may, or they come too fast.
    pub fn enter(&self, ip: IpAddr) -> Result<Option<Share>, TooMuch> {
        let Some(network) = self.limited(ip) else { return Ok(None) };
        let AddressLimits { connections, rate, .. } = self.0.limits;
        let now = self.now();
        let mut table = self.table();
        let entry = table.entry(network, now);
        if connections > 0 && entry.open >= connections {
            return Err(table.refuse(network, now, Excess::Connections, RETRY_AFTER));
        }
        if let Err(wait) = entry.bucket.take(now, rate) {
            return Err(table.refuse(network, now, Excess::Rate, wait));
        }
        entry.open += 1;
        Ok(Some(Share(Some((self.clone(), network)))))
    }

    /// Something else comes that is limited by [`AddressLimits::rate`]: a request, say.
    ///
    /// # Errors
    ///
    /// They come too fast from its address.
    pub fn take(&self, ip: IpAddr) -> Result<(), TooMuch> {
        let Some(network) = self.limited(ip) else { return Ok(()) };
        let now = self.now();
        let mut table = self.table();
        let taken = table.entry(network, now).bucket.take(now, self.0.limits.rate);
        taken.map_err(|wait| table.refuse(network, now, Excess::Rate, wait))
    }

    /// A connection has ended whose [`Share`] was [kept](Share::keep).
    pub fn leave(&self, ip: IpAddr) {
        if let Some(network) = self.limited(ip) {
            self.table().leave(network);
        }
    }

    fn limited(&self, ip: IpAddr) -> Option<Network> {
        let AddressLimits { connections, rate, loopback } = self.0.limits;
        let ip = ip.to_canonical();
        ((connections > 0 || rate > 0) && (loopback || !ip.is_loopback())).then(|| Network::of(ip))
    }

    /// In nanoseconds, for five centuries.
    fn now(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What is locked is sound whenever it can be, so a panic elsewhere does not matter.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection has of what its address may have. It is given back when this is dropped.
#[derive(Debug)]
pub struct Share(Option<(Addresses, Network)>);

impl Share {
    /// Keeps it, without the memory that this takes: whoever does so calls [`Addresses::leave`] once when the connection has
    /// ended.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some((addresses, network)) = &self.0 {
            addresses.table().leave(*network);
        }
    }
}

/// An address has more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMuch {
    /// Of what.
    pub excess: Excess,
    /// When to come back, in seconds.
    pub retry_after: u32,
    /// If it is time for a line in the log: how many were refused to this address since the last one. There is one for an address
    /// in a minute, and one in a second for all.
    pub to_log: Option<u32>,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Connections at once.
    Connections,
    /// Connections, or whatever else is counted, in a time.
    Rate,
}

/// When a client is to come back whose address has as many connections as it may, in nanoseconds.
const RETRY_AFTER: u64 = 5 * SECOND;

/// What counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl Network {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            // What is left fits.
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Network, Entry>,
    /// How many there are when it is looked next for those that can be forgotten.
    sweep_at: usize,
    /// The lines in the log.
    lines: Bucket,
}

/// What an address has.
#[derive(Debug, Default)]
struct Entry {
    open: u32,
    /// How many were refused since the last line in the log.
    refused: u32,
    bucket: Bucket,
    /// When there may be a line in the log again, in nanoseconds.
    tell_at: u64,
}

impl Entry {
    fn is_absent(&self) -> bool {
        self.open == 0
    }

    fn is_to_remember(&self, now: u64) -> bool {
        !self.is_absent() || !self.bucket.is_full(now) || self.tell_at > now
    }
}

impl Table {
    fn entry(&mut self, network: Network, now: u64) -> &mut Entry {
        if self.entries.len() >= self.sweep_at.max(SWEEP) {
            self.sweep(now);
        }
        self.entries.entry(network).or_default()
    }

    /// Forgets what there is no reason to remember. Its cost is spread over as many new addresses as there are left.
    fn sweep(&mut self, now: u64) {
        self.entries.retain(|_, entry| entry.is_to_remember(now));
        if self.entries.values().filter(|entry| entry.is_absent()).count() > ABSENT / 2 {
            // Somebody has very many. It bounds their memory, and what they have used of their rates is theirs again.
            self.entries.retain(|_, entry| !entry.is_absent());
        }
        self.sweep_at = self.entries.len() + (self.entries.len()).clamp(SWEEP, ABSENT / 2);
        self.entries.shrink_to(self.sweep_at);
    }

    fn refuse(&mut self, network: Network, now: u64, excess: Excess, wait: u64) -> TooMuch {
        let Self { entries, lines, .. } = self;
        let entry = entries.entry(network).or_default();
        entry.refused = entry.refused.saturating_add(1);
        let to_log = (now >= entry.tell_at && lines.take(now, LINES).is_ok()).then(|| {
            entry.tell_at = now + PERIOD;
            std::mem::take(&mut entry.refused)
        });
        let retry_after = u32::try_from(wait.div_ceil(SECOND)).unwrap_or(u32::MAX);
        TooMuch { excess, retry_after, to_log }
    }

    fn leave(&mut self, network: Network) {
        if let Some(entry) = self.entries.get_mut(&network) {
            entry.open = entry.open.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Duration;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn limits(connections: u32, rate: u32) -> Addresses {
        Addresses::new(AddressLimits::new().connections(connections).rate(rate))
    }

    fn excess<T>(result: Result<T, TooMuch>) -> Option<Excess> {
        result.err().map(|much| much.excess)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_connections_until_some_end() {
        let addresses = limits(2, 0);
        let (first, second) = (addresses.enter(CLIENT).unwrap(), addresses.enter(CLIENT).unwrap());
        let refused = addresses.enter(CLIENT).unwrap_err();
        assert_eq!((refused.excess, refused.retry_after), (Excess::Connections, 5));
        assert!(addresses.enter(Ipv4Addr::new(192, 0, 2, 2).into()).is_ok(), "another has as many");
        drop(first);
        let third = addresses.enter(CLIENT).unwrap();
        // Kept, it counts until it is said that it has ended.
        second.unwrap().keep();
        assert_eq!(excess(addresses.enter(CLIENT)), Some(Excess::Connections));
        addresses.leave(CLIENT);
        assert!(addresses.enter(CLIENT).is_ok());
        drop(third);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_may_come_so_fast_and_those_refused_do_not_count() {
        let addresses = limits(0, 2);
        assert_eq!((0..20).filter(|_| addresses.enter(CLIENT).is_ok()).count(), 10);
        let refused = addresses.enter(CLIENT).unwrap_err();
        assert_eq!((refused.excess, refused.retry_after), (Excess::Rate, 1));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(addresses.take(CLIENT).is_ok());
        assert_eq!(excess(addresses.take(CLIENT)), Some(Excess::Rate));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_one_of_ipv4_or_the_first_half_of_one_of_ipv6() {
        let addresses = limits(1, 0);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let _held: Vec<_> = ["192.0.2.1", "2001:db8:0:1::1"].map(|text| addresses.enter(ip(text)).unwrap()).into();
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:0:1:ffff::2"] {
            assert_eq!(excess(addresses.enter(ip(same))), Some(Excess::Connections), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:2::1", "::c000:201"] {
            assert!(addresses.enter(ip(other)).is_ok(), "{other}");
        }
    }

    #[test]
    fn this_machine_is_limited_only_if_it_is_to_be() {
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            let ip = ip.parse().unwrap();
            let free = limits(1, 1);
            let shares: Vec<_> = (0..50).map(|_| free.enter(ip)).collect();
            assert!(shares.iter().all(|share| matches!(share, Ok(None))), "{ip}");
            let strict = Addresses::new(AddressLimits::new().connections(1).loopback(true));
            let _share = strict.enter(ip).unwrap();
            assert!(strict.enter(ip).is_err(), "{ip}");
        }
        let off = limits(0, 0);
        assert!((0..10_000).all(|_| matches!(off.enter(CLIENT), Ok(None))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_logged_once_a_minute_for_an_address_and_once_a_second_for_all() {
        let addresses = limits(0, 1);
        let lines = |ip: IpAddr| -> Vec<u32> { (0..100).filter_map(|_| addresses.enter(ip).err()?.to_log).collect() };
        assert_eq!(lines(CLIENT), [1]);
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(lines(CLIENT), [95], "with those that were refused meanwhile");
        let many = (0..200).map(|host| lines(Ipv4Addr::new(198, 51, 100, host).into()).len()).sum::<usize>();
        assert!((1..=5).contains(&many), "{many}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_connections_are_not_forgotten() {
        let addresses = limits(1, 1);
        let _share = addresses.enter(CLIENT).unwrap();
        let network = |number: u64| IpAddr::from(Ipv6Addr::from_bits(u128::from(number) << 64 | 1));
        let known = || addresses.table().entries.len();
        for number in 0..200_000 {
            assert!(addresses.enter(network(number)).is_ok());
            assert!(known() <= ABSENT + 1, "{}", known());
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        // Whoever comes next finds those whose rate is as if they had never been there.
        for number in 0..=u64::try_from(ABSENT).unwrap() {
            drop(addresses.enter(network((1 << 40) + number % 2000)));
        }
        assert!(known() <= ABSENT / 2 + SWEEP, "{}", known());
        assert_eq!(excess(addresses.enter(CLIENT)), Some(Excess::Connections));
    }
}
