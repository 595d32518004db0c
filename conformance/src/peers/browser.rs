//! Headless Chromium, used as people use it.

use serde_json::{Value, json};

use super::{DEADLINE, Driver, Language, Scratch, artifact, tool};

/// Headless Chromium, with a folder for its profile.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    _folder: Scratch,
}

impl Browser {
    /// Starts the program that drives it.
    ///
    /// # Panics
    ///
    /// If it does not start, as all methods do if what they are for does not come about.
    pub fn start() -> Self {
        let folder = Scratch::new();
        let mut command = Language::Node.program("browser");
        command.env("TAUTLINE_CHROMIUM", tool("TAUTLINE_CHROMIUM")).env("TMPDIR", folder.path());
        // It is to end its browser.
        Self { driver: Driver::start(command).gently(), _folder: folder }
    }

    /// Opens a page in a new tab.
    pub async fn open(&mut self, url: &str, tab: &str) {
        // The first time it starts the browser.
        let answer = self.driver.ask_within(2 * DEADLINE, "open", json!(url), &[("as", json!(tab))]).await;
        if answer["ok"] != "open" {
            self.driver.fail(&format!("{url}: {answer}"));
        }
    }

    /// Clicks on the first element that fits, as soon as it can be clicked.
    pub async fn click(&mut self, tab: &str, selector: &str) {
        self.driver.tell("click", json!(selector), &[("in", json!(tab))]).await;
    }

    /// Drags with the mouse across an element; places are shares of its width.
    pub async fn drag(&mut self, tab: &str, selector: &str, from: f64, to: f64) {
        self.driver
            .tell("drag", json!(selector), &[("in", json!(tab)), ("from", json!(from)), ("to", json!(to))])
            .await;
    }

    /// Fills in a field.
    pub async fn fill(&mut self, tab: &str, selector: &str, value: &str) {
        self.driver.tell("fill", json!(selector), &[("in", json!(tab)), ("value", json!(value))]).await;
    }

    /// Chooses an option by its value.
    pub async fn select(&mut self, tab: &str, selector: &str, value: &str) {
        self.driver.tell("select", json!(selector), &[("in", json!(tab)), ("value", json!(value))]).await;
    }

    /// Presses a key, such as `Tab` or `Shift+Tab`, on whatever has the focus.
    pub async fn press(&mut self, tab: &str, key: &str) {
        self.driver.tell("press", json!(key), &[("in", json!(tab))]).await;
    }

    /// Types a text into whatever has the focus.
    pub async fn write(&mut self, tab: &str, text: &str) {
        self.driver.tell("type", json!(text), &[("in", json!(tab))]).await;
    }

    /// Waits until an element shows this text, or text that matches [`regex`].
    pub async fn shows(&mut self, tab: &str, selector: &str, text: impl Into<Value>) {
        let more = [("in", json!(tab)), ("until", text.into())];
        self.driver.tell("text", json!(selector), &more).await;
    }

    /// What a script in the page answers.
    pub async fn eval(&mut self, tab: &str, script: &str) -> Value {
        self.driver.tell("eval", json!(script), &[("in", json!(tab))]).await["value"].take()
    }

    /// Waits until a script in the page answers this.
    pub async fn becomes(&mut self, tab: &str, script: &str, value: impl Into<Value>) {
        let more = [("in", json!(tab)), ("until", value.into())];
        self.driver.tell("becomes", json!(script), &more).await;
    }

    /// From now on requests whose address matches the pattern (`*` within a segment, `**` across) get this answer, in all
    /// tabs.
    pub async fn answer(&mut self, pattern: &str, status: u16, body: Value) {
        self.driver.tell("answer", json!(pattern), &[("status", json!(status)), ("body", body)]).await;
    }

    /// `light` or `dark`.
    pub async fn prefer(&mut self, tab: &str, scheme: &str) {
        self.driver.tell("prefer", json!(scheme), &[("in", json!(tab))]).await;
    }

    /// Makes the window this large, in CSS pixels.
    pub async fn resize(&mut self, tab: &str, (width, height): (u32, u32)) {
        let more = [("in", json!(tab)), ("width", json!(width)), ("height", json!(height))];
        self.driver.tell("resize", json!(true), &more).await;
    }

    /// Closes a tab.
    pub async fn close(&mut self, tab: &str) {
        self.driver.tell("close", json!(tab), &[]).await;
    }

    /// Keeps a picture, in a window of this size.
    pub async fn screenshot(&mut self, tab: &str, name: &str, (width, height): (u32, u32)) {
        let path = artifact(&format!("{name}-{width}x{height}.png"));
        let more = [("in", json!(tab)), ("width", json!(width)), ("height", json!(height))];
        self.driver.tell("screenshot", json!(path), &more).await;
    }

    /// The console has to be free of errors.
    pub async fn has_no_errors(&mut self, tab: &str) {
        let answer = self.driver.tell("errors", json!(tab), &[]).await;
        assert_eq!(answer, json!({"errors": []}), "in {tab}");
    }

    /// The WebSocket messages of a tab: `sent` or `received`.
    pub async fn frames(&mut self, tab: &str, direction: &str) -> Vec<Value> {
        let answer = self.driver.tell("frames", json!(tab), &[]).await;
        let frames = answer["frames"].as_array().expect("frames").iter();
        frames.filter_map(|frame| frame.get(direction).cloned()).collect()
    }

    /// What fits into the window's width has to be all there is.
    pub async fn fits(&mut self, tab: &str) {
        let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(self.eval(tab, overflow).await, 0, "pixels to the right of the window in {tab}");
    }

    /// Ends it.
    pub async fn finish(self) {
        self.driver.finish().await;
    }
}

/// Text that matches a regular expression of JavaScript's.
pub fn regex(pattern: &str) -> Value {
    json!({ "regex": pattern })
}
