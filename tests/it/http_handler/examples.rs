//! The examples, started as their first lines say, behind the real binary.
#![allow(clippy::unwrap_used)]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use threedots::sandbox::phone::{Call, What};
use threedots::sandbox::{Draft, Upstream as Kind};

use super::SECRET;
use crate::real::PATIENCE;
use crate::real::binary::Home;
use crate::real::upstream::{Upstream, free_port};

/// An example at work. Dropped, it is killed.
struct Example {
    child: Child,
    port: u16,
}

impl Drop for Example {
    fn drop(&mut self) {
        // All of its group: a shell's children outlive it. It may have ended by itself, which is as good.
        let _ = Command::new("kill").args(["-9", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

impl Example {
    /// Runs the command in an example's first line.
    fn start(file: &str) -> Self {
        let path = Path::new("examples/handlers").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let command = text.lines().find(|line| line.contains(path.to_str().unwrap())).expect("a command");
        let command = command.trim_start_matches(['#', '/', ' ']).split("    ").next().unwrap();
        let (program, arguments) = command.split_once(' ').unwrap();
        let port = free_port();
        let child = Command::new(program)
            .args(arguments.split(' '))
            .env("PORT", port.to_string())
            .env("HANDLER_SECRET", SECRET)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} is needed for this: {error}"));
        Self { child, port }
    }
}

/// What a customer on WAHA sees of an example, who writes once it answers; and the calls, each with its milliseconds.
async fn talk(file: &str) -> (Vec<String>, Vec<(u128, Call)>) {
    let example = Example::start(file);
    let upstream = Upstream::of(Kind::Waha, "shop", free_port());
    let home = Home::empty(upstream.port).with("HANDLER_SECRET", SECRET);
    let handler = format!(
        "kind = \"http\"\nurl = \"http://127.0.0.1:{}/\"\nprivate = true\nsecret = \"env:HANDLER_SECRET\"",
        example.port
    );
    let rest = format!("[callbacks]\nlisten = \"127.0.0.1:{}\"\n", free_port());
    home.configure(&upstream.config(home.path(), &handler, &rest));
    let mut binary = home.start_and_wait().await;
    let customer = upstream.customer(1);
    let phone = upstream.sandbox.phone();
    upstream.sandbox.write(&customer, Draft::text("hello")).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while phone.replies(&customer).is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let replies = phone.replies(&customer).iter().map(|reply| reply.body.words().to_owned()).collect();
    assert!(!phone.dots_showing(&customer), "dots are left");
    let timeline = phone.timeline();
    let began = timeline.first().map(|moment| moment.at).unwrap_or_default();
    let calls = timeline.iter().filter_map(|moment| match moment.what {
        What::Called { what, .. } => Some((moment.at.since(began).as_millis(), what)),
        _ => None,
    });
    let calls = calls.collect();
    binary.signal("TERM");
    assert!(binary.ended().await.success(), "{}", home.tail());
    upstream.stop().await;
    (replies, calls)
}

fn kinds(calls: &[(u128, Call)]) -> Vec<Call> {
    calls.iter().map(|(_, call)| *call).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python"]
async fn the_one_in_python_answers_at_once() {
    let (replies, _) = talk("python.py").await;
    assert_eq!(replies, ["You said: hello (0 things were said before)"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Node"]
async fn the_one_in_typescript_takes_a_breath_and_answers_as_a_stream() {
    let (replies, calls) = talk("typescript.ts").await;
    assert_eq!(replies, ["I looked for \"hello\" and found it."]);
    let kinds = kinds(&calls);
    let expected = [Call::Read, Call::Typing, Call::Stop, Call::Typing, Call::Send];
    assert_eq!(kinds, expected, "dots, a breath, dots, the reply");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs nc and curl"]
async fn the_one_with_curl_answers_later_and_the_dots_wait_for_it() {
    let (replies, calls) = talk("curl.sh").await;
    assert_eq!(replies, ["That took me three seconds."]);
    let (sent, last) = calls.last().unwrap();
    assert_eq!(*last, Call::Send);
    assert!(*sent >= 3000, "{calls:?}");
    assert!(!kinds(&calls).contains(&Call::Stop), "the dots went off in between: {calls:?}");
}

#[test]
fn each_is_shorter_than_thirty_lines() {
    for entry in std::fs::read_dir("examples/handlers").unwrap() {
        let path = entry.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 30, "{path:?} has {lines} lines");
    }
}
