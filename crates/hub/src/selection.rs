//! Which devices and sensors somebody asks about.

use form_urlencoded::parse;

/// Devices and sensors, by name; all of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) devices: Option<Vec<String>>,
    pub(crate) sensors: Option<Vec<String>>,
}

impl Selection {
    /// What a query says: `device` and `sensor`, each as often as wanted.
    pub(crate) fn of(query: Option<&str>) -> Self {
        let names = |key| {
            let values = values(query, key);
            let names = values.iter().flat_map(|value| readings_of(value));
            (!values.is_empty()).then(|| names.map(str::to_owned).collect())
        };
        Self { devices: names("device"), sensors: names("sensor") }
    }

    /// Whether something of this device, and perhaps of this sensor, is meant.
    pub(crate) fn includes(&self, device: Option<&str>, sensor: Option<&str>) -> bool {
        let is_among = |names: &Option<Vec<String>>, name: Option<&str>| match names {
            Some(names) => name.is_some_and(|name| names.iter().any(|wanted| wanted == name)),
            None => true,
        };
        is_among(&self.devices, device) && is_among(&self.sensors, sensor)
    }
}

/// The values of a key in a query, decoded.
pub(crate) fn values(query: Option<&str>, key: &str) -> Vec<String> {
    let pairs = parse(query.unwrap_or_default().as_bytes());
    pairs.filter(|(name, _)| name == key).map(|(_, value)| value.into_owned()).collect()
}

/// Whether a query has a key, with a value or without.
pub(crate) fn has(query: Option<&str>, key: &str) -> bool {
    parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == key)
}

/// How a value can be read: as one name, which may have commas in it, and as several with commas in between.
fn readings_of(value: &str) -> impl Iterator<Item = &str> {
    let several = value.split(',').filter(move |_| value.contains(','));
    std::iter::once(value).chain(several)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_commas_in_between_or_are_repeated() {
        let all = Selection::of(None);
        assert!(all.includes(None, None) && all.includes(Some("a"), Some("b")));
        let some = Selection::of(Some("device=kitchen,cellar&x=1&device=a+b%2Fc&sensor=p,q"));
        for (device, sensor, meant) in [
            (Some("kitchen"), Some("p"), true),
            (Some("cellar"), Some("q"), true),
            (Some("a b/c"), Some("p,q"), true),
            (Some("kitchen"), Some("r"), false),
            (Some("kitchen"), None, false),
            (Some("attic"), Some("p"), false),
            (None, Some("p"), false),
        ] {
            assert_eq!(some.includes(device, sensor), meant, "{device:?} {sensor:?}");
        }
        let nobody = Selection::of(Some("device="));
        assert!(!nobody.includes(Some("kitchen"), None));
    }

    #[test]
    fn a_key_may_have_no_value() {
        assert!(has(Some("a=1&live"), "live") && has(Some("live=1"), "live"));
        assert!(!has(Some("alive=1"), "live") && !has(None, "live"));
    }
}
