//! The binary as a child process, and the directory that it lives in.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use threedots::sandbox::CustomerId;

use super::PATIENCE;
use super::upstream::Upstream;

/// Names another build of the binary: what is measured is measured of a release build.
const OTHER_BUILD: &str = "TEST_BINARY";

fn program() -> PathBuf {
    std::env::var_os(OTHER_BUILD).map_or_else(|| env!("CARGO_BIN_EXE_threedots").into(), PathBuf::from)
}

/// Where the binary lives: its configuration, its data, its log.
pub(crate) struct Home {
    directory: TempDir,
    port: u16,
    over: Vec<(String, String)>,
}

impl Home {
    /// A home with the upstream's model for a handler.
    pub(crate) fn new(upstream: &Upstream, rest: &str) -> Self {
        Self::of(upstream.port, |directory| upstream.config_with_model(directory, rest))
    }

    /// A home with any configuration, for a binary that listens on this port.
    pub(crate) fn of(port: u16, config: impl FnOnce(&Path) -> String) -> Self {
        let home = Self::empty(port);
        home.configure(&config(home.path()));
        home
    }

    /// A home without a configuration, for a binary that takes webhooks on `port`.
    pub(crate) fn empty(port: u16) -> Self {
        Self { directory: TempDir::new().unwrap(), port, over: Vec::new() }
    }

    /// Writes another configuration in place of the one that is there.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path().join("threedots.toml"), config).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The same, with a variable over the file at every start.
    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.over.push((name.into(), value.into()));
        self
    }

    /// The variables that lie over the file.
    pub(crate) fn over(&self) -> impl Iterator<Item = (&str, &str)> {
        self.over.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything that the binary has said, over all its runs.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Starts the binary. Over the file lies what stands in `over`.
    pub(crate) fn start_with(&self, over: &[(&str, &str)]) -> Binary {
        let log = OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let child = Command::new(program())
            .args(["serve", "--config"])
            .arg(self.directory.path().join("threedots.toml"))
            .env_clear()
            .envs(self.over())
            .envs(over.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Binary { child, port: self.port }
    }

    pub(crate) fn start(&self) -> Binary {
        self.start_with(&[])
    }

    /// Starts the binary, and returns when it takes webhooks.
    pub(crate) async fn start_and_wait(&self) -> Binary {
        let mut binary = self.start();
        let ready = binary.is_ready().await;
        assert!(ready, "it did not start: {}", self.tail());
        binary
    }

    /// The last lines of the log.
    pub(crate) fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Whatever happened, this stands in no log, and nothing was moved aside. The demo's panics are to order.
    pub(crate) fn check_log(&self, customers: &[CustomerId]) {
        let log = self.log();
        let to_order = |line: &&str| line.contains("src/handler/demo.rs") || line.contains("the handler panicked");
        for bad in ["moved it aside", "a panic", "panicked", "the store has failed", "could not be recorded"] {
            let found = log.lines().filter(|line| line.contains(bad)).find(|line| !to_order(line));
            assert!(found.is_none(), "{found:?} stands in the log");
        }
        for customer in customers {
            assert!(!log.contains(customer.as_str()), "a customer's number stands in the log");
        }
        for entry in fs::read_dir(self.store()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_str().unwrap().starts_with("bad-"), "data was moved aside");
        }
    }
}

/// A running binary. Dropped, it is killed.
pub(crate) struct Binary {
    child: Child,
    port: u16,
}

impl Binary {
    /// Waits until it takes webhooks; false if it ended instead.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if get(self.port, "/readyz").await == Some(200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        false
    }

    /// Whether it has a file of this name open, or has ended.
    pub(crate) fn has_open(&mut self, name: &str) -> bool {
        // Where there is no such directory, nobody waits.
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return true };
        let open = files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.ends_with(name));
        open || !self.is_running()
    }

    /// How much memory it took at the most, and takes now, in bytes.
    pub(crate) fn memory(&self) -> (usize, usize) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
        };
        (kilobytes("VmHWM:") << 10, kilobytes("VmRSS:") << 10)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended, and says how.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a GET.
pub(crate) async fn get(port: u16, path: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
