//! Processes that end with the test, however it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a slow machine may take to start a process.
const START: Duration = Duration::from_secs(60);
/// What a browser may take to close.
const END: Duration = Duration::from_secs(15);

type Output = Arc<Mutex<Vec<String>>>;

/// A child whose output is kept, for the case that the test fails.
pub(crate) struct Process {
    child: Child,
    output: Output,
}

impl Process {
    /// Starts it and waits for the line with `announcement` in it. Returns the word that follows there, too.
    pub(crate) fn start(command: &mut Command, announcement: &str) -> (Self, String) {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (lines, arriving) = mpsc::channel();
        let output = Output::default();
        keep(child.stdout.take().expect("piped"), &output, lines.clone());
        keep(child.stderr.take().expect("piped"), &output, lines);
        let process = Self { child, output };
        let started = Instant::now();
        loop {
            let line = arriving.recv_timeout(START.saturating_sub(started.elapsed()));
            let line = line.unwrap_or_else(|_| panic!("nobody said \"{announcement}\""));
            if let Some((_, rest)) = line.split_once(announcement) {
                let word = rest.split_whitespace().next().expect("something is announced");
                return (process, word.to_owned());
            }
        }
    }

    /// Whether it ends by itself within the time that a browser may take.
    fn ends(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < END {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) => return true,
                Err(_) => return false,
            }
        }
        false
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "what the process said explains why the test failed")]
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.output.lock().expect("lines").join("\n"));
        }
    }
}

/// Reads to the end: a full pipe would stop the process.
fn keep(from: impl Read + Send + 'static, output: &Output, lines: Sender<String>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            output.lock().expect("lines").push(line.clone());
            // Once the announcement is there, nobody waits for lines.
            let _ = lines.send(line);
        }
    });
}

/// Chromium's driver. It takes its browsers with it when it ends.
pub(crate) struct Driver {
    process: Process,
    pub(crate) address: String,
}

impl Driver {
    pub(crate) fn start(command: &mut Command) -> Self {
        let (process, port) = Process::start(command.arg("--port=0"), "started successfully on port ");
        Self { process, address: format!("127.0.0.1:{}", port.trim_end_matches('.')) }
    }

    /// A driver that is killed leaves its browsers behind, so it is asked.
    fn ask_to_end(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(END))?;
        write!(stream, "GET /shutdown HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.ask_to_end().is_ok() {
            self.process.ends();
        }
    }
}
