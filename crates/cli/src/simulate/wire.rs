//! A bad network, made up between a device and its socket. Times are in milliseconds.

use std::collections::BTreeMap;

use fastrand::Rng;

/// How much longer a datagram takes that others are to overtake, at most.
const OVERTAKEN: u64 = 100;

/// What becomes of datagrams, in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Faults {
    /// The part that gets lost, 0 to 1.
    pub(super) loss: f64,
    /// The part that arrives twice.
    pub(super) duplicate: f64,
    /// The part that others overtake.
    pub(super) reorder: f64,
    /// How long each is on its way.
    pub(super) latency: u64,
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the hub.
    Out,
    /// To the device.
    In,
}

/// Where it goes, and what it says.
type Datagram = (Way, Box<[u8]>);

/// A device's network, both ways. What it does follows from its seed: the *n*-th datagram of a direction has the same fate each time.
#[derive(Debug)]
pub(super) struct Wire {
    faults: Faults,
    out: Rng,
    inward: Rng,
    /// By arrival, and by number where that is the same.
    under_way: BTreeMap<(u64, u64), Datagram>,
    number: u64,
}

impl Wire {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        Self { faults, out: rng.fork(), inward: rng.fork(), under_way: BTreeMap::new(), number: 0 }
    }

    /// A datagram is sent.
    pub(super) fn enter(&mut self, now: u64, way: Way, datagram: &[u8]) {
        let rng = match way {
            Way::Out => &mut self.out,
            Way::In => &mut self.inward,
        };
        for after in fate(rng, &self.faults).into_iter().flatten() {
            self.number += 1;
            self.under_way.insert((now.saturating_add(after), self.number), (way, datagram.into()));
        }
    }

    /// The next datagram that has arrived.
    pub(super) fn arrived(&mut self, now: u64) -> Option<Datagram> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next one arrives.
    pub(super) fn due(&self) -> Option<u64> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }
}

/// After how long a datagram and its copy arrive. The same number of random numbers is drawn for each, so that one fault does not
/// change the others.
fn fate(rng: &mut Rng, faults: &Faults) -> [Option<u64>; 2] {
    let mut one = || {
        let late = rng.f64() < faults.reorder;
        let more = 1 + rng.u64(..OVERTAKEN);
        faults.latency + if late { more } else { 0 }
    };
    let (first, second) = (one(), one());
    let (lost, twice) = (rng.f64() < faults.loss, rng.f64() < faults.duplicate);
    [(!lost).then_some(first), (!lost && twice).then_some(second)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of a thousand datagrams, one a millisecond: which, and when.
    fn passed(faults: Faults, seed: u64) -> Vec<(u64, u16)> {
        let mut wire = Wire::new(faults, seed);
        let mut out = Vec::new();
        for now in 0..2_000_u16 {
            if now < 1_000 {
                wire.enter(now.into(), Way::Out, &now.to_be_bytes());
            }
            while let Some((way, datagram)) = wire.arrived(now.into()) {
                assert_eq!(way, Way::Out);
                out.push((now.into(), u16::from_be_bytes(datagram[..].try_into().unwrap())));
            }
        }
        assert_eq!(wire.due(), None);
        out
    }

    #[test]
    fn a_good_network_passes_everything_on_at_once() {
        assert_eq!(passed(Faults::default(), 1), (0..1_000).map(|n| (n.into(), n)).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_bad_network_does_follows_from_its_seed() {
        let faults = Faults { loss: 0.2, duplicate: 0.1, reorder: 0.3, latency: 5 };
        assert_eq!(passed(faults, 7), passed(faults, 7));
        assert_ne!(passed(faults, 7), passed(faults, 8));
        let more = passed(Faults { duplicate: 0.0, ..faults }, 7);
        assert!(more.iter().all(|arrival| passed(faults, 7).contains(arrival)), "one fault does not change the others");
    }

    #[test]
    fn each_fault_is_about_as_frequent_as_asked_for() {
        let lost = 1_000 - passed(Faults { loss: 0.2, ..Faults::default() }, 3).len();
        assert!((120..=280).contains(&lost), "{lost}");
        let twice = passed(Faults { duplicate: 0.1, ..Faults::default() }, 3).len() - 1_000;
        assert!((50..=150).contains(&twice), "{twice}");
        let late = passed(Faults { reorder: 0.3, ..Faults::default() }, 3);
        let overtaken = late.iter().filter(|(at, number)| *at != u64::from(*number)).count();
        assert!((200..=400).contains(&overtaken), "{overtaken}");
        assert!(passed(Faults { loss: 1.0, ..Faults::default() }, 3).is_empty());
    }

    #[test]
    fn latency_is_that_of_each_direction() {
        let mut wire = Wire::new(Faults { latency: 30, ..Faults::default() }, 1);
        wire.enter(100, Way::In, b"a");
        assert_eq!(wire.due(), Some(130));
        assert_eq!(wire.arrived(129), None);
        assert_eq!(wire.arrived(130), Some((Way::In, b"a"[..].into())));
    }
}
