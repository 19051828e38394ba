//! A headless Chromium that opens the page of the demo.

use std::time::Duration;

use adapter_tests::programs::{CHROMIUM_ARGUMENTS, Follower};
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};

/// Functions for the scripts of the tests.
const HELPERS: &str = "
    const rows = () => [...document.querySelectorAll('#events li[data-id]')];
    const notes = () => rows().filter(row => row.dataset.type === 'note');
    const state = () => document.querySelector('#state').dataset.state;
";

pub(crate) struct Browser {
    client: Client,
    /// The driver process, which ends when it is dropped.
    _driver: Follower,
    profile: std::path::PathBuf,
}

impl Browser {
    pub(crate) async fn start() -> Browser {
        let mut driver = Follower::start("chromedriver", &["--port=0"]);
        let line = driver.wait_for("started successfully on port");
        let port = line.trim_end_matches('.').rsplit(' ').next().expect("a port").to_owned();
        let profile = std::env::temp_dir().join(format!("sse-demo-{}", std::process::id()));
        let mut arguments = CHROMIUM_ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push("--window-size=1280,900".to_owned());
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments } });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("the browser starts");
        Browser { client, _driver: driver, profile }
    }

    pub(crate) async fn page(&self, port: u16) {
        self.client.goto(&format!("http://127.0.0.1:{port}/")).await.expect("the page loads");
    }

    /// Runs a script in the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(&format!("{HELPERS}{script}"), Vec::new()).await.expect("the script runs")
    }

    /// Runs a script, and returns its text.
    pub(crate) async fn text(&self, script: &str) -> String {
        self.run(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script returns true. Fails the test after 30 seconds.
    pub(crate) async fn wait_for(&self, what: &str, script: &str) {
        for _ in 0..600 {
            if self.run(script).await == Value::Bool(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{what}: not within 30 seconds; the page shows {:?}",
            self.text("return document.body.innerText").await
        );
    }

    pub(crate) async fn close(self) {
        let _ = self.client.close().await;
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
