//! What the documents link to is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// The documents at the top, and all pages of the book.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
    let mut documents: Vec<_> = top.map(|name| root.join(name)).into();
    let mut folders = vec![root.join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => documents.push(path),
            }
        }
    }
    documents
}

/// Where the links of a document lead, and the anchors of its headings.
fn links_and_anchors(document: &Path) -> (Vec<String>, BTreeSet<String>) {
    let text = std::fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let (mut links, mut anchors, mut heading) = (Vec::new(), BTreeSet::new(), None::<String>);
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => links.push(dest_url.into_string()),
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let words = heading.take().unwrap_or_default().to_lowercase();
                let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
            }
            Event::Text(words) | Event::Code(words) => heading.iter_mut().for_each(|heading| *heading += &words),
            _ => {}
        }
    }
    (links, anchors)
}

#[test]
fn every_link_leads_to_something() {
    let mut checked = 0;
    for document in documents() {
        let (links, own) = links_and_anchors(&document);
        for link in links.iter().filter(|link| !link.contains("://")) {
            checked += 1;
            let (path, anchor) = link.split_once('#').map_or((&**link, None), |(path, anchor)| (path, Some(anchor)));
            let target = document.parent().expect("a folder").join(path);
            assert!(path.is_empty() || target.exists(), "{}: {link} is not there", document.display());
            if let Some(anchor) = anchor {
                let anchors = if path.is_empty() { own.clone() } else { links_and_anchors(&target).1 };
                assert!(anchors.contains(anchor), "{}: no heading is {link}", document.display());
            }
        }
    }
    assert!(checked > 5, "no link was found");
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/SUMMARY.md");
    let (links, _) = links_and_anchors(&summary);
    let listed: BTreeSet<_> = links.iter().map(|link| summary.with_file_name("").join(link)).collect();
    let pages = documents().into_iter().filter(|page| page.starts_with(summary.with_file_name("")) && *page != summary);
    let missing: Vec<_> = pages.filter(|page| !listed.contains(page)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
