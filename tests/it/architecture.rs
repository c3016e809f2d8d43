//! Who may import whom: read from the source, so that a cycle cannot arrive unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms, from the top of the house to the bottom: each imports only what stands below it.
const ROOMS: [&str; 11] =
    ["host", "admin", "ingress", "turn", "policy", "delivery", "handler", "provider", "store", "runtime", "message"];

/// What stands beside the rooms, and what it may import: the list of the rooms itself, the other side of the upstreams,
/// the kit that puts both together, and the two files of the command.
const BESIDE: [(&str, &[&str]); 5] = [
    ("lib", &["*"]),
    ("sandbox", &["message"]),
    ("testing", &["*"]),
    ("main", &["App", "host", "provider"]),
    ("cli", &["App", "admin", "message", "policy", "store"]),
];

/// Who may import what stands beside the rooms: the host starts a phone beside a bot.
const MAY_IMPORT_THEM: [&str; 1] = ["host"];

/// Where the crates live that have one place each.
const ONE_PLACE: [(&str, &[&str]); 17] = [
    ("actix_web", &["ingress/webhook", "runtime/body", "handler/callbacks", "admin", "sandbox", "host"]),
    ("sled", &["store/sled"]),
    ("redb", &["store/redb"]),
    ("nix", &["store/disk/room"]),
    ("async_openai", &["handler/llm"]),
    ("jsonschema", &["handler/llm"]),
    ("rmcp", &["handler/llm"]),
    ("process_wrap", &["handler/llm"]),
    ("icu_normalizer", &["policy/control", "message/question", "handler/llm/guard"]),
    ("icu_properties", &["handler/llm/guard"]),
    ("linkify", &["handler/llm/guard"]),
    ("psl", &["handler/llm/guard"]),
    ("pulldown_cmark", &["message/markdown"]),
    ("reqwest", &["runtime/http"]),
    ("hickory_resolver", &["runtime/http/names"]),
    ("clap", &["main", "cli"]),
    ("prometheus_client", &["admin/telemetry/metrics"]),
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.clone()];
    let mut sources = BTreeMap::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("src").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name: PathBuf = path.strip_prefix(&root).expect("below src").with_extension("");
            sources.insert(name.to_str().expect("text").to_owned(), code(&path));
        }
    }
    assert!(sources.len() > 30, "the sources were not found");
    sources
}

/// A file without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().expect("the first part").to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow `path::` in `text`, braces and all.
fn roots<'a>(text: &'a str, path: &'a str) -> BTreeSet<&'a str> {
    let found = text.match_indices(path).filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    });
    let names = found.flat_map(|(at, _)| {
        let rest = &text[at + path.len()..];
        let list = rest.strip_prefix('{').and_then(|list| list.split('}').next()).unwrap_or(rest);
        let count = if rest.starts_with('{') { usize::MAX } else { 1 };
        list.split(',').take(count).map(|name| {
            let name = name.trim();
            &name[..name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())]
        })
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_room_imports_only_what_stands_below_it() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let room = file.split('/').next().expect("a name");
        let below = ROOMS.iter().position(|known| *known == room).map(|at| &ROOMS[at..]);
        let beside = BESIDE.iter().find(|(known, _)| *known == room).map(|(_, allowed)| *allowed);
        assert!(below.is_some() || beside.is_some(), "src/{file}.rs is in no room of ROOMS");
        let path = if ["main", "cli"].contains(&room) { "threedots::" } else { "crate::" };
        for import in roots(&text, path) {
            let fine = import == room
                || below.is_some_and(|below| below.contains(&import))
                || beside.is_some_and(|allowed| allowed.contains(&import) || allowed.contains(&"*"))
                || MAY_IMPORT_THEM.contains(&room) && BESIDE.iter().any(|(known, _)| *known == import);
            if !fine {
                wrong.push(format!("src/{file}.rs imports {path}{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_provider_or_a_handler_knows_no_other() {
    for (file, text) in sources() {
        for family in ["provider", "handler"] {
            let mine = file.split('/').nth(1);
            let Some(mine) = mine.filter(|_| file.starts_with(family)) else { continue };
            let others: &[&str] =
                if family == "provider" { &["meta", "nxcloud", "wawp", "gateway", "linq"] } else { &["demo", "llm"] };
            for other in others.iter().filter(|other| **other != mine) {
                let path = format!("{family}::{other}");
                assert!(!text.contains(&path) && !text.contains(&format!("super::{other}::")), "src/{file}.rs: {path}");
            }
        }
    }
}

#[test]
fn some_crates_have_one_place_each() {
    for (file, text) in sources() {
        for (name, places) in ONE_PLACE {
            let at_home = places.iter().any(|place| file == *place || file.starts_with(&format!("{place}/")));
            let uses = !roots(&text, &format!("{name}::")).is_empty() || text.contains(&format!("use {name};"));
            // Inside the store, `sled` and `redb` are also names of modules of ours.
            let module = text.contains(&format!("store::{name}"));
            assert!(at_home || module || !uses, "src/{file}.rs uses {name}, which lives in {places:?}");
        }
    }
}

#[test]
fn what_others_write_in_json_is_read_in_one_place() {
    /// What is ours all through: records of the store, the sandbox, which shares nothing with the product.
    const OURS: [&str; 4] = ["message/json", "store/record", "store/disk/tests", "sandbox"];
    for (file, text) in sources() {
        let is_ours = OURS.iter().any(|place| file == *place || file.starts_with(&format!("{place}/")));
        // Half a surrogate pair, and serde_json alone refuses the whole.
        let reads: Vec<_> = text.match_indices("serde_json::from_").collect();
        assert!(is_ours || reads.is_empty(), "src/{file}.rs: read it with `crate::message::json`");
        let parses = text.contains("serde_json::Deserializer");
        assert!(is_ours || !parses || text.contains("json::whole_bytes("), "src/{file}.rs: `json::whole_bytes` first");
    }
}

#[test]
fn the_sandboxs_phone_reads_marks_and_markdown_by_itself() {
    for (file, text) in sources().into_iter().filter(|(file, _)| file.starts_with("sandbox")) {
        for readers in ["marks", "markdown", "Format"] {
            let path = format!("message::{readers}");
            assert!(!text.contains(&path), "src/{file}.rs: {path} is what the phone is a test of");
        }
    }
}

#[test]
fn every_path_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(document)).expect(document);
        // A command's first word is its path.
        let code = text.split('`').skip(1).step_by(2).filter_map(|code| code.split_whitespace().next());
        let paths = code.filter(|code| {
            ["src/", "tests/", "templates/", "examples/", "benches/", ".ci/"]
                .iter()
                .any(|start| code.starts_with(start))
        });
        let mut named = 0;
        for path in paths {
            named += 1;
            assert!(path.contains('<') || root.join(path).exists(), "{document} names {path}, which is not there");
        }
        assert!(named > 0, "{document} names no path");
    }
}

#[test]
fn no_file_holds_two_subjects() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 500, "src/{file}.rs has {lines} lines of code: split it");
    }
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let sources = sources();
    let signature = &sources["provider/signature"];
    assert!(signature.contains("verify_slice(") && signature.contains(".ct_eq("));
    // `benches/timing.rs` measures it; this keeps a comparison that stops early from coming back unnoticed.
    assert!(!signature.contains("=="));
    let secret = |line: &&str| ["token", "secret", "signature"].iter().any(|word| line.contains(word));
    let compared: Vec<_> =
        sources["provider/meta/webhook"].lines().filter(secret).filter(|line| line.contains("==")).collect();
    assert!(compared.is_empty(), "{compared:?}");
}
