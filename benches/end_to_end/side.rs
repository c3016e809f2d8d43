//! The two sides that are compared: child processes, and what the system says they use.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::stub::Stubs;
use crate::wire::{ACCESS_TOKEN, APP_SECRET, SHOP, SLOW};

/// Names another build of threedots, which then stands in the bare handler's place.
const AGAINST: &str = "BENCH_AGAINST";

/// Which side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `threedots serve`, with sled on disk.
    Threedots,
    /// The bare handler.
    Baseline,
}

/// A side at work. Dropped, it is killed, and its data deleted.
pub(crate) struct Side {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Holds configuration and store.
    _directory: TempDir,
}

impl Side {
    /// Starts a side with an empty store and waits until it listens.
    pub(crate) fn start(kind: Kind, stubs: &Stubs) -> io::Result<Self> {
        // Beside the build, so that the store is on a disk: a temporary directory may be in memory.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let program = match kind {
            Kind::Threedots => Some(env!("CARGO_BIN_EXE_threedots").into()),
            Kind::Baseline => std::env::var_os(AGAINST),
        };
        let command = match program {
            Some(program) => {
                let config = directory.path().join("threedots.toml");
                fs::write(&config, configuration(address, directory.path(), stubs))?;
                let mut command = Command::new(program);
                command.arg("serve").arg("--config").arg(config);
                command
            }
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                let addresses = [address, stubs.graph, stubs.model].map(|address| address.to_string());
                command.arg("--baseline").args(addresses);
                command
            }
        };
        Self::spawn(command, address, directory)
    }

    /// Starts threedots with the configuration that is in a directory, and says how long it took until it listened.
    pub(crate) fn serve(directory: TempDir, address: SocketAddr) -> io::Result<(Self, Duration)> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
        command.arg("serve").current_dir(directory.path());
        let began = Instant::now();
        let side = Self::spawn(command, address, directory)?;
        Ok((side, began.elapsed()))
    }

    fn spawn(mut command: Command, address: SocketAddr, directory: TempDir) -> io::Result<Self> {
        command.env("BENCH_APP_SECRET", APP_SECRET).env("BENCH_ACCESS_TOKEN", ACCESS_TOKEN);
        let child = command.stdin(Stdio::null()).spawn()?;
        let mut side = Self { child, address, _directory: directory };
        for _ in 0..2000 {
            if TcpStream::connect(address).is_ok() {
                return Ok(side);
            }
            if let Some(status) = side.child.try_wait()? {
                return Err(io::Error::other(format!("it has ended: {status}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("it does not listen"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processor time it has used, its own and the kernel's on its behalf.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // Behind the name, which may hold anything: fields 14 and 15, in hundredths of a second on every Linux.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks =
            |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default();
        Ok(Duration::from_millis(10 * (ticks(14) + ticks(15))))
    }

    /// The memory it has resident, in bytes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kilobytes.unwrap_or_default() * 1024)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The defaults, but for the addresses, for what keeps one sender from writing so much, and for the turns: of two bots,
/// each may take half of them.
fn configuration(listen: SocketAddr, directory: &Path, stubs: &Stubs) -> String {
    let bot = |name: &str, number: &str| {
        format!(
            r#"
[bots.{name}.provider]
kind = "meta"
phone_number_id = "{number}"
access_token = "env:BENCH_ACCESS_TOKEN"
app_secret = "env:BENCH_APP_SECRET"
verify_token = "env:BENCH_APP_SECRET"
base_url = "http://{}"
messages_per_second = 0
pair_every = "0s"

[bots.{name}.gate]
per_minute = 1000000
"#,
            stubs.graph
        )
    };
    format!(
        r#"
[server]
listen = "{listen}"

[store]
path = '{}'

[worker]
turns = 20000

[log]
level = "error"
{}
[bots.{}.handler]
kind = "llm"

[[bots.{}.handler.models]]
base_url = "http://{}/v1"
model = "stub"
timeout = "80s"
stall = "80s"
{}
[bots.{}.handler]
kind = "demo"
"#,
        directory.join("store").display(),
        bot(SHOP.name, SHOP.phone_number_id),
        SHOP.name,
        SHOP.name,
        stubs.model,
        bot(SLOW.name, SLOW.phone_number_id),
        SLOW.name,
    )
}

/// How many files a process may have open.
pub(crate) fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}
