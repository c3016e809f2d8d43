//! The operator's commands, with the real binary: while threedots runs, and while it does not.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;
use threedots::sandbox::{CustomerId, Draft};

use super::TOKEN;
use crate::product::is_kept;
use crate::real::binary::Home;
use crate::real::until;
use crate::real::upstream::{Upstream, free_port};

/// What a command answered, and how it ended.
struct Answer {
    ok: bool,
    out: String,
    err: String,
}

/// A home, and an operator who sits in it.
struct Office {
    upstream: Upstream,
    home: Home,
    operator: u16,
}

const WORDS: &str = "fail said the secret canary";

impl Office {
    /// The demo answers: who says "fail" has no answer.
    fn new() -> Self {
        let upstream = Upstream::start();
        let office = Self { home: Home::new(&upstream, ""), upstream, operator: free_port() };
        office.configure("kind = \"demo\"", true);
        office
    }

    fn configure(&self, handler: &str, with_token: bool) {
        let token = if with_token { "token = \"env:OPERATOR_TOKEN\"" } else { "" };
        let listen = format!("[operator]\nlisten = \"127.0.0.1:{}\"\n{token}", self.operator);
        let config = self.upstream.config(self.home.path(), handler, "") + &listen;
        self.home.configure(&config);
    }

    /// The upstream's model answers, and always does.
    fn mend(&self) {
        let listen = format!("[operator]\nlisten = \"127.0.0.1:{}\"\ntoken = \"env:OPERATOR_TOKEN\"", self.operator);
        self.home.configure(&(self.upstream.config_with_model(self.home.path(), "") + &listen));
    }

    fn run_with(&self, arguments: &[&str], token: Option<&str>) -> Answer {
        let output = Command::new(env!("CARGO_BIN_EXE_threedots"))
            .args(arguments)
            .current_dir(self.home.path())
            .env_clear()
            .envs(token.map(|token| ("OPERATOR_TOKEN", token)))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { ok: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let answer = self.run_with(arguments, Some(TOKEN));
        assert!(answer.ok, "{arguments:?}: {}", answer.err);
        answer
    }

    /// The numbers of the dead letters.
    fn dead(&self) -> Vec<u64> {
        let listed: Value = serde_json::from_str(&self.run(&["dead", "list", "--json"]).out).unwrap();
        let letters = listed["letters"].as_array().unwrap();
        letters.iter().map(|letter| letter["letter"].as_u64().unwrap()).collect()
    }

    fn write(&self, customer: &CustomerId, words: &str) {
        self.upstream.sandbox.write(customer, Draft::text(words)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_replayed_and_dropped_whether_threedots_runs_or_not() {
    let office = Office::new();
    let none = office.run_with(&["dead", "list"], Some(TOKEN));
    assert!(!none.ok && none.err.contains("there is no store in"), "{}", none.err);
    let (poor, other) = (office.upstream.customer(1), office.upstream.customer(2));
    let over = [("OPERATOR_TOKEN", TOKEN)];

    // While it runs.
    let mut binary = office.home.start_with(&over);
    assert!(binary.is_ready().await, "{}", office.home.tail());
    assert_eq!(office.run(&["dead", "list"]).out, "no dead letters\n");
    for customer in [&poor, &other] {
        office.write(customer, WORDS);
    }
    until("two dead letters", || office.dead().len() == 2).await;
    let list = office.run(&["dead", "list"]).out;
    assert_eq!(list.lines().count(), 3, "a head, and one line a letter: {list}");
    assert!(list.contains("shop") && list.contains("text") && list.contains("the demo was asked to fail"), "{list}");
    assert!(!list.contains("canary") && !list.contains(poor.as_str()), "{list}");
    let first = office.dead()[0].to_string();
    let shown = office.run(&["dead", "show", &first]).out;
    assert!(shown.contains(WORDS) && shown.contains("phone"), "{shown}");
    assert!(office.run(&["dead", "replay", &first]).out.starts_with(&format!("{first}: replayed")));
    until("its second death", || !office.dead().contains(&first.parse().unwrap()) && office.dead().len() == 2).await;
    let unknown = office.run_with(&["dead", "drop", &first, "999999"], Some(TOKEN));
    assert!(!unknown.ok && unknown.err.contains("not all of these are dead letters"), "{}", unknown.err);
    assert!(unknown.out.contains(&format!("{first} 999999: no dead letter")), "{}", unknown.out);

    // The reasons why it may not be able to ask.
    let wrong = office.run_with(&["dead", "list"], Some("another-operator-token-0123456789"));
    assert!(!wrong.ok && wrong.err.contains("another `operator.token`"), "{}", wrong.err);
    let unset = office.run_with(&["dead", "list"], None);
    assert!(!unset.ok && unset.err.contains("OPERATOR_TOKEN is not set: set it"), "{}", unset.err);
    office.configure("kind = \"demo\"", false);
    let tokenless = office.run_with(&["dead", "list"], Some(TOKEN));
    assert!(!tokenless.ok && tokenless.err.contains("set `operator.token` in threedots.toml"), "{}", tokenless.err);
    for answer in [wrong, unset, tokenless] {
        assert_eq!(answer.out, "");
    }
    office.mend();
    binary.signal("TERM");
    assert_eq!(binary.ended().await.code(), Some(0));

    // While it does not; and the store is free again afterwards.
    let dead = office.dead();
    assert_eq!(dead.len(), 2);
    assert_eq!(
        office.run(&["dead", "list", "--most", "1"]).out.lines().count(),
        3,
        "a head, a line, and where it goes on"
    );
    let (mine, theirs) = (dead[0].to_string(), dead[1].to_string());
    let shown = office.run(&["dead", "show", &theirs]).out;
    assert!(shown.contains(WORDS), "{shown}");
    let (mine, theirs) = if shown.contains(poor.as_str()) { (theirs, mine) } else { (mine, theirs) };
    assert_eq!(office.run(&["dead", "drop", &theirs]).out, format!("{theirs}: dropped\n"));
    let replayed = office.run(&["dead", "replay", "--json", &mine]);
    assert_eq!(replayed.out, format!("{{\"done\":[{mine}],\"unknown\":[]}}\n"));
    assert!(replayed.err.contains("audit") && !replayed.err.contains("canary"), "{}", replayed.err);
    assert!(!office.run_with(&["dead", "show", &mine], None).ok, "no longer dead");

    // The handler is mended: it is answered.
    let answers = |customer: &CustomerId| {
        let replies = office.upstream.sandbox.phone().replies(customer);
        replies.iter().filter(|reply| reply.body.words() == WORDS).count()
    };
    let mut binary = office.home.start_with(&over);
    assert!(binary.is_ready().await, "{}", office.home.tail());
    until("the answer", || answers(&poor) == 1).await;
    binary.signal("TERM");
    assert_eq!(binary.ended().await.code(), Some(0));
    assert_eq!((answers(&poor), answers(&other)), (1, 0));
    let log = office.home.log();
    assert!(log.contains("\"operator.action\":\"replay\""), "the log says what the operator did");
    assert!(!log.contains("canary") && !log.contains(TOKEN));
    office.home.check_log(&[poor, other]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_whether_threedots_runs_or_not() {
    let office = Office::new();
    let (first, second) = (office.upstream.customer(1), office.upstream.customer(2));
    let mut binary = office.home.start_with(&[("OPERATOR_TOKEN", TOKEN)]);
    assert!(binary.is_ready().await, "{}", office.home.tail());
    for customer in [&first, &second] {
        office.write(customer, WORDS);
    }
    until("two dead letters", || office.dead().len() == 2).await;
    let forget = |contact: &str| {
        let answer = office.run(&["forget", "--json", "--bot", "shop", "--contact", contact]);
        assert!(!answer.err.contains(contact), "{}", answer.err);
        serde_json::from_str::<Value>(&answer.out).unwrap()
    };
    let forgotten = forget(&format!("+{}", first.as_str()));
    assert_eq!((&forgotten["dead"], &forgotten["conversations"]), (&1.into(), &1.into()), "{forgotten}");
    assert_eq!(office.dead().len(), 1);
    assert!(!is_kept(&office.home.store(), first.as_str()) && is_kept(&office.home.store(), second.as_str()));
    binary.signal("TERM");
    assert_eq!(binary.ended().await.code(), Some(0));

    let forgotten = forget(second.as_str());
    assert_eq!(forgotten["dead"], 1, "{forgotten}");
    assert_eq!(office.dead(), [0; 0]);
    // Files that were there before are gone, too.
    for canary in ["canary", first.as_str(), second.as_str()] {
        assert!(!is_kept(&office.home.store(), canary), "{canary} stands in the files");
    }
    let again = office.run(&["forget", "--bot", "shop", "--contact", second.as_str()]);
    assert!(again.out.starts_with("nothing was kept of this person"), "{}", again.out);
    let log = office.home.log();
    assert!(log.contains("\"operator.action\":\"forget\"") && log.contains("\"operator.bot\":\"shop\""));
    office.home.check_log(&[first, second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_paused_whether_threedots_runs_or_not() {
    let office = Office::new();
    let customer = office.upstream.customer(1);
    let mut binary = office.home.start_with(&[("OPERATOR_TOKEN", TOKEN)]);
    assert!(binary.is_ready().await, "{}", office.home.tail());
    let contact = format!("+{}", customer.as_str());
    let say = |command: &str, more: &[&str]| {
        let all = [&[command, "--bot", "shop", "--contact", &contact], more].concat();
        let answer = office.run_with(&all, Some(TOKEN));
        assert!(!answer.err.contains(customer.as_str()), "{}", answer.err);
        // The line of the log stands beside what is said.
        if answer.out.is_empty() { answer.err } else { answer.out }
    };
    assert!(say("pause", &["--for", "2h"]).starts_with("paused: a person answers, the bot does not, until 2"));
    assert!(say("pause", &["--for", "never"]).contains("--for is no duration"));
    binary.signal("TERM");
    assert_eq!(binary.ended().await.code(), Some(0));
    // Whoever works on the store itself also writes the line of the log.
    let first = |said: String| said.lines().next().unwrap_or_default().to_owned();
    assert_eq!(first(say("pause", &[])), "paused: a person answers, the bot does not, until it is resumed");
    assert_eq!(first(say("resume", &[])), "not paused: the bot answers");
    assert_eq!(first(say("resume", &[])), "not paused: the bot answers (as before)");
    let log = office.home.log();
    assert!(log.contains("\"operator.action\":\"pause\"") && log.contains("\"operator.bot\":\"shop\""));
    office.home.check_log(&[customer]);
}
