//! The time, now and then.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tautline_proto::Ended;
use tautline_proto::app::{App, ConnectionId, Io, Message, Sent};

/// Between two messages lies a random time up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Sends the time to every connection, at once and then at random intervals of up to three seconds, on a schedule of
/// its own for each: `2026-11-20T11:19:54.171174Z`.
pub struct Clock {
    wall: Box<dyn Fn() -> SystemTime + Send>,
}

impl Clock {
    /// A clock that shows what `wall` answers, which is asked anew for every message, as clocks get adjusted.
    pub fn new(wall: impl Fn() -> SystemTime + Send + 'static) -> Self {
        Self { wall: Box::new(wall) }
    }

    /// Sends the time and sets the timer for the next one. There is one timer for each connection.
    fn tick(&self, io: &mut dyn Io, id: ConnectionId) {
        let now = (self.wall)().duration_since(UNIX_EPOCH).unwrap_or_default();
        if io.send(id, Message::Text(&iso(now))) == Sent::Closed {
            return;
        }
        let pause = (LONGEST_PAUSE.as_micros() as u64 * u64::from(io.random())) >> 32;
        io.set_timer(id.0, io.now() + Duration::from_micros(pause));
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

impl App for Clock {
    fn open(&mut self, io: &mut dyn Io, id: ConnectionId) {
        self.tick(io, id);
    }

    fn closed(&mut self, io: &mut dyn Io, id: ConnectionId, _: Option<Ended>) {
        io.cancel_timer(id.0);
    }

    fn timer(&mut self, io: &mut dyn Io, timer: u64) {
        self.tick(io, ConnectionId(timer));
    }
}

/// A time since 1970 as Python's `datetime.isoformat()` writes it, with `Z`: six digits of the second's fraction, or
/// none at all if they are zero.
fn iso(since_epoch: Duration) -> String {
    let (days, second) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if since_epoch.subsec_micros() != 0 {
        text += &format!(".{:06}", since_epoch.subsec_micros());
    }
    text + "Z"
}

/// The Gregorian date so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, so that a leap day is a year's last: then the lengths of the months
    // repeat every five months with 153 days, and 400 years have 146,097 days.
    const FROM_YEAR_0: u64 = 719_468;
    let days = days + FROM_YEAR_0;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let day = day - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::testing::{Asked, FakeIo, connect, disconnect};

    fn at(seconds: u64, micros: u32) -> String {
        iso(Duration::new(seconds, micros * 1000))
    }

    #[test]
    fn time_is_written_as_python_writes_it() {
        assert_eq!(at(1_795_173_594, 171_174), "2026-11-20T11:19:54.171174Z");
        assert_eq!(at(1_795_173_594, 0), "2026-11-20T11:19:54Z");
        assert_eq!(at(1_795_173_594, 42), "2026-11-20T11:19:54.000042Z");
        assert_eq!(at(0, 0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn dates_know_leap_years() {
        for (seconds, date) in [
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (978_220_800, "2000-12-31"),
            (1_709_164_800, "2024-02-29"),
            (1_735_603_200, "2024-12-31"),
            (1_735_689_600, "2025-01-01"),
            (4_107_456_000, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(at(seconds, 0), format!("{date}T00:00:00Z"));
        }
    }

    #[test]
    fn every_connection_has_a_schedule_of_its_own() {
        let mut app = Clock::new(|| UNIX_EPOCH + Duration::from_secs(1));
        let now = || Asked::Text(1, "1970-01-01T00:00:01Z".into());
        let mut io = FakeIo::default();
        io.random.extend([1 << 31, u32::MAX, 0]);

        let first = connect(&mut app, &mut io, 1, "/");
        assert_eq!(first, [now(), Asked::Timer(1, io.now + Duration::from_millis(1500))]);
        io.pass(Duration::from_secs(1));
        let second = connect(&mut app, &mut io, 2, "/");
        let Asked::Timer(2, due) = second[1] else { panic!("{second:?}") };
        assert!(due < io.now + LONGEST_PAUSE && due > io.now + LONGEST_PAUSE * 99 / 100);

        app.timer(&mut io, 1);
        assert_eq!(io.asked(), [now(), Asked::Timer(1, io.now)]);
        assert_eq!(disconnect(&mut app, &mut io, 1), [Asked::Cancel(1)]);
    }
}
