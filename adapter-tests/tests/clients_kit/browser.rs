//! Browsers without a driver: the page that they open reports to the test.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use adapter_tests::programs::{CHROMIUM_ARGUMENTS, Follower, Missing, needs};

/// Preferences of Firefox: nothing but the test's page is requested, and not from a proxy.
const PREFERENCES: &str = r#"
    user_pref("app.normandy.enabled", false);
    user_pref("app.update.disabledForTesting", true);
    user_pref("browser.aboutwelcome.enabled", false);
    user_pref("browser.safebrowsing.malware.enabled", false);
    user_pref("browser.safebrowsing.phishing.enabled", false);
    user_pref("browser.shell.checkDefaultBrowser", false);
    user_pref("datareporting.policy.dataSubmissionEnabled", false);
    user_pref("extensions.update.enabled", false);
    user_pref("network.captive-portal-service.enabled", false);
    user_pref("network.connectivity-service.enabled", false);
    user_pref("network.proxy.type", 0);
    user_pref("services.settings.server", "data:,");
    user_pref("toolkit.telemetry.enabled", false);
"#;

/// A browser with a home and a profile of its own. Dropping it ends the browser and removes both.
pub(crate) struct Browser {
    process: Follower,
    home: PathBuf,
}

impl Browser {
    /// Opens a page in Firefox.
    pub(crate) fn firefox(url: &str) -> Result<Browser, Missing> {
        needs("firefox-esr", "--version")?;
        let home = home();
        std::fs::write(home.join("user.js"), PREFERENCES).expect("the folder can be written");
        let mut firefox = Command::new("firefox-esr");
        firefox.args(["--headless", "--no-remote", "--profile"]).arg(&home).arg(url);
        // The crash reporter would outlive the browser.
        firefox.env("MOZ_CRASHREPORTER_DISABLE", "1");
        Ok(Browser::start(firefox, home))
    }

    /// Opens a page in Chromium.
    pub(crate) fn chromium(url: &str) -> Result<Browser, Missing> {
        needs("chromium", "--version")?;
        let home = home();
        let mut chromium = Command::new("chromium");
        chromium.args(CHROMIUM_ARGUMENTS).args(["--disable-breakpad", "--no-proxy-server"]);
        chromium.arg(format!("--user-data-dir={}", home.display())).arg(url);
        Ok(Browser::start(chromium, home))
    }

    fn start(mut command: Command, home: PathBuf) -> Browser {
        for variable in ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(variable, &home);
        }
        Browser { process: Follower::spawn(command.stderr(Stdio::null())), home }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill();
        // The other processes of the browser end when they notice it, and write to its profile until then.
        for _ in 0..500 {
            if std::fs::remove_dir_all(&self.home).is_ok() || !self.home.exists() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// Creates a folder. Its path is short, since browsers create sockets in it.
fn home() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let home = std::env::temp_dir().join(format!("sse-browser-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&home).expect("the folder can be created");
    home
}
