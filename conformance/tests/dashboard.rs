//! The hub's page as people see it: in two browsers, with a device of another make.

#[path = "dashboard/inspector.rs"]
mod inspector;
#[path = "dashboard/sensors.rs"]
mod sensors;

use serde_json::{Value, json};
use tautline::Message;
use tautline_conformance::peers::{Browser, Client, Hub, Language, Received, Scratch, bin, lasting_port, regex};

const DESKTOP: (u32, u32) = (1360, 1000);
const PHONE: (u32, u32) = (360, 740);

/// A hub that remembers, and where its page is.
struct Site {
    hub: Hub,
    page: String,
    _data: Scratch,
}

impl Site {
    async fn start() -> Self {
        let data = Scratch::new();
        let folder = data.path().to_str().expect("UTF-8").to_owned();
        let hub = Hub::start_on(lasting_port(), &["--data", &folder]).await;
        Self { page: format!("http://127.0.0.1:{}/", hub.port), hub, _data: data }
    }

    /// A browser with the page.
    async fn browser(&self) -> Browser {
        let mut browser = Browser::start();
        browser.open(&self.page, "page").await;
        browser.shows("page", "#hub-state", "live").await;
        browser.resize("page", DESKTOP).await;
        browser
    }

    async fn raw(&self, path: &str) -> Client {
        Client::connected(Language::Python, &self.hub.uri(path)).await
    }

    /// A device that speaks envelopes, welcomed.
    async fn device(&self, path: &str) -> Client {
        let mut device = Language::Python.client();
        device.open(json!({"uri": self.hub.uri(path), "subprotocols": ["tautline.v1.json"]})).await;
        hears(&mut device, "welcome").await;
        device
    }
}

/// The next envelope of a type; who comes and goes is not of interest.
async fn hears(device: &mut Client, kind: &str) -> Value {
    loop {
        let message = device.recv().await;
        let envelope: Value = serde_json::from_slice(message.as_bytes()).expect("JSON");
        if envelope["type"] == kind {
            return envelope;
        }
        assert_eq!(envelope["type"], "presence", "{envelope}");
    }
}

async fn look_at_room(browser: &mut Browser, room: &str) {
    browser.click("page", &format!("#rooms-list button:has-text('{room}')")).await;
    browser.shows("page", "#room-title", room).await;
}

async fn say(browser: &mut Browser, kind: &str, text: &str) {
    browser.select("page", "#room-kind", kind).await;
    browser.fill("page", "#room-text", text).await;
    browser.click("page", "#room-send").await;
}

async fn look_at_device(browser: &mut Browser, device: &str) {
    browser.click("page", &format!("#devices-list button:has-text('{device}')")).await;
    browser.shows("page", "#device-name", device).await;
}

#[tokio::test]
async fn two_browsers_and_a_device_see_each_other() {
    let site = Site::start().await;
    let mut browsers = [site.browser().await, site.browser().await];
    for browser in &mut browsers {
        browser.shows("page", "#devices-note", regex("^No devices yet")).await;
    }
    let mut device = site.raw("/rooms/lab/esp").await;
    for browser in &mut browsers {
        browser.shows("page", "#devices-list", regex("esp\\s+lab\\s+")).await;
        browser.shows("page", "#devices-count", "1 of 1 online").await;
        browser.shows("page", "#events-log", regex("esp came to lab from 127.0.0.1:")).await;
        look_at_room(browser, "lab").await;
    }

    let [first, second] = &mut browsers;
    say(first, "text", "from a page").await;
    device.expect("from a page").await;
    second.shows("page", "#room-log", regex("#1\\s+api\\s+text\\s+from a page")).await;
    say(second, "data", r#"{"led": true}"#).await;
    device.expect(r#"{"led":true}"#).await;
    say(second, "base64", "00 ff 10").await;
    device.expect(vec![0, 255, 16]).await;
    device.send(r#"{"celsius":21.5}"#).await;
    for browser in [&mut *first, &mut *second] {
        browser.shows("page", "#room-log", regex("#3\\s+api\\s+hex\\s+00 ff 10")).await;
        browser.shows("page", "#room-log", regex("#4\\s+esp\\s+text\\s+.\"celsius\":21.5")).await;
    }
    first.select("page", "#room-form", "pretty").await;
    first.shows("page", "#room-log", regex("#4\\s+esp\\s+json\\s+.\\n  \"celsius\": 21.5\\n")).await;
    first.select("page", "#room-form", "hex").await;
    first.shows("page", "#room-log", regex("#1\\s+api\\s+hex\\s+66 72 6f 6d 20 61")).await;

    first.click("page", "#counter-plus").await;
    for browser in [&mut *first, &mut *second] {
        browser.shows("page", "#counter-value", "1").await;
        browser.shows("page", "#counter-users", "2").await;
        browser.shows("page", "#events-log", regex("counter is 1")).await;
    }

    device.abort().await;
    for browser in &mut browsers {
        browser
            .shows("page", "#events-log", regex("esp left lab: the client ended the connection without a close frame"))
            .await;
        browser
            .shows("page", "#devices-list", regex("last seen \\d+ s ago\\s+the client ended the connection without"))
            .await;
        browser.has_no_errors("page").await;
    }
    let [first, second] = browsers;
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn what_was_said_before_the_page_came_and_while_it_was_away_is_shown_once() {
    let site = Site::start().await;
    let mut device = site.raw("/rooms/lab/esp").await;
    for number in 1..=3 {
        device.send(format!("before {number}")).await;
    }
    let mut browser = site.browser().await;
    look_at_room(&mut browser, "lab").await;
    browser.shows("page", "#room-log", regex("before 1[^]*before 2[^]*before 3")).await;
    device.send("after").await;
    browser.shows("page", "#room-log", regex("before 3[^]*after")).await;
    browser.becomes("page", "document.querySelectorAll('#room-log li').length", 4).await;

    let Site { hub, _data: data, .. } = site;
    let port = hub.port;
    hub.stop().await;
    browser.shows("page", "#hub-state", regex("^connection lost")).await;
    let hub = Hub::start_on(port, &["--data", data.path().to_str().expect("UTF-8")]).await;
    let mut device = Client::connected(Language::Python, &hub.uri("/rooms/lab/esp")).await;
    device.send("again").await;
    browser.shows("page", "#hub-state", "live").await;
    browser.shows("page", "#room-log", regex("after[^]*counts its messages anew[^]*#1[^]*again")).await;
    browser.finish().await;
}

#[tokio::test]
async fn a_device_is_told_what_to_do() {
    let site = Site::start().await;
    let mut device = site.device("/rooms/lab/esp").await;
    let mut browser = site.browser().await;
    look_at_device(&mut browser, "esp").await;

    browser.click("page", "#led").await;
    let command = hears(&mut device, "command").await;
    assert_eq!((&command["name"], &command["payload"]), (&json!("led"), &json!({"on": true})));
    device.send(json!({"type": "result", "id": command["id"], "data": {"was": false}}).to_string()).await;
    browser.shows("page", "#led-note", "on").await;
    browser.becomes("page", "document.querySelector('#led').ariaChecked", "true").await;
    browser.shows("page", "#command-log", regex("led \\{\"on\":true\\} → done: \\{\"was\":false\\}")).await;

    browser.fill("page", "#command-name", "reboot").await;
    browser.fill("page", "#command-payload", "{").await;
    browser.click("page", "#command button").await;
    browser.shows("page", "#command-problem", regex("^The payload is not JSON")).await;
    browser.fill("page", "#command-payload", "[5]").await;
    browser.click("page", "#command button").await;
    let command = hears(&mut device, "command").await;
    assert_eq!((&command["name"], &command["payload"]), (&json!("reboot"), &json!([5])));
    device.send(json!({"type": "result", "id": command["id"], "error": "not now"}).to_string()).await;
    browser.shows("page", "#command-log", regex("reboot \\[5\\] → the device refuses: not now")).await;

    device.close(1000, "").await;
    browser.shows("page", "#history", regex("the client closed the connection")).await;
    browser.click("page", "#led").await;
    browser.shows("page", "#led-note", "not switched: the device is not connected").await;
    browser.becomes("page", "document.querySelector('#led').ariaChecked", "true").await;
    browser.fill("page", "#command-ttl", "60").await;
    browser.click("page", "#command button").await;
    browser.shows("page", "#command-log", regex("is kept until the device connects")).await;
    let mut device = site.device("/rooms/lab/esp").await;
    assert_eq!(hears(&mut device, "command").await["name"], "reboot");
    browser.finish().await;
}

#[tokio::test]
async fn a_twin_is_edited_and_nobodys_change_is_lost() {
    let site = Site::start().await;
    let mut device = site.device("/rooms/lab/esp").await;
    let mut browsers = [site.browser().await, site.browser().await];
    for browser in &mut browsers {
        look_at_device(browser, "esp").await;
        browser.shows("page", "#twin-desired label", regex("not there yet")).await;
    }
    let [first, second] = &mut browsers;
    second.fill("page", "#twin-desired textarea", r#"{"theirs": 1}"#).await;
    first.fill("page", "#twin-desired textarea", "[1]").await;
    first.shows("page", "#twin-desired .problem", regex("is a JSON object")).await;
    first.fill("page", "#twin-desired textarea", r#"{"colour": "red"}"#).await;
    first.click("page", "#twin-desired button:has-text('Save')").await;
    first.shows("page", "#twin-desired label", regex("version 1$")).await;
    let wanted = hears(&mut device, "twin").await;
    assert_eq!(wanted["delta"], json!({"colour": "red"}));
    device.send(json!({"type": "report", "put": {"colour": "red", "lux": 3}}).to_string()).await;
    first.shows("page", "#twin-reported", regex("\"lux\": 3")).await;
    first.shows("page", "#twin-delta", "Nothing: it is as desired.").await;

    // Whether the page hears of it by itself first, or by its own attempt.
    second.shows("page", "#twin-desired .conflict", "Version 1 is there now; your changes are to version 0.").await;
    second.becomes("page", "document.querySelector('#twin-desired textarea').value", r#"{"theirs": 1}"#).await;
    second.click("page", "#twin-desired button:has-text('Save mine over it')").await;
    first.shows("page", "#twin-desired label", regex("version 2$")).await;
    first
        .becomes("page", "JSON.parse(document.querySelector('#twin-desired textarea').value)", json!({"theirs": 1}))
        .await;
    let [first, second] = browsers;
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn documents_are_shared_and_a_conflict_shows_what_there_is() {
    let site = Site::start().await;
    let mut device = site.device("/rooms/lab/esp").await;
    let mut browser = site.browser().await;
    look_at_room(&mut browser, "lab").await;
    browser.click("page", "#tab-documents").await;
    browser.shows("page", "#documents-note", "This room has no documents yet.").await;
    browser.fill("page", "#document-name", "lamp").await;
    browser.click("page", "#document-opening button").await;
    browser.fill("page", "#document textarea", r#"{"on": false"#).await;
    browser.shows("page", "#document .problem", "This is not JSON yet.").await;
    browser.fill("page", "#document textarea", r#"{"on": false}"#).await;
    browser.click("page", "#document button:has-text('Save')").await;
    browser.shows("page", "#documents-list", "lamp version 1").await;
    device.send(json!({"type": "state", "document": "lamp", "subscribe": true}).to_string()).await;
    assert_eq!(hears(&mut device, "state").await["data"], json!({"on": false}));

    browser.fill("page", "#document textarea", r#"{"mine": true}"#).await;
    device.send(json!({"type": "state", "document": "lamp", "patch": {"on": true}}).to_string()).await;
    for _what_for in ["the answer", "the subscription"] {
        assert_eq!(hears(&mut device, "state").await["version"], 2);
    }
    browser.shows("page", "#document .conflict", "Version 2 is there now; your changes are to version 1.").await;
    browser.shows("page", "#document pre", regex("\"on\": true")).await;
    browser.click("page", "#document button:has-text('Drop my changes')").await;
    browser
        .becomes("page", "JSON.parse(document.querySelector('#document textarea').value)", json!({"on": true}))
        .await;
    browser.has_no_errors("page").await;
    browser.click("page", "#document button:has-text('Remove')").await;
    assert_eq!(hears(&mut device, "state").await["removed"], true);
    browser.shows("page", "#documents-note", "This room has no documents yet.").await;
    browser.finish().await;
}

#[tokio::test]
async fn whatever_devices_say_is_text() {
    let site = Site::start().await;
    // "<img src=x onerror=boom()>" and a right-to-left override, as a name and as a message.
    let name = "%3Cimg%20src=x%20onerror=boom()%3E%E2%80%AEevil";
    let mut device = site.raw(&format!("/rooms/%3Cb%3Elab/{name}")).await;
    let mut browser = site.browser().await;
    browser.shows("page", "#devices-list", regex("<img src=x onerror=boom\\(\\)>⟨U\\+202E⟩evil\\s+<b>lab")).await;
    browser.click("page", "#rooms-list button:has-text('<b>lab')").await;
    device.send("<script>boom()</script> \u{202e}\u{7}\u{200b} bell").await;
    let words = "<script>boom\\(\\)</script> ⟨U\\+202E⟩⟨U\\+0007⟩⟨U\\+200B⟩ bell";
    browser.shows("page", "#room-log", regex(words)).await;
    device.send("z".repeat(30_000)).await;
    browser.shows("page", "#room-log", regex("z … show all \\(30,000 characters\\)")).await;
    browser.click("page", "#room-log button").await;
    browser.becomes("page", "document.querySelector('#whole-text').innerText.length", 30_000).await;
    browser.press("page", "Escape").await;
    browser.fits("page").await;
    browser.click("page", "#devices-list button").await;
    browser.shows("page", "#device-name", regex("^<img")).await;
    device.close(1000, "").await;
    browser.shows("page", "#history", regex("<b>lab")).await;
    assert_eq!(browser.eval("page", "document.querySelectorAll('img, script:not([src]), b').length").await, 0);
    browser.has_no_errors("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn logs_are_bounded_and_can_be_paused() {
    let site = Site::start().await;
    let mut device = site.raw("/rooms/lab/esp").await;
    device.send("first").await;
    let mut browser = site.browser().await;
    look_at_room(&mut browser, "lab").await;
    browser.shows("page", "#room-log", regex("first")).await;
    for number in 2..=600 {
        device.send(format!("number {number}.")).await;
    }
    browser.shows("page", "#room-log", regex("number 600\\.")).await;
    browser.becomes("page", "document.querySelectorAll('#room-log li').length", 500).await;
    browser.click("page", "#room-pause").await;
    device.send("while it is paused").await;
    browser.shows("page", "#room-pause", "Go on (1 new)").await;
    assert_eq!(browser.eval("page", "document.querySelector('#room-log').innerText.includes('paused')").await, false);
    browser.click("page", "#room-pause").await;
    browser.shows("page", "#room-log", regex("while it is paused")).await;
    browser.click("page", "#room-clear").await;
    browser.becomes("page", "document.querySelectorAll('#room-log li').length", 0).await;
    device.send("a new beginning").await;
    browser.shows("page", "#room-log", regex("^[^ ]+\\s+#602\\s+esp\\s+text\\s+a new beginning$")).await;
    browser.finish().await;
}

/// Goes on with a key until the element with this selector has the focus, which then has to be seen.
async fn reach(browser: &mut Browser, key: &str, selector: &str) {
    for _ in 0..80 {
        browser.press("page", key).await;
        let here = format!("document.activeElement.matches({})", json!(selector));
        if browser.eval("page", &here).await == true {
            let outline = "getComputedStyle(document.activeElement).outlineStyle";
            assert_eq!(browser.eval("page", outline).await, "solid", "{selector}");
            return;
        }
    }
    panic!("{key} does not lead to {selector}");
}

#[tokio::test]
async fn the_page_works_with_the_keyboard_alone() {
    let site = Site::start().await;
    let mut device = site.raw("/rooms/lab/esp").await;
    let mut browser = site.browser().await;
    browser.shows("page", "#devices-list", regex("esp")).await;

    reach(&mut browser, "Tab", "#devices-list button").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#device-name", "esp").await;
    reach(&mut browser, "Tab", "#led").await;
    browser.press("page", "Space").await;
    let Received::Message(Message::Text(command)) = device.receive().await else { panic!("no command") };
    assert!(command.contains(r#""name":"led""#), "{command}");
    browser.press("page", "Escape").await;
    browser.becomes("page", "document.querySelector('#device').open", false).await;
    browser.becomes("page", "document.activeElement.matches('#devices-list button')", true).await;

    reach(&mut browser, "Tab", "#rooms-list button").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#room-title", "lab").await;
    reach(&mut browser, "Tab", "#tab-messages").await;
    browser.press("page", "ArrowRight").await;
    browser.shows("page", "#members-list", "esp raw").await;
    browser.press("page", "ArrowLeft").await;
    reach(&mut browser, "Tab", "#room-text").await;
    browser.write("page", "by keyboard").await;
    browser.press("page", "Enter").await;
    device.expect("by keyboard").await;
    reach(&mut browser, "Tab", "#counter-plus").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#counter-value", "1").await;
    reach(&mut browser, "Shift+Tab", ".skip").await;

    let unlabelled =
        "[...document.querySelectorAll('input, select, textarea')].filter((one) => !one.labels.length).length";
    assert_eq!(browser.eval("page", unlabelled).await, 0);
    browser.finish().await;
}

#[tokio::test]
async fn the_page_fits_a_phone_in_the_dark() {
    let site = Site::start().await;
    let mut device = site
        .device("/rooms/a-room-with-a-very-long-name-that-does-not-end-soon/a-device-with-a-very-long-name-indeed")
        .await;
    let mut browser = site.browser().await;
    let ground = "getComputedStyle(document.body).backgroundColor";
    browser.becomes("page", ground, "rgb(242, 245, 244)").await;
    browser.prefer("page", "dark").await;
    browser.resize("page", PHONE).await;
    browser.becomes("page", ground, "rgb(15, 21, 20)").await;
    look_at_room(&mut browser, "a-room-with-a-very-long-name-that-does-not-end-soon").await;
    device.send(json!({"type": "publish", "data": {"words": "x".repeat(300)}}).to_string()).await;
    browser.shows("page", "#room-log", regex("xxx")).await;
    browser.shows("page", "#devices-list", regex("online for")).await;
    browser.fits("page").await;
    for tab in ["members", "documents", "messages"] {
        browser.click("page", &format!("#tab-{tab}")).await;
        browser.fits("page").await;
    }
    browser.screenshot("page", "dashboard-dark", PHONE).await;
    look_at_device(&mut browser, "a-device-with-a-very-long-name-indeed").await;
    browser.fits("page").await;
    let overflow = "document.querySelector('#device').scrollWidth - document.querySelector('#device').clientWidth";
    assert_eq!(browser.eval("page", overflow).await, 0);
    browser.screenshot("page", "dashboard-device-dark", PHONE).await;
    browser.press("page", "Escape").await;
    browser.prefer("page", "light").await;
    browser.screenshot("page", "dashboard", DESKTOP).await;
    browser.fits("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn a_page_that_may_not_use_the_api_says_what_to_do_and_keeps_counter_and_client() {
    let site = Site::start().await;
    let mut device = site.raw("/esp").await;
    let mut browser = Browser::start();
    let refusal = json!({"type": "/api#refused", "title": "The caller may not do that", "status": 403, "detail": "refused: <b>why</b>"});
    browser.answer("**/api/**", 403, refusal).await;
    browser.open(&site.page, "page").await;
    browser.shows("page", "#refused", regex("machine that the hub runs on[^]*--insecure[^]*refused: <b>why</b>")).await;
    browser.shows("page", "#hub-state", "limited").await;
    assert_eq!(browser.eval("page", "document.querySelector('#devices').checkVisibility()").await, false);
    browser.click("page", "#counter-plus").await;
    browser.shows("page", "#counter-value", "1").await;
    browser.fill("page", "#relay-id", "a page").await;
    browser.click("page", "#relay-connect").await;
    browser.shows("page", "#relay-log", regex("connected as a page")).await;
    browser.fill("page", "#relay-text", "still here").await;
    browser.click("page", "#relay-send").await;
    device.expect("still here").await;
    device.send(vec![1, 2]).await;
    browser.shows("page", "#relay-log", regex("hex\\s+01 02")).await;
    browser.fits("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn a_hub_without_a_list_of_devices_is_told_apart_from_one_without_devices() {
    let site = Site::start().await;
    let mut browser = Browser::start();
    let missing =
        json!({"type": "/api#not-found", "title": "There is nothing here", "status": 404, "detail": "nothing"});
    browser.answer("**/api/devices?*", 404, missing).await;
    browser.open(&site.page, "page").await;
    browser.shows("page", "#devices-note", regex("^This hub keeps no list of devices")).await;
    browser.finish().await;
}

#[tokio::test]
async fn a_page_of_a_hub_that_wants_a_token_asks_for_it_and_works_with_it() {
    let data = Scratch::new();
    let folder = data.path().to_str().expect("UTF-8").to_owned();
    let made = bin(&["token", "add", "a page", "--data", &folder]).output().expect("it runs");
    let token = String::from_utf8(made.stdout).expect("a token").trim_end().to_owned();
    let config = data.path().join("hub.toml");
    std::fs::write(&config, "[access]\nrequire_authentication = true\n").expect("written");
    let config = config.to_str().expect("UTF-8");
    let hub = Hub::start_on(0, &["--data", &folder, "--config", config]).await;
    let mut browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}/", hub.port), "page").await;
    browser.resize("page", DESKTOP).await;
    browser.shows("page", "#refused", regex("tautline token add[^]*an access token is needed")).await;
    browser.screenshot("page", "dashboard-token", DESKTOP).await;
    browser.fits("page").await;
    browser.fill("page", "#refused-token", "tl_wrong").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#refused-detail", "the access token is not known here").await;
    browser.fill("page", "#refused-token", &token).await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#hub-state", "live").await;
    browser.shows("page", "#devices-note", regex("^No devices yet")).await;
    // WebSockets have no headers here.
    browser.click("page", "#counter-plus").await;
    browser.shows("page", "#counter-value", "1").await;
    browser.fill("page", "#relay-id", "me").await;
    browser.click("page", "#relay-connect").await;
    browser.shows("page", "#relay-log", regex("connected as me")).await;
    browser.shows("page", "#devices-list", regex("me")).await;
    browser.finish().await;
}
