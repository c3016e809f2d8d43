//! A server as a process of ours: JSON lines over its standard input and output.
//!
//! It leads a group of its own, and the group is killed with it: when nobody needs it any longer, when we end, and when
//! it has not ended a moment after its input was closed. If we are killed ourselves, its input closes, which tells a
//! server of this protocol to end. What it writes to its standard error may hold anything, and goes nowhere.

mod lines;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::lenient;
use super::wire::AROUND;
use crate::handler::llm::config::McpConfig;
use crate::message::json::{self, WholeReader};
use lines::{LineReader, OutputLine};

/// What it gets of our own environment.
const PASSED_ON: [&str; 3] = ["PATH", "HOME", "LANG"];
/// How long it has for ending by itself once its input is closed, and how often it is looked for that.
const FAREWELL: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(50);

/// The program, ready to be started.
pub(super) struct Program {
    command: String,
    args: Vec<String>,
    environment: Vec<(String, SecretString)>,
    /// The longest line that is read, in bytes; a longer one is thrown away as it comes.
    longest_line: usize,
}

impl Program {
    /// # Errors
    /// What cannot be used: the key, and what to do.
    pub(super) fn new(
        config: &McpConfig,
        environment: Vec<(String, SecretString)>,
    ) -> Result<Self, Vec<(String, String)>> {
        let mut problems = Vec::new();
        let has_nul = |text: &str| text.contains('\0');
        if has_nul(&config.command) || !is_there(&config.command) {
            let problem = "is no program that can be started: give its path, or a name that is in PATH";
            problems.push(("command".to_owned(), problem.to_owned()));
        }
        for (number, _) in config.args.iter().enumerate().filter(|(_, argument)| has_nul(argument)) {
            problems.push((format!("args[{number}]"), "holds a character that no argument can hold: remove it".into()));
        }
        for name in config.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            problems.push((format!("env.{name}"), "is no name of an environment variable: correct it".into()));
        }
        for (name, _) in environment.iter().filter(|(_, value)| has_nul(value.expose_secret())) {
            let problem = "holds a character that no environment variable can hold: put its value there alone";
            problems.push((format!("env.{name}"), problem.into()));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let longest_line = usize::try_from(config.answer_limit.saturating_add(AROUND)).unwrap_or(usize::MAX);
        Ok(Self { command: config.command.clone(), args: config.args.clone(), environment, longest_line })
    }

    /// What it is called on the command line, without what it is given there.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// Starts it. How it has ended is found in `ended`, if it has ended by itself.
    pub(super) fn start(&self, ended: Arc<OnceLock<ExitStatus>>) -> io::Result<Process> {
        let mut command = CommandWrap::with_new(&self.command, |command| {
            command.args(&self.args).env_clear();
            command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
            command.envs(self.environment.iter().map(|(name, value)| (name, value.expose_secret())));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        });
        // From before there is a process that may end.
        let deaths = signal(SignalKind::child())?;
        let mut child = command.wrap(ProcessGroup::leader()).spawn()?;
        let (output, input) = (child.stdout().take(), child.stdin().take());
        let (Some(output), Some(input)) = (output, input) else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let lines = LineReader::new(WholeReader::new(output), self.longest_line);
        let input = Arc::new(Mutex::new(Some(input)));
        Ok(Process { group: Group { child, ended }, lines, input, read: VecDeque::new(), spoken_to: false, deaths })
    }
}

/// Whether there is such a program.
fn is_there(command: &str) -> bool {
    if command.contains('/') {
        return Path::new(command).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(command).is_file())
}

/// A server that runs.
pub(super) struct Process {
    lines: LineReader<WholeReader<ChildStdout>>,
    input: Arc<Mutex<Option<ChildStdin>>>,
    /// What stood in one line with what was received last.
    read: VecDeque<RxJsonRpcMessage<RoleClient>>,
    group: Group,
    /// Whether something has been written to it.
    spoken_to: bool,
    /// Tells that one of our processes has ended, whichever.
    deaths: Signal,
}

/// A process and those that it has started. Dropped, they are killed: that needs no runtime.
struct Group {
    child: Box<dyn ChildWrapper>,
    ended: Arc<OnceLock<ExitStatus>>,
}

impl Group {
    /// Whether its leader has ended.
    fn has_ended(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(None) => false,
            Ok(Some(status)) => {
                let _ = self.ended.set(status);
                true
            }
            Err(_) => true,
        }
    }

    /// Waits until its leader has ended, for a moment.
    async fn end(&mut self) {
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until && !self.has_ended() {
            sleep(GLANCE).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error means that there is nobody left.
        let _ = self.child.start_kill();
    }
}

impl Process {
    /// Reads a line's messages. What is none, as a banner, is passed over.
    fn take_in(&mut self, line: &OutputLine) {
        let messages = match line {
            OutputLine::Whole(line) => json::from_slice::<Value>(line).map(lenient::messages).unwrap_or_default(),
            OutputLine::TooLong(beginning) => {
                lenient::answered(beginning).map(|id| lenient::too_long(&id)).into_iter().collect()
            }
        };
        let messages = messages.into_iter();
        self.read.extend(messages.filter_map(|message| json::from_value(message).ok()));
    }
}

impl Transport<RoleClient> for Process {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let input = Arc::clone(&self.input);
        // Of one that has ended before it was spoken to, `receive` finds out how.
        let is_first = !std::mem::replace(&mut self.spoken_to, true);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut input = input.lock().await;
            let Some(writer) = input.as_mut() else { return Err(io::ErrorKind::NotConnected.into()) };
            let written = async { writer.write_all(&line).await.and(writer.flush().await) };
            written.await.or_else(|error| if is_first { Ok(()) } else { Err(error) })
        }
    }

    /// Reads on until the process has ended: another that it has started may hold its output open for longer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(message) = self.read.pop_front() {
                return Some(message);
            }
            let line = if self.group.has_ended() {
                // What it said last is there already.
                timeout(GLANCE, self.lines.next()).await.ok().flatten()
            } else {
                tokio::select! {
                    biased;
                    line = self.lines.next() => line,
                    _ = self.deaths.recv() => continue,
                }
            };
            match line {
                Some(line) => self.take_in(&line),
                None => {
                    // One that closes its output is about to end, as a rule: how, is of use to its operator.
                    self.group.end().await;
                    return None;
                }
            }
        }
    }

    /// Closes its input, and gives it a moment; whatever is left then is killed as this is dropped.
    async fn close(&mut self) -> Result<(), io::Error> {
        // Whoever writes to one that reads no longer holds on to its input.
        if let Ok(mut input) = timeout(GLANCE, self.input.lock()).await {
            drop(input.take());
        }
        self.group.end().await;
        Ok(())
    }
}
