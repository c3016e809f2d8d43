//! Servers that are processes of ours: shell scripts, which speak the protocol as far as they have to.

use std::path::Path;

use tokio::time::{Instant, sleep};

use super::*;

/// Speaks the protocol; `$1` is what it does with a call, and `$DIR/starts` is how often it was started.
const SPEAKS: &str = r#"
echo started >> "$DIR/starts"
starts=$(wc -l < "$DIR/starts")
answer() {
    id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"
}
while read -r line; do
    case "$line" in
        *'"initialize"'*) answer '{"protocolVersion":"2024-11-05"}' ;;
        *'"tools/list"'*) answer '{"tools":[{"name":"count"}]}'; eval "$LISTED" ;;
        *'"tools/call"'*) echo call >> "$DIR/calls"; eval "$CALLED" ;;
    esac
done
"#;

const SAYS_SEVEN: &str = r#"answer '{"content":[{"type":"text","text":"seven"}]}'"#;

fn script(script: &str, directory: &Path, more: &[(&str, &str)]) -> Server {
    let config = McpConfig {
        name: "s".into(),
        command: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        // How long a process takes to start depends on the machine.
        timeout: Duration::from_secs(30),
        list_wait: Duration::from_secs(30),
        ..McpConfig::default()
    };
    let mut environment = vec![("DIR", directory.to_str().expect("text")), ("LISTED", ":"), ("CALLED", SAYS_SEVEN)];
    environment.extend(more);
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned().into())).collect();
    let nowhere: Arc<dyn Transport> = Stub::new(|_| None);
    let ways_out = Egress { anywhere: Arc::clone(&nowhere), public: nowhere, models: Shared::default() };
    let mcp = Mcp { config, token: None, environment };
    Server::new(mcp, &ways_out).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn lines(directory: &Path, file: &str) -> usize {
    std::fs::read_to_string(directory.join(file)).unwrap_or_default().lines().count()
}

const SEVEN: &str = "<tool_result>\nseven\n</tool_result>";

#[tokio::test]
async fn what_is_no_message_is_passed_over_and_several_may_stand_in_a_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let called = r#"
        echo 'Calling the tool now ...'
        id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        printf '[{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}},'
        printf '{"jsonrpc":"2.0","id":%s,"result":{"content":"seven"}}]\n' "$id"
    "#;
    let banner = format!("echo 'Server v1.0 is ready'; echo '{{\"banner\": true}}'; echo '\"text\"'; echo; {SPEAKS}");
    let server = script(&banner, directory.path(), &[("CALLED", called)]);
    assert_eq!(names(&server).await, ["s_count"]);
    assert_eq!(call(&server, "count").await.as_deref(), Ok(SEVEN));
}

#[tokio::test]
async fn how_a_process_has_ended_is_known_and_so_is_one_that_cannot_be_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let ended = script("echo 'Traceback (most recent call last)' >&2; exit 3", directory.path(), &[]);
    let why = ended.connection.list().await.expect_err("it has ended");
    assert_eq!(why.to_string(), "it has ended (exit status: 3)");
    let advice = ended.connection.advice().expect("something to do");
    assert_eq!(advice, "run it by hand to see what it says: /bin/sh");
    let killed = script("kill -9 $$", directory.path(), &[]);
    let why = killed.connection.list().await.expect_err("it has ended");
    assert!(why.to_string().starts_with("it has ended (signal: 9"), "{why}");
    // Left alone for a while, whoever asks: for longer each time, so that a slow machine sees it, too.
    for tries in 1.. {
        match killed.connection.list().await {
            Err(Trouble::Resting(_)) => break,
            other => assert!(tries < 5, "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_that_a_process_dies_of_is_not_made_again_and_the_next_one_finds_another_process() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = script(SPEAKS, directory.path(), &[("CALLED", &format!("[ $starts = 1 ] && exit 7; {SAYS_SEVEN}"))]);
    assert_eq!(names(&server).await, ["s_count"]);
    assert_eq!(call(&server, "count").await, Err(Failure::Unreachable));
    assert_eq!((lines(directory.path(), "starts"), lines(directory.path(), "calls")), (1, 1));
    let began = Instant::now();
    // Its tools are offered all the time, from the last list.
    while call(&server, "count").await.as_deref() != Ok(SEVEN) {
        assert_eq!(names(&server).await, ["s_count"]);
        assert!(began.elapsed() < Duration::from_secs(30), "it is never begun with again");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((lines(directory.path(), "starts"), lines(directory.path(), "calls")), (2, 2));
}

#[tokio::test]
async fn a_call_that_could_not_be_written_is_written_to_the_next_process() {
    let directory = tempfile::tempdir().expect("a directory");
    // The first one reads no longer once it has listed its tools, and lives on.
    let listed = "if [ $starts = 1 ]; then exec 0<&-; echo deaf > \"$DIR/deaf\"; exec sleep 60; fi";
    let server = script(SPEAKS, directory.path(), &[("LISTED", listed)]);
    assert_eq!(names(&server).await, ["s_count"]);
    while lines(directory.path(), "deaf") == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(call(&server, "count").await.as_deref(), Ok(SEVEN));
    assert_eq!((lines(directory.path(), "starts"), lines(directory.path(), "calls")), (2, 1));
}

#[tokio::test]
async fn a_process_that_says_nothing_holds_nobody_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut server = script("exec sleep 1000", directory.path(), &[]);
    let connection = Arc::get_mut(&mut server.connection).expect("nobody else has it yet");
    connection.config.list_wait = Duration::from_millis(50);
    let began = Instant::now();
    let waited = futures_util::future::join_all((0..3).map(|_| names(&server))).await;
    assert!(waited.iter().all(Vec::is_empty));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
