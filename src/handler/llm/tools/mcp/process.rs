//! A server as a process of ours: JSON lines over its standard input and output.
//!
//! It leads a group of its own, and the group is killed with it: when nobody needs it any longer, when we end, and when it
//! has not ended a moment after its input was closed. If we are killed ourselves, its input closes, which tells a server
//! of this protocol to end. What it writes to its standard error may hold anything, and goes nowhere.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessGroup};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use secrecy::{ExposeSecret, SecretString};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::wire::AROUND;
use crate::handler::llm::config::McpConfig;
use crate::json::WholeReader;

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

    /// Starts it.
    pub(super) fn start(&self) -> io::Result<Process> {
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
        let lines = AsyncRwTransport::new(WholeReader::new(output), input).with_max_line_length(self.longest_line);
        Ok(Process { group: Group(child), lines, deaths })
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
    lines: AsyncRwTransport<RoleClient, WholeReader<ChildStdout>, ChildStdin>,
    group: Group,
    /// Tells that one of our processes has ended, whichever.
    deaths: Signal,
}

/// A process and those that it has started. Dropped, they are killed: that needs no runtime.
struct Group(Box<dyn ChildWrapper>);

impl Group {
    /// Whether its leader has ended.
    fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error means that there is nobody left.
        let _ = self.0.start_kill();
    }
}

impl Transport<RoleClient> for Process {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        self.lines.send(message)
    }

    /// Reads on until the process has ended: another that it has started may hold its output open for longer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if self.group.has_ended() {
                // What it said last is there already.
                return timeout(GLANCE, self.lines.receive()).await.ok().flatten();
            }
            tokio::select! {
                biased;
                message = self.lines.receive() => return message,
                _ = self.deaths.recv() => {}
            }
        }
    }

    /// Closes its input, and gives it a moment; whatever is left then is killed as this is dropped.
    async fn close(&mut self) -> Result<(), io::Error> {
        self.lines.close().await?;
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until && !self.group.has_ended() {
            sleep(GLANCE).await;
        }
        Ok(())
    }
}
