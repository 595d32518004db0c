//! The inspector: what a student would ask Wireshark is answered on the page.

use tautline_conformance::peers::secure::opened;
use tautline_conformance::peers::{Browser, Language, Project, regex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PHONE, Site, reach, say};

/// For a picture of all of it.
const TALL: (u32, u32) = (1360, 1320);

/// A browser with the inspector open.
async fn inspector(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.click("page", "#inspector-open").await;
    browser
}

async fn inspect(browser: &mut Browser, entry: &str) {
    browser.click("page", &format!("#inspector-list button:has-text('{entry}')")).await;
    browser.shows("page", "#inspected-title", entry).await;
}

/// Sends a request for a WebSocket, which is refused with a status.
async fn refused(site: &Site, target: &str, headers: &str, status: &str) {
    let mut tcp = TcpStream::connect(("127.0.0.1", site.hub.port)).await.expect("connected");
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    tcp.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
}

#[tokio::test]
async fn a_handshake_is_explained_header_by_header_and_frames_bit_by_bit() {
    let site = Site::start().await;
    let mut device = site.raw("/rooms/lab/esp").await;
    let mut browser = inspector(&site).await;
    inspect(&mut browser, "esp in lab").await;
    let transport = "^ws: WebSocket over TCP, from 127.0.0.1:\\d+. Not encrypted[^]*websocket\\) && tcp.port == \\d+$";
    browser.shows("page", "#inspected-transport", regex(transport)).await;
    let request =
        "^GET /rooms/lab/esp HTTP/1.1[^]*Upgrade: websocket\\s+Asks to go on[^]*Sec-WebSocket-Key: [^]*No secret";
    browser.shows("page", "#handshake-request", regex(request)).await;
    let answer = "^HTTP/1.1 101\\s+Switching Protocols[^]*Sec-WebSocket-Accept: [^]*SHA-1[^]*258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    browser.shows("page", "#handshake-answer", regex(answer)).await;

    browser.click("page", "#frames-watch").await;
    browser.shows("page", "#frames-state", "every frame from now on").await;
    device.send(r#"{"on":true}"#).await;
    browser.shows("page", "#frames", regex("→\\s+text\\s+FIN masked · 11 bytes\\s+.\"on\":true.")).await;
    browser.click("page", "#rooms-list button:has-text('lab')").await;
    browser.shows("page", "#room-title", "lab").await;
    say(&mut browser, "text", "hello").await;
    device.expect("hello").await;
    browser.shows("page", "#frames", regex("←\\s+text\\s+FIN unmasked · 5 bytes\\s+hello")).await;

    browser.click("page", "#frames li:first-child summary").await;
    let bits = "[...document.querySelectorAll('#frames .field > span')].map((field) => field.textContent).join(' ')";
    browser.becomes("page", bits, "1 0 0 0 0001 1 0001011").await;
    browser.shows("page", "#frames .bytes", regex("first two bytes\\s+81 8b\\s+masking key[^]*payload, masked")).await;
    let meaning = "FIN\\s+1: the last frame[^]*opcode\\s+1, text[^]*MASK\\s+1: masked with the key[^]*length\\s+11: the length itself";
    browser.shows("page", "#frames .meaning", regex(meaning)).await;
    browser.shows("page", "#frames pre", regex("^.\\n  \"on\": true\\n.$")).await;
    browser.resize("page", TALL).await;
    browser.eval("page", "document.querySelector('#inspector').scrollIntoView()").await;
    browser.screenshot("page", "inspector", TALL).await;

    device.close(1000, "done").await;
    browser
        .shows(
            "page",
            "#frames",
            regex("→\\s+close\\s+FIN masked · 6 bytes\\s+1000 normal closure: all is done “done”"),
        )
        .await;
    browser.shows("page", "#frames-state", regex("^the connection has ended")).await;
    browser.has_no_errors("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn refused_handshakes_are_explained_and_secrets_are_not_shown() {
    let site = Site::start().await;
    let secret = "Sec-WebSocket-Version: 12\r\nAuthorization: Bearer sesame\r\nCookie: a=sesame\r\n";
    refused(&site, "/old?token=sesame", secret, "426").await;
    refused(&site, "/page", "Sec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n", "403").await;
    let mut browser = inspector(&site).await;
    browser.shows("page", "#inspector-list", regex("/page\\s+refused: 403 · [^]*/old[^]*refused: 426 · ")).await;
    inspect(&mut browser, "/old?token=[redacted]").await;
    browser.shows("page", "#handshake-request", regex("Version: 12\\s[^]*Authorization: Bearer \\[redacted\\]")).await;
    browser.shows("page", "#handshake-answer", regex("^HTTP/1.1 426\\s+Upgrade Required")).await;
    browser.shows("page", "#frames-state", "this connection is not open").await;
    assert_eq!(browser.eval("page", "document.querySelector('#frames-watch').disabled").await, true);
    inspect(&mut browser, "/page").await;
    browser.shows("page", "#handshake-request", regex("Origin: http://evil.example\\s+The page that opens")).await;
    assert_eq!(browser.eval("page", "document.body.innerText.includes('sesame')").await, false);
    browser.finish().await;
}

#[tokio::test]
async fn the_inspector_works_with_the_keyboard_and_on_a_phone_in_the_dark() {
    let site = Site::start().await;
    let mut device =
        site.device("/rooms/a-room-with-a-very-long-name-that-does-not-end-soon/a-device-with-a-long-name").await;
    let mut browser = site.browser().await;
    browser.shows("page", "#devices-list", regex("a-device")).await;
    reach(&mut browser, "Tab", "#inspector-open").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#inspector-list", regex("a-device-with-a-long-name")).await;
    reach(&mut browser, "Tab", "#inspector-list button").await;
    // The page has a connection of its own.
    while browser.eval("page", "document.activeElement.textContent.includes('a-device')").await == false {
        browser.press("page", "Tab").await;
    }
    browser.press("page", "Enter").await;
    reach(&mut browser, "Tab", "#frames-watch").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#frames-state", "every frame from now on").await;
    device.send(format!(r#"{{"type":"publish","data":"{}"}}"#, "x".repeat(1000))).await;
    browser.shows("page", "#frames", regex("text\\s+FIN masked · 1,028 bytes")).await;
    reach(&mut browser, "Tab", "#frames summary").await;
    browser.press("page", "Enter").await;
    browser.shows("page", "#frames .meaning", regex("126: the length stands in the next 2 bytes")).await;

    browser.prefer("page", "dark").await;
    browser.resize("page", PHONE).await;
    browser.fits("page").await;
    browser.eval("page", "document.querySelector('#frames-title').scrollIntoView()").await;
    browser.screenshot("page", "inspector-dark", PHONE).await;
    browser.has_no_errors("page").await;
    browser.finish().await;
}

#[tokio::test]
async fn a_device_leads_to_its_frames() {
    let site = Site::start().await;
    let mut device = site.raw("/rooms/lab/esp").await;
    let _other = site.raw("/rooms/lab/other").await;
    let mut browser = site.browser().await;
    super::look_at_device(&mut browser, "esp").await;
    browser.click("page", "#device-inspect").await;
    browser.shows("page", "#inspected-title", "esp in lab").await;
    browser.shows("page", "#frames-state", "every frame from now on").await;
    device.send("hello").await;
    browser.shows("page", "#frames", regex("→\\s+text\\s+FIN masked · 5 bytes\\s+hello")).await;
    browser.finish().await;
}

#[tokio::test]
async fn of_an_encrypted_connection_the_page_says_what_wireshark_would_see() {
    let project = Project::new().await;
    let serve = "--host=127.0.0.1 --port=0 --tls-port=0 --ssl-ca-cert=tls/ca/ca.crt --ssl-certs-reqs=1";
    let mut hub = project.serve(serve).await;
    let port = |line: &str| line.strip_prefix("listening on https://127.0.0.1:")?.strip_suffix('/').map(str::to_owned);
    let secure = hub.process.find(port).await;
    let uri = format!("wss://127.0.0.1:{secure}/rooms/lab/esp");
    let mut device = opened(Language::Python, uri, project.client("ESP Client 1")).await;
    let mut browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}/", hub.port), "page").await;
    browser.shows("page", "#devices-list", regex("esp\\s+lab\\s+wss\\s+–\\s+ESP Client 1")).await;
    browser.click("page", "#inspector-open").await;
    inspect(&mut browser, "esp in lab").await;
    let transport = "^wss: WebSocket over TLS \\(TLS 1.3, TLS_[A-Z0-9_]+\\) over TCP[^]*Application Data[^]*\
                     certificate: ESP Client 1\\.[^]*tls && tcp.port == \\d+$";
    browser.shows("page", "#inspected-transport", regex(transport)).await;
    browser.shows("page", "#handshake-note", regex("over TCP, inside of TLS")).await;
    browser.click("page", "#frames-watch").await;
    browser.shows("page", "#frames-state", "every frame from now on").await;
    device.send("hello").await;
    browser.shows("page", "#frames", regex("→\\s+text\\s+FIN masked · 5 bytes\\s+hello")).await;
    browser.finish().await;
}
