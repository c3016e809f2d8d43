//! A visit to the phone: the real binary, a headless Chromium, and the record of what the chat showed.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::{ParseError, Url};

use super::process::{Driver, Process};

/// What a slow machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Something that the chat showed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) what: String,
    /// In milliseconds, on the page's own clock.
    pub(crate) at: f64,
}

/// How a message is sent.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Click,
    Enter,
}

/// Everything that runs; in the order in which it has to end.
pub(crate) struct Visit {
    client: Client,
    _driver: Driver,
    _product: Process,
    _directory: TempDir,
    address: String,
}

impl Visit {
    /// Starts it all and opens the page in a window of this size.
    pub(crate) async fn begin(width: u32, height: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut product = bare(env!("CARGO_BIN_EXE_threedots"), directory.path());
        let (product, address) = Process::start(&mut product, "The phone is at ");
        let driver = Driver::start(&mut bare("/usr/bin/chromedriver", directory.path()));
        let client = browser(&driver, directory.path()).await;
        let visit = Self { client, _driver: driver, _product: product, _directory: directory, address };
        visit.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": include_str!("record.js") })).await;
        visit.resize(width, height).await;
        visit.load().await;
        visit
    }

    /// Opens the page, or opens it again: the record begins anew.
    pub(crate) async fn load(&self) {
        self.client.goto(&self.address).await.expect("the page");
        self.find("input").await;
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Presses the button that says who answers, and waits until the page says so.
    pub(crate) async fn answers(&self, who: &str, told: &str) {
        self.find(&format!("answers-{who}")).await.click().await.expect("a click");
        let said = format!("return document.querySelector('[data-answering]').textContent.includes('{told}')");
        self.wait_for(told, async || (self.run(&said).await == json!(true)).then_some(())).await;
    }

    /// Has the page believe that its reader prefers `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.cdp("Emulation.setEmulatedMedia", features).await;
    }

    /// Types a message and sends it. Returns what the chat shows from there on until the dots are gone.
    pub(crate) async fn write(&self, text: &str, by: By) -> Vec<String> {
        let known = self.seen().await.len();
        self.send(text, by).await;
        self.until_the_dots_are_gone(known).await
    }

    /// Types a message and sends it.
    pub(crate) async fn send(&self, text: &str, by: By) {
        let input = self.find("input").await;
        input.send_keys(text).await.expect("typing");
        match by {
            By::Click => self.find("send").await.click().await.expect("a click"),
            By::Enter => input.send_keys(&Key::Enter.to_string()).await.expect("Enter"),
        }
    }

    /// What the chat shows after its first `known` changes, until the dots are gone.
    pub(crate) async fn until_the_dots_are_gone(&self, known: usize) -> Vec<String> {
        self.until("dots off", known).await.into_iter().skip(known).map(|seen| seen.what).collect()
    }

    /// Waits until `what` is seen, after the first `known` changes. Returns everything that was seen.
    pub(crate) async fn until(&self, what: &str, known: usize) -> Vec<Seen> {
        self.wait_for(what, async || {
            let seen = self.seen().await;
            seen.iter().skip(known).any(|seen| seen.what == what).then_some(seen)
        })
        .await
    }

    /// Looks until there is something to return.
    pub(crate) async fn wait_for<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            match look().await {
                Some(found) => return found,
                None if began.elapsed() > PATIENCE => panic!("no \"{what}\" in {:?}", self.seen().await),
                None => sleep(LOOK).await,
            }
        }
    }

    /// Everything that the chat has shown since the page was opened.
    pub(crate) async fn seen(&self) -> Vec<Seen> {
        serde_json::from_value(self.run("return window.seen").await).expect("the record")
    }

    /// The first element with this `data-test`, as soon as there is one.
    pub(crate) async fn find(&self, test: &str) -> Element {
        let css = hook(test);
        self.client.wait().at_most(PATIENCE).every(LOOK).for_element(Locator::Css(&css)).await.expect(test)
    }

    /// How many elements there are with this `data-test`.
    pub(crate) async fn count(&self, test: &str) -> usize {
        self.client.find_all(Locator::Css(&hook(test))).await.expect(test).len()
    }

    /// Presses a key, with Shift or without, wherever the focus is.
    pub(crate) async fn press(&self, key: Key, shift: bool) {
        let mut keys = KeyActions::new("keyboard".into());
        let (value, held) = (char::from(key), char::from(Key::Shift));
        if shift {
            keys = keys.then(KeyAction::Down { value: held });
        }
        keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        if shift {
            keys = keys.then(KeyAction::Up { value: held });
        }
        self.client.perform_actions(keys).await.expect("a key");
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.expect(script)
    }

    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("a screenshot")
    }

    /// Ends the visit, of which the browser's console has nothing to tell: no error, no breach of the page's policy.
    pub(crate) async fn end(self) {
        let log = self.vendor("se/log", json!({ "type": "browser" })).await;
        assert_eq!(log, json!([]), "the browser complains");
        self.client.close().await.expect("the browser closes");
    }

    async fn cdp(&self, command: &str, params: Value) {
        self.vendor("goog/cdp/execute", json!({ "cmd": command, "params": params })).await;
    }

    async fn vendor(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Vendor { path, body }).await.expect(path)
    }
}

/// A command that the driver has beyond the standard's.
#[derive(Debug)]
struct Vendor {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn hook(test: &str) -> String {
    format!("[data-test={test}]")
}

/// A command without this machine's settings, which keeps what it writes in `directory`.
fn bare(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.env("HOME", directory).env("TMPDIR", directory).current_dir(directory);
    command
}

async fn browser(driver: &Driver, directory: &Path) -> Client {
    let profile = format!("--user-data-dir={}", directory.join("profile").display());
    let capabilities = json!({
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            profile,
        ] },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(capabilities);
    builder.connect(&format!("http://{}", driver.address)).await.expect("a browser")
}
