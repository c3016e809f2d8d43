//! Where the sandbox of `threedots` without a configuration keeps what is said on its phones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::real::until;

/// The binary, with this directory for temporary files.
fn start(temporary: &Path, over: &[(&str, &Path)]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.env_clear().env("TMPDIR", temporary).envs(over.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn end(mut child: Child, signal: &str) {
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status();
    assert!(kill.expect("a shell").success());
    child.wait().expect("it ends");
}

#[tokio::test]
async fn it_is_its_owners_alone_and_is_gone_however_a_signal_ends_it() {
    for signal in ["INT", "TERM"] {
        let temporary = tempfile::tempdir().expect("a directory");
        // Another of that name, as somebody might put it there first, is nobody's business.
        let child = start(temporary.path(), &[]);
        let taken = temporary.path().join(format!("threedots-{}", child.id()));
        let _ = fs::create_dir(&taken);
        let is_sandbox = |path: &PathBuf| *path != taken;
        until("a store", || {
            entries(temporary.path()).iter().filter(|path| is_sandbox(path)).any(|path| !entries(path).is_empty())
        })
        .await;
        let sandbox = entries(temporary.path()).into_iter().find(is_sandbox).expect("a directory");
        assert_eq!(fs::metadata(&sandbox).expect("it is there").permissions().mode() & 0o7777, 0o700);
        end(child, signal);
        assert_eq!(entries(temporary.path()), [taken], "after SIG{signal}");
    }
}

#[tokio::test]
async fn a_store_that_somebody_has_named_stays() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mine = temporary.path().join("mine");
    let child = start(temporary.path(), &[("THREEDOTS_STORE__PATH", &mine)]);
    until("a store", || !entries(&mine).is_empty()).await;
    end(child, "TERM");
    assert_eq!(entries(temporary.path()), std::slice::from_ref(&mine));
    assert!(!entries(&mine).is_empty());
}
