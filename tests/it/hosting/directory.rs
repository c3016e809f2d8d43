//! The directory of bots, through the real command.

use std::path::Path;
use std::time::Duration;

use crate::configuration::threedots;
use crate::product::soon;
use crate::real::binary::Home;

const BOT: &str = "[provider]\nkind = \"meta\"\nphone_number_id = \"109900000000001\"\naccess_token = \"env:T\"\n\
                   app_secret = \"env:T\"\nverify_token = \"env:T\"\n[handler]\nkind = \"demo\"\n";

/// What `check` says of these files in the directory of bots.
pub(super) fn check(files: &[(&str, &str)], main: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    std::fs::create_dir(directory.path().join("bots")).expect("a directory");
    write(&directory.path().join("threedots.toml"), &format!("bots_dir = \"bots\"\n{main}"));
    for (name, text) in files {
        write(&directory.path().join("bots").join(name), text);
    }
    let env: Vec<_> = env.iter().copied().chain([("T", "fictional-secret")]).collect();
    let output = threedots(directory.path(), &["check"], &env);
    let said = String::from_utf8(output.stdout).expect("text") + &String::from_utf8(output.stderr).expect("text");
    (output.status.code(), said)
}

#[test]
fn each_file_is_a_bot_and_what_begins_with_a_dot_is_none() {
    let files = [("shop.toml", BOT), ("bakery-2.toml", BOT), (".draft", "?"), (".hidden.toml", "?")];
    assert_eq!(check(&files, "", &[]), (Some(0), "threedots.toml: 2 bot(s), no problem\n".into()));
    let main = BOT.replace("[provider]", "[bots.cafe.provider]").replace("[handler]", "[bots.cafe.handler]");
    assert_eq!(check(&files, &main, &[]), (Some(0), "threedots.toml: 3 bot(s), no problem\n".into()));
    assert_eq!(check(&[], "", &[]), (Some(0), "threedots.toml: 0 bot(s), no problem\n".into()));
}

#[test]
fn everything_that_is_wrong_in_any_of_them_is_told_with_its_file_and_line() {
    let wrong = BOT.replace("access_token = \"env:T\"", "access_token = \"env:NOT_THERE\"\nread_timeout = 3");
    let long = format!("{BOT}[turn]\ntimeout = \"1h\"\n");
    let files = [
        ("bakery.toml", "kind = \"meta\"\n[provider]\nkind = \"telegram\"\n[handler]\nkind = \"demo\"\n"),
        ("cafe.toml", "[provider\n"),
        ("cellar.toml", &long),
        ("notes.txt", ""),
        ("Shop.toml", BOT),
        ("shop.toml", &wrong),
    ];
    let main = BOT.replace("[provider]", "[bots.cellar.provider]").replace("[handler]", "[bots.cellar.handler]");
    let (status, said) = check(&files, &main, &[]);
    assert_eq!(status, Some(1));
    let (begins, mut lines) = (
        [
            "bots/Shop.toml: bots.Shop: is part of an address:",
            "bots/bakery.toml:1: bots.bakery.kind: is no setting",
            "bots/bakery.toml:3: bots.bakery.provider.kind: is not known: use one of ",
            "bots/cafe.toml:1: ",
            "bots/cafe.toml: bots.cafe.provider.kind: is missing",
            "bots/cafe.toml: bots.cafe.handler.kind: is missing",
            "bots/cellar.toml: bots.cellar: stands in threedots.toml as well",
            "bots/notes.txt: is no bot's file",
            "bots/shop.toml:5: bots.shop.provider.read_timeout: is no setting",
            "bots/shop.toml:4: bots.shop.provider.access_token: the environment variable NOT_THERE is not set",
            "threedots.toml: worker.lease: is not longer than a turn of bots.cellar may take",
        ],
        said.lines().collect::<Vec<_>>(),
    );
    for begin in begins {
        let place = lines.iter().position(|line| line.starts_with(begin));
        lines.remove(place.unwrap_or_else(|| panic!("nothing begins with {begin:?} in\n{said}")));
    }
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_route_by_language_is_told_what_to_do_instead() {
    let old = format!("{BOT}[handlers.de]\nkind = \"demo\"\n[[routes]]\nhandler = \"de\"\nlanguages = [\"de\"]\n");
    let (status, said) = check(&[("shop.toml", &old)], "", &[]);
    assert_eq!(status, Some(1), "{said}");
    let line = said.lines().find(|line| line.contains("languages")).expect("a line about it");
    assert!(line.starts_with("bots/shop.toml:13: bots.shop.routes[0].languages: is no condition any longer"), "{line}");
    assert!(line.contains("remove it") && line.contains("language model") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_directory_that_is_not_there_is_told_of() {
    let (status, said) = check(&[], "", &[("THREEDOTS_BOTS_DIR", "elsewhere")]);
    assert_eq!(
        (status, said.as_str()),
        (Some(1), "elsewhere: bots_dir: cannot be read (entity not found): name a directory that you may read\n")
    );
}

#[test]
fn the_environment_lies_over_them_too() {
    let bad = [("THREEDOTS_BOTS__SHOP__TURN__TIMEOUT", "soon")];
    let (status, said) = check(&[("shop.toml", BOT)], "", &bad);
    assert_eq!(status, Some(1));
    assert!(
        said.starts_with("environment variable THREEDOTS_BOTS__SHOP__TURN__TIMEOUT: bots.shop.turn.timeout:"),
        "{said}"
    );
    let fine = [("THREEDOTS_BOTS__SHOP__TURN__TIMEOUT", "20s")];
    assert_eq!(check(&[("shop.toml", BOT)], "", &fine).0, Some(0));
}

#[tokio::test]
async fn a_signal_has_it_read_again_and_a_file_that_is_wrong_ends_nothing() {
    let port = crate::real::upstream::free_port();
    let home = Home::of(port, |directory| {
        std::fs::create_dir(directory.join("bots")).expect("a directory");
        std::fs::write(directory.join("bots/shop.toml"), BOT).expect("a file");
        format!(
            "bots_dir = \"{0}/bots\"\n[server]\nlisten = \"127.0.0.1:{port}\"\n[store]\npath = \"{0}/data\"\n\
             [callbacks]\nlisten = \"127.0.0.1:0\"\n",
            directory.display()
        )
    })
    .with("T", "fictional-secret");
    let binary = home.start_and_wait().await;
    let status = async |bot: &str| {
        crate::real::binary::get(
            port,
            &format!("/webhooks/{bot}?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1"),
        )
        .await
    };
    assert_eq!((status("shop").await, status("bakery").await), (Some(403), Some(404)));
    std::fs::write(home.path().join("bots/bakery.toml"), BOT).expect("a file");
    std::fs::write(home.path().join("bots/shop.toml"), "[provider\n").expect("a file");
    binary.signal("HUP");
    soon(async {
        while status("bakery").await != Some(403) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(status("shop").await, Some(403), "it goes on as it was");
    soon(async {
        while !home.log().contains("a bot goes on as it was") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
