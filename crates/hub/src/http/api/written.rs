//! Readings in the forms that they are asked for in.

use std::fmt::Write;

use serde::{Serialize, Serializer};
use tautline_store::Bucket;
use utoipa::ToSchema;

use super::readings::Aggregate;
use crate::http::problem::{Kind, Problem};
use crate::senml::{self, Record, Value};

/// The readings of a sensor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Series {
    pub(super) sensor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) unit: String,
    /// By time: milliseconds since 1970 and the value; or, with `every`, when the stretch begins, the lowest, the mean and the highest
    /// number, and how many there were.
    #[schema(value_type = Vec<Vec<Object>>)]
    pub(super) points: Vec<Point>,
    /// `after` of the next part; absent if this is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(super) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SeriesList {
    series: Vec<Series>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    Value(i64, Value),
    Bucket(Bucket),
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(at_ms, value) => (at_ms, value).serialize(serializer),
            Self::Bucket(Bucket { from_ms, count, min, max, mean }) => {
                (from_ms, min, mean, max, count).serialize(serializer)
            }
        }
    }
}

impl Point {
    fn at_ms(&self) -> i64 {
        match self {
            Self::Value(at_ms, _) => *at_ms,
            Self::Bucket(bucket) => bucket.from_ms,
        }
    }

    /// Its one value; of a stretch the one that is asked for, or the mean.
    fn value(&self, aggregate: Option<Aggregate>) -> Value {
        match self {
            Self::Value(_, value) => value.clone(),
            Self::Bucket(bucket) => Value::Real(match aggregate {
                Some(Aggregate::Min) => bucket.min,
                Some(Aggregate::Max) => bucket.max,
                Some(Aggregate::Mean) | None => bucket.mean,
            }),
        }
    }
}

/// How readings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    SenmlJson,
    SenmlCbor,
    Csv,
    Lines,
}

impl Form {
    const ALL: [Self; 5] = [Self::Json, Self::SenmlJson, Self::SenmlCbor, Self::Csv, Self::Lines];

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::SenmlJson => senml::JSON,
            Self::SenmlCbor => senml::CBOR,
            Self::Csv => "text/csv",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// The form that an `Accept` likes best (RFC 9110 §12.5.1); JSON if it does not say.
    pub(super) fn wanted(accept: Option<&str>) -> Result<Self, Problem> {
        let Some(accept) = accept else { return Ok(Self::Json) };
        let mut best: Option<(f32, Self)> = None;
        for part in accept.split(',') {
            let mut parameters = part.split(';').map(str::trim);
            let range = parameters.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parameters.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let kind = range.split_once('/').filter(|(_, subtype)| *subtype == "*").map(|(kind, _)| kind);
            let fits = |form: &Self| match kind {
                Some("*") => true,
                Some(kind) => form.media_type().split('/').next() == Some(kind),
                None => form.media_type() == range,
            };
            if quality > best.map_or(0.0, |(quality, _)| quality)
                && let Some(form) = Self::ALL.into_iter().find(fits)
            {
                best = Some((quality, form));
            }
        }
        best.map(|(_, form)| form).ok_or_else(|| {
            let detail = "readings come as application/json, application/senml+json, application/senml+cbor, text/csv or \
                          application/x-ndjson";
            Problem::new(Kind::NotAcceptable, detail)
        })
    }
}

/// Readings in a form, and its media type.
pub(super) fn written(
    form: Form,
    device: &str,
    series: &[Series],
    aggregate: Option<Aggregate>,
) -> Result<(&'static str, Vec<u8>), Problem> {
    let bytes = match form {
        Form::Json => json(series, aggregate).into_bytes(),
        Form::Csv => csv(series, aggregate).into_bytes(),
        Form::Lines => lines(device, series, aggregate).into_bytes(),
        Form::SenmlJson => senml::write_json(&records(device, series, aggregate)?),
        Form::SenmlCbor => senml::write_cbor(&records(device, series, aggregate)?),
    };
    let content_type = if form == Form::Csv { "text/csv; charset=utf-8; header=present" } else { form.media_type() };
    Ok((content_type, bytes))
}

fn json(series: &[Series], aggregate: Option<Aggregate>) -> String {
    #[derive(Serialize)]
    struct All<'a> {
        series: &'a [Series],
    }
    let only = |aggregate| {
        let one = |series: &Series| Series {
            sensor: series.sensor.clone(),
            unit: series.unit.clone(),
            points: series
                .points
                .iter()
                .map(|point| Point::Value(point.at_ms(), point.value(Some(aggregate))))
                .collect(),
            next: series.next.clone(),
        };
        series.iter().map(one).collect::<Vec<_>>()
    };
    // There are no maps with other keys than strings.
    let text = match aggregate {
        Some(aggregate) => serde_json::to_string(&All { series: &only(aggregate) }),
        None => serde_json::to_string(&All { series }),
    };
    text.unwrap_or_default()
}

/// RFC 4180, one reading a line.
fn csv(series: &[Series], aggregate: Option<Aggregate>) -> String {
    let buckets =
        aggregate.is_none() && series.iter().any(|series| matches!(series.points.first(), Some(Point::Bucket(_))));
    let mut text =
        String::from(if buckets { "at_ms,sensor,min,mean,max,count,unit\r\n" } else { "at_ms,sensor,value,unit\r\n" });
    for Series { sensor, unit, points, .. } in series {
        let (sensor, unit) = (quoted(sensor), quoted(unit));
        for point in points {
            let at_ms = point.at_ms();
            let value = match point {
                Point::Bucket(Bucket { count, min, max, mean, .. }) if buckets => format!("{min},{mean},{max},{count}"),
                _ => match point.value(aggregate) {
                    Value::Text(text) => quoted(&text),
                    value => plain(&value),
                },
            };
            // A string takes everything.
            let _ = write!(text, "{at_ms},{sensor},{value},{unit}\r\n");
        }
    }
    text
}

/// A value without quotation marks.
fn plain(value: &Value) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

/// A field, in quotation marks where it needs them. What a spreadsheet would take for a formula is text.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn lines(device: &str, series: &[Series], aggregate: Option<Aggregate>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        device: &'a str,
        sensor: &'a str,
        at_ms: i64,
        value: Value,
        #[serde(skip_serializing_if = "str::is_empty")]
        unit: &'a str,
    }
    let mut text = String::new();
    for Series { sensor, unit, points, .. } in series {
        for point in points {
            let line = Line { device, sensor, at_ms: point.at_ms(), value: point.value(aggregate), unit };
            text += &serde_json::to_string(&line).unwrap_or_default();
            text.push('\n');
        }
    }
    text
}

/// As records of SenML, whose names have few characters to choose from.
fn records(device: &str, series: &[Series], aggregate: Option<Aggregate>) -> Result<Vec<Record>, Problem> {
    let mut records = Vec::new();
    for Series { sensor, unit, points, .. } in series {
        let name = format!("{device}/{sensor}");
        if !senml::is_name(&name) {
            let detail = format!("{name:?} cannot be a name in SenML: ask for another form");
            return Err(Problem::new(Kind::NotAcceptable, detail));
        }
        records.extend(points.iter().map(|point| Record {
            name: name.clone(),
            unit: unit.clone(),
            at_ms: point.at_ms(),
            value: point.value(aggregate),
        }));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Result<Form, Kind> {
        Form::wanted(Some(accept)).map_err(|problem| problem.kind())
    }

    #[test]
    fn the_form_is_what_accept_likes_best() {
        assert_eq!(Form::wanted(None).unwrap(), Form::Json);
        for (accept, wanted) in [
            ("*/*", Form::Json),
            ("text/*", Form::Csv),
            ("Text/CSV; q=0.5, application/senml+cbor;q=0.9", Form::SenmlCbor),
            ("text/html, application/x-ndjson", Form::Lines),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Json),
        ] {
            assert_eq!(form(accept), Ok(wanted), "{accept}");
        }
        assert_eq!(form("text/html"), Err(Kind::NotAcceptable));
        assert_eq!(form("text/csv;q=0"), Err(Kind::NotAcceptable));
    }

    fn series(points: Vec<Point>) -> Vec<Series> {
        vec![Series { sensor: "t, \"x\"".into(), unit: "%RH".into(), points, next: None }]
    }

    #[test]
    fn csv_is_quoted_where_it_has_to_be_and_no_formula() {
        let text = |text: &str| Point::Value(5, Value::Text(text.into()));
        let points =
            vec![text("a,b"), text("=1+1"), Point::Value(6, Value::Real(-0.5)), Point::Value(7, Value::Boolean(true))];
        let expected = "at_ms,sensor,value,unit\r\n5,\"t, \"\"x\"\"\",\"a,b\",%RH\r\n5,\"t, \"\"x\"\"\",'=1+1,%RH\r\n\
                        6,\"t, \"\"x\"\"\",-0.5,%RH\r\n7,\"t, \"\"x\"\"\",true,%RH\r\n";
        assert_eq!(csv(&series(points), None), expected);
        let bucket = Bucket { from_ms: 10, count: 2, min: 1.0, max: 3.5, mean: 2.25 };
        let expected = "at_ms,sensor,min,mean,max,count,unit\r\n10,\"t, \"\"x\"\"\",1,2.25,3.5,2,%RH\r\n";
        assert_eq!(csv(&series(vec![Point::Bucket(bucket)]), None), expected);
        let max = csv(&series(vec![Point::Bucket(bucket)]), Some(Aggregate::Max));
        assert!(max.ends_with(",3.5,%RH\r\n"), "{max}");
    }

    #[test]
    fn what_cannot_be_a_name_in_senml_is_told() {
        let refused = written(Form::SenmlJson, "kitchen", &series(Vec::new()), None).unwrap_err();
        assert_eq!(refused.kind(), Kind::NotAcceptable);
    }
}
