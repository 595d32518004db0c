//! When a device reads which sensor. Times are in milliseconds.

use fastrand::Rng;

use super::sensors::SENSORS;

const COUNT: usize = SENSORS.len();

/// The next times of all sensors. Those that have the same interval are read together, so that they travel together.
#[derive(Debug)]
pub(super) struct Schedule {
    sensors: [Timer; COUNT],
    rng: Rng,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    interval: u64,
    due: u64,
    /// How many more readings; `None` is until it is told to end.
    left: Option<u64>,
}

impl Schedule {
    /// Every sensor is read every `interval`, at least 1, up to a tenth sooner or later, `count` times; first at a time within the
    /// first interval after `now`, so that a fleet is not all at once.
    pub(super) fn new(now: u64, interval: u64, count: Option<u64>, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let interval = interval.max(1);
        let due = now.saturating_add(rng.u64(..interval));
        Self { sensors: [Timer { interval, due, left: count }; COUNT], rng }
    }

    /// When the next sensor is due.
    pub(super) fn due(&self) -> Option<u64> {
        let due = |timer: &Timer| (timer.left != Some(0)).then_some(timer.due);
        self.sensors.iter().filter_map(due).min()
    }

    /// The sensors that are to be read now. What was missed meanwhile is not made up for.
    pub(super) fn take(&mut self, now: u64) -> impl Iterator<Item = u8> + use<> {
        let jitter = 0.9 + 0.2 * self.rng.f64();
        let mut due = [false; COUNT];
        for (timer, due) in self.sensors.iter_mut().zip(&mut due) {
            *due = timer.left != Some(0) && timer.due <= now;
            if *due {
                timer.left = timer.left.map(|left| left - 1);
                let wait = ((timer.interval as f64 * jitter) as u64).max(1);
                timer.due = timer.due.saturating_add(wait).max(now + 1);
            }
        }
        (0..).zip(due).filter_map(|(sensor, due)| due.then_some(sensor))
    }

    /// Sets the interval of a sensor, or of all (255), from `now` on. Returns whether there is such a sensor.
    pub(super) fn set_interval(&mut self, now: u64, sensor: u8, interval: u32) -> bool {
        let timers = match sensor {
            255 => &mut self.sensors[..],
            sensor => self.sensors.get_mut(usize::from(sensor)).map_or(&mut [][..], std::slice::from_mut),
        };
        for timer in &mut *timers {
            timer.interval = u64::from(interval).max(1);
            timer.due = now.saturating_add(timer.interval);
        }
        !timers.is_empty()
    }

    /// Nothing is read any more.
    pub(super) fn end(&mut self) {
        self.sensors.iter_mut().for_each(|timer| timer.left = Some(0));
    }

    /// Whether nothing will be read any more.
    pub(super) fn is_over(&self) -> bool {
        self.due().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sensors_are_read_together_as_often_as_asked_for() {
        let mut schedule = Schedule::new(1_000, 100, Some(5), 1);
        let mut times = Vec::new();
        while let Some(due) = schedule.due() {
            assert_eq!(schedule.take(due).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
            times.push(due);
        }
        assert_eq!(times.len(), 5);
        assert!((1_000..1_100).contains(&times[0]));
        assert!(times.windows(2).all(|pair| (90..=110).contains(&(pair[1] - pair[0]))), "{times:?}");
        assert!(schedule.is_over());
    }

    #[test]
    fn an_interval_is_that_of_one_sensor_or_of_all() {
        let mut schedule = Schedule::new(0, 1_000, None, 1);
        assert!(schedule.set_interval(0, 2, 10));
        assert_eq!(schedule.due(), Some(10));
        assert_eq!(schedule.take(10).collect::<Vec<_>>(), [2]);
        assert!(schedule.set_interval(50, 255, 20));
        assert_eq!(schedule.take(70).count(), 6);
        assert!(!schedule.set_interval(50, 6, 20), "there is no such sensor");
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let mut schedule = Schedule::new(0, 10, None, 1);
        assert_eq!(schedule.take(100_000).count(), 6);
        assert_eq!(schedule.due(), Some(100_001));
        schedule.end();
        assert_eq!(schedule.take(200_000).count(), 0);
    }
}
