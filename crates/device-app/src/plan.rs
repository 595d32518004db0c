//! What a run of the device is to do.

use core::fmt;
use core::time::Duration;

/// The file of a device that holds its plan.
pub const FILE: &str = "plan";

/// What a run of the device is to do, where it is not what the labs' device does.
///
/// Its text has a line `KEY VALUE` for each part that is not as by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `cycles`: after so many cycles the device says goodbye and ends. 0, the default, is never.
    pub cycles: u32,
    /// `cycle_ms`: how long a cycle lasts, in milliseconds. Default 400; at least 1.
    pub cycle: Duration,
    /// `speaks`: `envelopes`, the default, which the hub's commands and acknowledgements need, or `raw`, as the labs' servers do.
    pub envelopes: bool,
    /// `sends`: whether a cycle sends `SOS`: `yes`, the default, or `no` for a device that only listens.
    pub sends: bool,
    /// `leave_every`: the link is closed, and made anew, every so many cycles. 0, the default, is never.
    pub leave_every: u32,
    /// `retry_ms`: the longest time that the device waits before it tries to connect for the second time, in milliseconds.
    /// It doubles from attempt to attempt, up to 16 times as much. Default 1000; 1 to 60000.
    pub retry: Duration,
    /// `ping_ms`: how often the device asks whether the server is still there, and how long it waits for the answer, in
    /// milliseconds. Default 20000; 1 to 60000.
    pub ping: Duration,
}

impl Plan {
    /// What the labs' device does.
    pub const DEFAULT: Self = Self {
        cycles: 0,
        cycle: Duration::from_millis(400),
        envelopes: true,
        sends: true,
        leave_every: 0,
        retry: Duration::from_secs(1),
        ping: Duration::from_secs(20),
    };

    /// Reads a plan.
    ///
    /// # Errors
    ///
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Self, NotAPlan<'_>> {
        let mut plan = Self::DEFAULT;
        for line in text.lines() {
            plan.read(line).ok_or(NotAPlan(line))?;
        }
        Ok(plan)
    }

    /// Whether this cycle is the last one. Cycles are counted from 1, and wrap around.
    pub(crate) fn ends_with(&self, cycle: u32) -> bool {
        self.cycles > 0 && cycle == self.cycles
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once(' ')?;
        let milliseconds = |most: u64| {
            let number = value.parse().ok().filter(|number| (1..=most).contains(number))?;
            Some(Duration::from_millis(number))
        };
        match key {
            "cycles" => self.cycles = value.parse().ok()?,
            "cycle_ms" => self.cycle = milliseconds(u64::from(u32::MAX))?,
            "speaks" => self.envelopes = choice(value, "raw", "envelopes")?,
            "sends" => self.sends = choice(value, "no", "yes")?,
            "leave_every" => self.leave_every = value.parse().ok()?,
            "retry_ms" => self.retry = milliseconds(60_000)?,
            "ping_ms" => self.ping = milliseconds(60_000)?,
            _ => return None,
        }
        Some(())
    }
}

/// Which of both words it is; `None` for another one.
fn choice(value: &str, no: &str, yes: &str) -> Option<bool> {
    (value == no || value == yes).then_some(value == yes)
}

/// A line that no plan has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPlan<'a>(&'a str);

impl fmt::Display for NotAPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no plan has this line: {}", self.0)
    }
}

impl core::error::Error for NotAPlan<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_not_as_by_default() {
        assert_eq!(Plan::parse(""), Ok(Plan::DEFAULT));
        let text = "cycles 30\ncycle_ms 50\nspeaks raw\nsends no\nleave_every 10\nretry_ms 60000\nping_ms 500\n";
        let plan = Plan {
            cycles: 30,
            cycle: Duration::from_millis(50),
            envelopes: false,
            sends: false,
            leave_every: 10,
            retry: Duration::from_secs(60),
            ping: Duration::from_millis(500),
        };
        assert_eq!(Plan::parse(text), Ok(plan));
    }

    #[test]
    fn a_plan_without_a_last_cycle_goes_on_when_their_count_wraps_around() {
        assert!(!Plan::DEFAULT.ends_with(0_u32.wrapping_sub(1)) && !Plan::DEFAULT.ends_with(0));
        let plan = Plan { cycles: 3, ..Plan::DEFAULT };
        assert_eq!([0, 2, 3, 4].map(|cycle| plan.ends_with(cycle)), [false, false, true, false]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for line in [
            "cycles",
            "cycles -1",
            "cycle_ms 0",
            "sends maybe",
            "speaks Spanish",
            "retry_ms 60001",
            "speed 9",
            " cycles 1",
        ] {
            extern crate std;
            let text = std::format!("cycles 1\n{line}\nsends no\n");
            assert_eq!(Plan::parse(&text), Err(NotAPlan(line)));
        }
    }
}
