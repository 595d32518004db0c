//! The real pages in a real browser: what the first page of the hub could do, and the labs' from a file. All else that the
//! hub's page can do is in dashboard.rs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tautline_conformance::peers::{
    Browser, Client, Hub, Language, Port, Process, bin, lasting_port, peer, regex, tool,
};
use tokio::sync::{Mutex, MutexGuard};

const SIZES: [(u32, u32); 2] = [(1100, 800), (390, 844)];

// ---- What a page can do.

#[tokio::test]
async fn a_page_and_the_hub_compress_their_messages() {
    for (how, agreed) in [
        ("off", ""),
        (
            "no-context-takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
        ),
        ("context-takeover", "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
    ] {
        let hub = Hub::start_on(0, &["--compression", how]).await;
        let mut browser = Browser::start();
        browser.open(&format!("http://127.0.0.1:{}/", hub.port), "page").await;
        let script = format!(
            r#"new Promise((done, failed) => {{
                const ws = new WebSocket("{}");
                const sent = Array.from({{ length: 100 }}, (_, n) => `{{"number":${{n}},"sensor":"kitchen"}}`.repeat(n + 1));
                const got = [];
                ws.onopen = () => sent.forEach((message) => ws.send(message));
                ws.onerror = () => failed(new Error("the connection failed"));
                ws.onmessage = ({{ data }}) => {{
                    got.push(data);
                    if (got.length === sent.length) done([ws.extensions, got.every((message, n) => message === sent[n])]);
                }};
            }})"#,
            hub.uri("/echo")
        );
        assert_eq!(browser.eval("page", &script).await, json!([agreed, true]), "{how}");
        browser.has_no_errors("page").await;
        browser.finish().await;
    }
}

// ---- The hub's page.

#[tokio::test]
async fn two_tabs_and_a_script_share_the_hubs_counter() {
    let hub = Hub::start().await;
    let page = format!("http://127.0.0.1:{}/", hub.port);
    let mut browser = Browser::start();
    browser.open(&page, "a").await;
    browser.shows("a", "#counter-users", "1").await;
    browser.shows("a", "#counter-value", "0").await;
    // The same hub by another name.
    browser.open(&page.replace("127.0.0.1", "localhost"), "b").await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#counter-users", "2").await;
    }
    browser.click("a", "#counter-plus").await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#counter-value", "1").await;
    }
    browser.click("b", "#counter-minus").await;
    browser.click("b", "#counter-minus").await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#counter-value", "-1").await;
    }

    let mut script = Client::connected(Language::Python, &hub.uri("/counter")).await;
    script.expect(r#"{"type": "users", "count": 3}"#).await;
    script.expect(r#"{"type": "state", "value": -1}"#).await;
    for _ in 0..3 {
        script.send(r#"{"action": "plus"}"#).await;
    }
    for value in 0..=2 {
        script.expect(format!(r#"{{"type": "state", "value": {value}}}"#)).await;
    }
    for tab in ["a", "b"] {
        browser.shows(tab, "#counter-users", "3").await;
        browser.shows(tab, "#counter-value", "2").await;
    }
    browser.click("a", "#counter-plus").await;
    script.expect(r#"{"type": "state", "value": 3}"#).await;
    script.close(1000, "").await;
    browser.shows("b", "#counter-users", "2").await;

    browser.has_no_errors("b").await;
    browser.close("b").await;
    browser.shows("a", "#counter-users", "1").await;
    browser.has_no_errors("a").await;
    assert_eq!(browser.frames("a", "sent").await, [r#"{"action":"plus"}"#, r#"{"action":"plus"}"#]);
    let received = browser.frames("a", "received").await;
    let first =
        [r#"{"type": "users", "count": 1}"#, r#"{"type": "state", "value": 0}"#, r#"{"type": "users", "count": 2}"#];
    assert_eq!(received[..3], first);
    assert_eq!(received.last(), Some(&json!(r#"{"type": "users", "count": 1}"#)));
    browser.finish().await;
}

async fn join_relay(browser: &mut Browser, tab: &str, id: &str) {
    browser.fill(tab, "#relay-id", id).await;
    browser.click(tab, "#relay-connect").await;
    browser.shows(tab, "#relay-log", regex(&format!("connected as {id}"))).await;
}

async fn say(browser: &mut Browser, tab: &str, text: &str) {
    browser.fill(tab, "#relay-text", text).await;
    browser.click(tab, "#relay-send").await;
}

#[tokio::test]
async fn two_tabs_and_a_script_share_the_hubs_relay() {
    let hub = Hub::start().await;
    let page = format!("http://127.0.0.1:{}/", hub.port);
    let mut browser = Browser::start();
    for tab in ["a", "b"] {
        browser.open(&page, tab).await;
        join_relay(&mut browser, tab, &format!("page {tab} ñ")).await;
    }
    let mut script = Client::connected(Language::Python, &hub.uri("/script")).await;

    say(&mut browser, "a", "hello from a, ñ€😀 <b>").await;
    browser.shows("b", "#relay-log", regex("hello from a, ñ€😀 <b>")).await;
    script.expect("hello from a, ñ€😀 <b>").await;
    say(&mut browser, "b", "hello from b").await;
    browser.shows("a", "#relay-log", regex("hello from b")).await;
    script.expect("hello from b").await;
    script.send("hello from a script").await;
    script.send(vec![0, 1, 0xfe, 0xff]).await;
    for tab in ["a", "b"] {
        browser.shows(tab, "#relay-log", regex("hello from a script")).await;
        browser.shows(tab, "#relay-log", regex("00 01 fe ff")).await;
    }
    // Nobody hears itself.
    let received = browser.frames("a", "received").await;
    let messages: Vec<&Value> =
        received.iter().filter(|message| !message.as_str().is_some_and(|text| text.starts_with('{'))).collect();
    assert_eq!(messages, [&json!("hello from b"), &json!("hello from a script"), &json!({"binary": "0001feff"})]);

    for tab in ["a", "b"] {
        browser.has_no_errors(tab).await;
    }
    for size in SIZES {
        browser.screenshot("a", "hub", size).await;
        browser.fits("a").await;
    }

    // An id that is taken: the page says what may be the reason.
    browser.open(&page, "c").await;
    browser.fill("c", "#relay-id", "script").await;
    browser.click("c", "#relay-connect").await;
    browser.shows("c", "#relay-log", regex("no connection")).await;
    // It is free again, and the page tries by itself.
    script.close(1000, "").await;
    browser.shows("c", "#relay-log", regex("connected as script")).await;
    say(&mut browser, "c", "at last").await;
    browser.shows("a", "#relay-log", regex("at last")).await;
    browser.finish().await;
}

#[tokio::test]
async fn the_hubs_page_comes_back_after_a_restart() {
    let hub = Hub::start_on(lasting_port(), &[]).await;
    let port = hub.port;
    let mut browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{port}/"), "a").await;
    browser.shows("a", "#counter-users", "1").await;
    browser.click("a", "#counter-plus").await;
    browser.shows("a", "#counter-value", "1").await;
    join_relay(&mut browser, "a", "7").await;

    hub.stop().await;
    browser.shows("a", "#counter-users", "?").await;
    let hub = Hub::start_on(port, &[]).await;
    // A new hub counts from zero.
    browser.shows("a", "#counter-value", "0").await;
    browser.shows("a", "#counter-users", "1").await;
    browser.click("a", "#counter-plus").await;
    browser.shows("a", "#counter-value", "1").await;
    browser.shows("a", "#relay-log", regex("connected as 7[^]*connected as 7")).await;
    let mut script = Client::connected(Language::Python, &hub.uri("/8")).await;
    script.send("welcome back").await;
    browser.shows("a", "#relay-log", regex("welcome back")).await;
    say(&mut browser, "a", "thanks").await;
    script.expect("thanks").await;
    browser.finish().await;
}

// ---- The labs' pages, opened as files: `Origin: null`.

static PORTS: Mutex<()> = Mutex::const_new(());

const CLOCK: Port = Port::Tcp(5678);
const COUNTER: Port = Port::Tcp(6789);

/// The right to use the labs' ports, which are free.
async fn ports() -> MutexGuard<'static, ()> {
    let guard = PORTS.lock().await;
    for port in [CLOCK, COUNTER, Port::Tcp(8765), Port::Tcp(65432), Port::Udp(65432), Port::Udp(5005)] {
        port.assert_free();
    }
    guard
}

fn file(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    format!("file://{}", path.display())
}

fn original_page(name: &str) -> String {
    file(&peer("seeds").join(name))
}

fn our_page(name: &str) -> String {
    file(&peer("../../examples/pages").join(name))
}

/// Two windows with a counter's page.
async fn counter_page(browser: &mut Browser, page: &str) {
    browser.open(page, "a").await;
    browser.shows("a", ".users", regex("^1 user( online)?$")).await;
    browser.shows("a", ".value", "0").await;
    browser.open(page, "b").await;
    for tab in ["a", "b"] {
        browser.shows(tab, ".users", regex("^2 users( online)?$")).await;
    }
    browser.click("a", ".plus").await;
    for tab in ["a", "b"] {
        browser.shows(tab, ".value", "1").await;
    }
    browser.click("b", ".minus").await;
    browser.click("b", ".minus").await;
    for tab in ["a", "b"] {
        browser.shows(tab, ".value", "-1").await;
        browser.has_no_errors(tab).await;
    }
    // Back to zero, for the next page.
    browser.click("b", ".plus").await;
    browser.shows("a", ".value", "0").await;
    browser.close("b").await;
    browser.shows("a", ".users", regex("^1 user( online)?$")).await;
    browser.close("a").await;
}

/// A window with a clock's page, in which several times appear.
async fn clock_page(browser: &mut Browser, page: &str) {
    const TIME: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z\s*";
    browser.open(page, "clock").await;
    browser.shows("clock", "ul", regex(&format!("^{TIME}"))).await;
    // Up to three seconds from one to the next.
    for count in [2, 3] {
        browser.shows("clock", "ul", regex(&format!("^({TIME}){{{count},}}$"))).await;
    }
    browser.has_no_errors("clock").await;
    browser.close("clock").await;
}

#[tokio::test]
async fn the_labs_pages_work_with_our_labs() {
    let _ports = ports().await;
    let labs = Process::spawn(bin(&["labs"]));
    for port in [CLOCK, COUNTER] {
        port.taken_by(&labs).await;
    }
    let mut browser = Browser::start();
    for page in [original_page("counter.html"), our_page("counter.html")] {
        counter_page(&mut browser, &page).await;
    }
    for page in [original_page("clock.html"), our_page("clock.html")] {
        clock_page(&mut browser, &page).await;
    }
    browser.finish().await;
}

#[tokio::test]
async fn our_pages_work_with_the_original_servers() {
    let _ports = ports().await;
    let original = |name: &str| {
        let mut command = Command::new(tool("TAUTLINE_PYTHON_SEEDS"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(peer("seeds").join(name));
        Process::spawn(command)
    };
    let (counter, clock) = (original("counter_server.py"), original("clock_server.py"));
    COUNTER.taken_by(&counter).await;
    CLOCK.taken_by(&clock).await;
    let mut browser = Browser::start();
    counter_page(&mut browser, &our_page("counter.html")).await;
    clock_page(&mut browser, &our_page("clock.html")).await;
    browser.finish().await;
}
