//! Charts of readings, as people see them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tautline_conformance::peers::{Browser, regex};

use super::{DESKTOP, PHONE, Site, look_at_device};

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 10,000")
}

/// Hands in readings, as a pack of SenML, from the page's own origin.
async fn hand_in(browser: &mut Browser, pack: &[Value]) {
    let request = json!({"method": "POST", "headers": {"Content-Type": "application/senml+json"}, "body": json!(pack).to_string()});
    let script = format!("fetch('/api/readings', {request}).then((answer) => answer.json())");
    assert_eq!(browser.eval("page", &script).await, json!({"stored": pack.len()}));
}

/// A reading, so many milliseconds ago.
fn reading(name: &str, unit: &str, ago: i64, value: f64) -> Value {
    measured(name, unit, now_ms() - ago, value)
}

/// A reading of this time, in milliseconds since 1970.
fn measured(name: &str, unit: &str, at: i64, value: f64) -> Value {
    json!({"n": name, "u": unit, "t": at as f64 / 1000.0, "v": value})
}

async fn look_at_sensor(browser: &mut Browser, sensor: &str) {
    browser.click("page", &format!("#sensors-list button:has-text('{sensor}')")).await;
    browser.shows("page", "#sensor-title", sensor).await;
    browser.click("page", "#sensor-spans button:has-text('5 min')").await;
    browser.shows("page", "#sensor-range", "the last 5 min, live").await;
}

async fn has(browser: &mut Browser, selector: &str, count: usize) {
    browser.becomes("page", &format!("document.querySelectorAll('{selector}').length"), count).await;
}

#[tokio::test]
async fn readings_are_charted_while_they_come_and_a_gap_is_a_gap() {
    let site = Site::start().await;
    let mut browser = site.browser().await;
    let name = "greenhouse/temperature";
    // Every 2.5 s, from 20 to 22 degrees; for 50 s there was nothing.
    let celsius = |number: i64| 21.0 + ((number as f64 / 12.0).sin() * 100.0).round() / 100.0;
    let measured = (1..=80).filter(|number| !(30..50).contains(number));
    let mut pack: Vec<Value> = measured.map(|number| reading(name, "Cel", 2500 * number, celsius(number))).collect();
    pack.push(reading("greenhouse/humidity", "%RH", 3000, 61.5));
    pack.push(json!({"n": "greenhouse/window", "vb": true}));
    hand_in(&mut browser, &pack).await;
    browser.shows("page", "#devices-list", regex("greenhouse\\s[^]*telemetry[^]*last reading \\d+ s ago")).await;
    look_at_device(&mut browser, "greenhouse").await;
    let latest = "^humidity\\s+61.5\\s% RH · \\d+ s ago\\s+temperature\\s+21.08\\s°C · \\d+ s ago\\s+window\\s+true · \\d+ s ago$";
    browser.shows("page", "#sensors-list", regex(latest)).await;
    look_at_sensor(&mut browser, "temperature").await;
    let summary = "latest 21.08\\s°C at [\\d:]+ · lowest 20\\s°C · highest 22\\s°C · 60 readings · 1 gap$";
    browser.shows("page", "#sensor-summary", regex(summary)).await;
    has(&mut browser, ".chart .mean", 2).await;
    has(&mut browser, ".chart .missing", 1).await;
    browser.becomes("page", "document.querySelector('.chart .unit').textContent", "°C").await;

    hand_in(&mut browser, &[reading(name, "Cel", 0, 22.4)]).await;
    browser
        .shows(
            "page",
            "#sensor-summary",
            regex("latest 22.4\\s°C [^]*highest 22.4\\s°C · 61 readings · (1 gap|2 gaps)$"),
        )
        .await;
    browser.shows("page", "#sensors-list", regex("22.4\\s°C")).await;
    let label = "document.querySelector('#sensor-chart').ariaLabel";
    let Value::String(label) = browser.eval("page", label).await else { panic!("no label") };
    assert!(label.starts_with("temperature of greenhouse, the last 5 min, live: latest 22.4"), "{label}");
    browser.screenshot("page", "dashboard-sensors", DESKTOP).await;
    browser.click("page", "#sensor-table summary").await;
    browser.shows("page", "#sensor-rows", regex("^[\\d:]+\\s+22.4\\s°C\\s+[\\d:]+\\s+21.08\\s°C")).await;
    has(&mut browser, "#sensor-rows tr", 61).await;

    // The left third is from before the first reading or soon after it.
    browser.drag("page", "#sensor-chart", 0.1, 0.45).await;
    browser.shows("page", "#sensor-range", regex(" to [\\d:]+$")).await;
    browser.shows("page", "#sensor-summary", regex("· \\d\\d readings$")).await;
    browser.eval("page", "document.querySelector('#sensor-chart').focus()").await;
    browser.press("page", "End").await;
    browser.shows("page", "#sensor-range", regex("live$")).await;
    browser.click("page", "#sensor-spans button:has-text('5 min')").await;
    browser.eval("page", "document.querySelector('#sensor-chart').focus()").await;
    browser.press("page", "+").await;
    browser.shows("page", "#sensor-range", "the last 2 min, live").await;
    browser.press("page", "ArrowLeft").await;
    browser.shows("page", "#sensor-range", regex(" to [\\d:]+$")).await;
    browser.has_no_errors("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn many_readings_become_stretches_and_what_is_no_number_is_shown_as_it_is() {
    let site = Site::start().await;
    let mut browser = site.browser().await;
    let wave = |number: i64| 40.0 + (number as f64 / 90.0).sin() * 3.0 + f64::from((number * 7919 % 13) as i32) / 10.0;
    let latest = now_ms();
    let mut pack: Vec<Value> =
        (0..1200).map(|number| measured("mill/power", "W", latest - 200 * number, wave(number))).collect();
    for (ago, on) in [(200_000, false), (120_000, true), (60_000, false)] {
        pack.push(json!({"n": "mill/running", "t": (now_ms() - ago) as f64 / 1000.0, "vb": on}));
    }
    for (ago, value) in [(2000, 1.7e308), (1000, -1.7e308), (0, 1.7e308)] {
        pack.push(reading("mill/wild", "", ago, value));
    }
    pack.push(json!({"n": "mill/note", "vs": "<b>new</b> \u{202e}stone"}));
    hand_in(&mut browser, &pack).await;
    browser.shows("page", "#devices-list", regex("mill")).await;
    look_at_device(&mut browser, "mill").await;
    look_at_sensor(&mut browser, "power").await;
    browser.shows("page", "#sensor-summary", regex("· 1,200 readings$")).await;
    has(&mut browser, ".chart .band", 1).await;
    browser.shows("page", "#sensor-note", "Line: the mean of each 1 s. Band: from the lowest to the highest.").await;
    // It follows the others at their interval, however long the page took until now: nothing is missing.
    hand_in(&mut browser, &[measured("mill/power", "W", latest + 200, 99.0)]).await;
    browser.shows("page", "#sensor-summary", regex("highest 99\\sW · 1,201 readings$")).await;
    browser.shows("page", "#sensor-read", "").await;
    browser.drag("page", "#sensor-chart", 0.7, 0.7).await;
    browser
        .shows(
            "page",
            "#sensor-read",
            regex("^[\\d:]+ to [\\d:]+: mean [\\d.]+\\sW, [\\d.]+\\sW to [\\d.]+\\sW, of \\d$"),
        )
        .await;

    look_at_sensor(&mut browser, "running").await;
    browser.shows("page", "#sensor-summary", regex("^latest false at [\\d:]+ · 3 readings$")).await;
    let corners = "document.querySelector('.chart .mean').getAttribute('d').match(/[ML]/g).length";
    browser.becomes("page", corners, 6).await;
    look_at_sensor(&mut browser, "wild").await;
    browser.shows("page", "#sensor-summary", regex("lowest -1.7e\\+308 · highest 1.7e\\+308")).await;
    look_at_sensor(&mut browser, "note").await;
    browser.shows("page", "#sensor-texts", regex("^[\\d:]+\\s+<b>new</b> ⟨U\\+202E⟩stone$")).await;

    browser.prefer("page", "dark").await;
    browser.resize("page", PHONE).await;
    look_at_sensor(&mut browser, "power").await;
    has(&mut browser, ".chart .band", 1).await;
    let overflow = "document.querySelector('#device').scrollWidth - document.querySelector('#device').clientWidth";
    assert_eq!(browser.eval("page", overflow).await, 0);
    browser.fits("page").await;
    browser.eval("page", "document.querySelector('#sensor-tools').scrollIntoView()").await;
    browser.screenshot("page", "dashboard-sensors-dark", PHONE).await;
    browser.has_no_errors("page").await;
    browser.finish().await;
}

/// What the page's own functions make of readings.
#[tokio::test]
async fn scales_and_gaps_are_reckoned_rightly() {
    let site = Site::start().await;
    let mut browser = site.browser().await;
    let cases = [
        // Every 5 s, with one missing, which is none; and then a minute.
        ("runs(at(0, 5, 15, 20, 80, 85), 0).map((run) => run.length)", json!([4, 2])),
        // A door opens when it opens.
        ("runs(at(0, 3, 100, 160, 1000), 0).length", json!(1)),
        ("runs(at(7), 0).length + runs([], 0).length + runs(at(1, 9), 0).length", json!(2)),
        // Of ten readings in each stretch none is missing without a reason.
        ("runs(pointsOf([[0, 1, 2, 3, 10], [10, 1, 2, 3, 10], [30, 1, 2, 3, 10]], 10), 10).length", json!(2)),
        // Of one in each, one may be.
        ("runs(pointsOf([0, 10, 20, 40, 50].map((from) => [from, 1, 1, 1, 1]), 10), 10).length", json!(1)),
        ("withReading(at(1, 3), 2000, 9, 0).map((one) => one.value)", json!([0, 9, 0])),
        ("withReading(withReading([], 5, 1, 0), 5, 1, 0).length", json!(1)),
        (
            "withReading(pointsOf([[0, 1, 2, 3, 3]], 10), 9, 6, 10)",
            json!([{"start": 0, "end": 10, "value": 3, "low": 1, "high": 6, "count": 4}]),
        ),
        ("pointsOf([[1, 'text'], [2, true], [3, 2.5]], 0).map((one) => one.value)", json!([1, 2.5])),
        ("axis(20, 23, 5).ticks.map((tick) => tick.label)", json!(["20", "21", "22", "23"])),
        ("axis(-0.2, 0.2, 4).ticks.map((tick) => tick.label)", json!(["-0.2", "0.0", "0.2"])),
        ("axis(5, 5, 3).ticks.some((tick) => tick.value === 5)", json!(true)),
        ("[[-1.7e308, 1.7e308], [0, 5e-324], [1e15, 1e15 + 0.125], [0, 0]].every(isSound)", json!(true)),
        (
            "timeTicks(local(10, 58), local(11, 3), 6).map((tick) => tick.label)",
            json!(["10:58", "10:59", "11:00", "11:01", "11:02", "11:03"]),
        ),
        ("timeTicks(local(1), local(23), 4).map((tick) => new Date(tick.at).getHours())", json!([6, 12, 18])),
        ("timeTicks(0, 3e12, 5).length <= 6", json!(true)),
        (
            "amount(21.123456789, 'Cel') + amount(-0.5) + amount(3, 'toString') + amount(1, '\\u202e')",
            json!("21.1235\u{202f}°C-0.53\u{202f}toString1\u{202f}⟨U+202E⟩"),
        ),
    ];
    let scope =
        "Promise.all([import('/dashboard/series.js'), import('/dashboard/scale.js')]).then(([series, scale]) => {
        const { runs, pointsOf, withReading } = series;
        const { axis, timeTicks, amount } = scale;
        const at = (...seconds) => pointsOf(seconds.map((second) => [second * 1000, 0]), 0);
        const local = (...time) => new Date(2026, 10, 21, ...time).getTime();
        const isSound = ([low, high]) => {
            const { from, to, ticks } = axis(low, high, 5);
            return Number.isFinite(to - from) && to > from && ticks.length <= 6;
        };
        return EXPRESSION;
    })";
    for (expression, expected) in cases {
        assert_eq!(browser.eval("page", &scope.replace("EXPRESSION", expression)).await, expected, "{expression}");
    }
    browser.finish().await;
}
