//! The real binary and a real browser: what a newcomer sees on the phone in the first five minutes.

mod process;
mod visit;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fantoccini::key::Key;
use serde_json::json;
use threedots::sandbox::Upstream;
use tokio::time::sleep;
use visit::{By, Visit};

const HELLO: &str = "reply: Hello, Ada! I am the demo bot. Write anything and I say it back, or try: slow 40, fail, \
                     panic, hang, silent, long, format, buttons, beat.";
const SORRY: &str = "reply: Sorry, Ada, something went wrong on our side and I could not answer. Please try again in a \
                     little while.";

/// How long dots last on the upstream's phones, in milliseconds.
const LIFETIME: f64 = 25_000.0;
/// A feed and a slow machine come on top.
const SLACK: f64 = 5_000.0;

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn the_dots_come_after_the_ticks_and_go_with_the_reply_the_failure_and_the_silence() {
    let phone = Visit::begin(1280, 800).await;
    assert_eq!(phone.write("hello", By::Click).await, ["wrote: hello", "read", "dots on", HELLO, "dots off"]);
    assert_eq!(phone.write("fail", By::Enter).await, ["wrote: fail", "read", "dots on", SORRY, "dots off"]);

    let known = phone.seen().await.len();
    assert_eq!(phone.write("silent 5", By::Click).await, ["wrote: silent 5", "read", "dots on", "dots off"]);
    let seen = phone.seen().await;
    let shown = seen[known + 3].at - seen[known + 2].at;
    assert!(shown < LIFETIME + SLACK, "the dots showed for {shown} ms");
    // Dots that somebody still keeps on come back in second 26, so nothing but waiting shows that nobody does.
    sleep(Duration::from_secs(8)).await;
    assert_eq!(phone.seen().await.len(), known + 4, "no reply, and no dots again");
    phone.load().await;
    assert_eq!((phone.count("message-in").await, phone.count("dots").await), (2, 0));
    phone.end().await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn a_reply_button_is_found_and_pressed_with_the_keyboard_alone_on_a_narrow_screen() {
    let phone = Visit::begin(390, 844).await;
    phone.find("input").await.click().await.expect("a click");
    let asked = phone.write("buttons", By::Enter).await;
    assert_eq!(asked[2..], ["dots on", "reply: What shall I show you?", "dots off"]);
    let known = phone.seen().await.len();
    let focused = "return document.activeElement.textContent.trim()";
    for _ in 0..10 {
        if phone.run(focused).await == "A failure" {
            break;
        }
        phone.press(Key::Tab, true).await;
    }
    assert_eq!(phone.run(focused).await, "A failure");
    assert_eq!(phone.run("return document.activeElement.matches(':focus-visible')").await, json!(true));
    phone.press(Key::Enter, false).await;
    let story = phone.until_the_dots_are_gone(known).await;
    assert_eq!(story, ["wrote: A failure", "read", "dots on", SORRY, "dots off"]);
    phone.end().await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn the_phone_fits_narrow_and_wide_screens_in_light_and_dark() {
    let phone = Visit::begin(1280, 800).await;
    phone.write("hello", By::Click).await;
    phone.write("buttons", By::Click).await;
    phone.send("slow 40", By::Click).await;
    let mut grounds = Vec::new();
    for (width, height) in [(1280, 800), (390, 844)] {
        phone.resize(width, height).await;
        for scheme in ["light", "dark"] {
            phone.prefer(scheme).await;
            settled(&phone).await;
            let picture = phone.screenshot().await;
            std::fs::write(pictures().join(format!("phone-{width}-{scheme}.png")), picture).expect("a picture");
            assert_eq!(phone.run("return [innerWidth, innerHeight]").await, json!([width, height]));
            assert_eq!(phone.run(OUTSIDE).await, json!([]), "{width} wide, {scheme}");
            grounds.push(phone.run("return getComputedStyle(document.body).backgroundColor").await);
        }
    }
    assert_ne!(grounds[0], grounds[1], "dark is another colour than light");
    assert_eq!((&grounds[0], &grounds[1]), (&grounds[2], &grounds[3]));
    phone.end().await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn a_person_takes_over_and_gives_the_chat_back() {
    let phone = Visit::begin(1280, 800).await;
    // Meta tells of what a person writes on the business's own phone; of NXCloud, the button does.
    for (upstream, greeting) in [("meta", HELLO), ("nxcloud", HELLO)] {
        phone.find(&format!("upstream-{upstream}")).await.click().await.expect("a click");
        let here = format!("return document.body.dataset.upstream === '{upstream}' && window.seen?.length === 0");
        phone.wait_for(upstream, async || (phone.run(&here).await == json!(true)).then_some(())).await;
        let words = phone.find("person-words").await;
        words.send_keys("This is Ben").await.expect("a field");
        phone.find("person-send").await.click().await.expect("a click");
        let written = "return window.seen.some((seen) => seen.what === 'reply: This is Ben')";
        phone.wait_for("Ben", async || (phone.run(written).await == json!(true)).then_some(())).await;
        assert_eq!(phone.count("by-person").await, 1, "{upstream}");
        if upstream == "nxcloud" {
            phone.answers("person", "silent").await;
        }
        phone.send("hello", By::Enter).await;
        // Nothing but waiting shows that nobody answers.
        sleep(Duration::from_secs(4)).await;
        let story: Vec<String> = phone.seen().await.into_iter().map(|seen| seen.what).collect();
        assert_eq!(story, ["reply: This is Ben", "wrote: hello"], "{upstream}");
        phone.answers("bot", "again").await;
        let story = phone.write("hello", By::Enter).await;
        assert_eq!(story.last().map(String::as_str), Some("dots off"), "{upstream}");
        assert!(story.contains(&greeting.to_owned()), "{upstream}: {story:?}");
    }
    phone.end().await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn every_provider_has_its_own_chat_and_answers_in_it() {
    let phone = Visit::begin(1280, 800).await;
    for upstream in Upstream::ALL {
        let name = upstream.name();
        phone.resize(1280, 800).await;
        phone.find(&format!("upstream-{name}")).await.click().await.expect("a click");
        let here = format!("return document.body.dataset.upstream === '{name}' && window.seen?.length === 0");
        phone.wait_for(name, async || (phone.run(&here).await == json!(true)).then_some(())).await;
        let story = phone.write("hello", By::Click).await;
        // Not every upstream tells who is writing.
        let nameless = HELLO.replace(", Ada", "");
        let hello = if story.contains(&nameless) { &nameless } else { HELLO };
        assert_eq!(story, ["wrote: hello", "read", "dots on", hello, "dots off"], "{name}");
        let asked = phone.write("buttons", By::Enter).await;
        assert!(asked.iter().any(|what| what.starts_with("reply: What shall I show you?")), "{name}: {asked:?}");
        phone.send("slow 20", By::Click).await;
        for (width, height, scheme) in [(1280, 800, "light"), (390, 844, "dark")] {
            phone.resize(width, height).await;
            phone.prefer(scheme).await;
            settled(&phone).await;
            let picture = phone.screenshot().await;
            std::fs::write(pictures().join(format!("{name}-{width}-{scheme}.png")), picture).expect("a picture");
            assert_eq!(phone.run(OUTSIDE).await, json!([]), "{name}, {width} wide, {scheme}");
        }
    }
    phone.end().await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and chromium-driver"]
async fn a_bots_markdown_is_shown_formatted_and_a_customers_html_as_text() {
    let phone = Visit::begin(1280, 800).await;
    phone.write("format", By::Enter).await;
    let shown = phone.run(FORMATTED).await;
    assert_eq!(
        shown,
        json!({
            "bold": ["Opening hours", "soon", "Day: Until", "five"],
            "italic": ["nine"],
            "struck": ["at ten"],
            "code": ["hours 9"],
            "block": ["while at_work() {\n    show_dots();\n}"],
            "bullets": ["• Monday", "• Tuesday"],
            "numbers": ["1. Come", "2. Ask"],
            "quotes": ["Back in a minute"],
        })
    );
    // Rows are as wide as the text, one below the other, and the signs are gone.
    let signs = "return /[*_~`#|]/.test(document.querySelector('[data-test=message-in] .text').textContent\
                 .replace('at_work', '').replace('show_dots', ''))";
    assert_eq!(phone.run(signs).await, json!(false));
    assert_eq!(phone.run(BELOW).await, json!(true), "one row stands below the other");
    std::fs::write(pictures().join("format.png"), phone.screenshot().await).expect("a picture");

    let html = "<b>hello</b> <i data-made>&amp;</i> <img src=x>";
    for shown in ["as it arrives", "loaded again"] {
        if shown == "as it arrives" {
            phone.write(html, By::Enter).await;
        } else {
            phone.load().await;
        }
        let texts = "return [...document.querySelectorAll('.text')].slice(-2).map((text) => text.textContent)";
        assert_eq!(phone.run(texts).await, json!([html, format!("You said: {html}")]), "{shown}");
        let made = "return document.querySelectorAll('[data-log] :is([data-made], .text b, .text i, .text img)').length\
                    + document.querySelectorAll('[data-wire] :is([data-made], b, img)').length";
        assert_eq!(phone.run(made).await, json!(0), "{shown}");
    }
    phone.end().await;
}

/// What of the bot's answer looks how, by the browser's own styles.
const FORMATTED: &str = r#"
    const text = document.querySelector("[data-test=message-in] .text");
    const ground = getComputedStyle(text);
    const spans = [...text.querySelectorAll("span")];
    const which = (is) => spans.filter((span) => is(getComputedStyle(span), span)).map((span) => span.textContent);
    const mono = (style) => style.fontFamily.includes("monospace");
    return {
        bold: which((style) => Number(style.fontWeight) >= 600),
        italic: which((style) => style.fontStyle === "italic"),
        struck: which((style) => style.textDecorationLine === "line-through"),
        code: which((style) => mono(style) && style.display === "inline"),
        block: which((style) => mono(style) && style.display === "inline-block" && style.whiteSpace.startsWith("pre")),
        bullets: which((style, span) => span.textContent.startsWith("•") && style.textIndent !== ground.textIndent),
        numbers: which((style, span) => /^\d/.test(span.textContent) && style.textIndent !== ground.textIndent),
        quotes: which((style) => parseFloat(style.borderInlineStartWidth) > 0),
    };
"#;

/// Whether the rows of the bot's answer stand one below the other, without an empty line between those of a list.
const BELOW: &str = r#"
    const rows = [...document.querySelectorAll("[data-test=message-in] .text :is(.bullet, .numbered)")];
    const boxes = rows.map((row) => row.getBoundingClientRect());
    const follows = (first, second) => second.top >= first.bottom - 1 && second.top - first.bottom < first.height;
    return boxes.length === 4 && follows(boxes[0], boxes[1]) && follows(boxes[2], boxes[3]);
"#;

/// What one has to see without scrolling, and does not, or not whole. And the page, if it is wider than the window; or
/// longer, where everything has its own place.
const OUTSIDE: &str = r#"
    const outside = ["dots", "input", "send"].filter((name) => {
        const box = document.querySelector(`[data-test=${name}]`).getBoundingClientRect();
        return !box.width || box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight;
    });
    const wide = innerWidth >= 800;
    const page = document.documentElement;
    const wire = document.querySelector("[data-wire-scroller]");
    const end = wire.scrollTop;
    wire.scrollTop = 0;
    if (page.scrollWidth > innerWidth || (wide && page.scrollHeight > innerHeight)) outside.push("page");
    wire.scrollTop = end;
    return outside;
"#;

/// Nothing moves any more but the dots, which show.
const SETTLED: &str = r#"
    const chat = document.querySelector("[data-scroller]");
    return Boolean(document.querySelector("[data-test=dots]"))
        && chat.scrollHeight - chat.scrollTop - chat.clientHeight < 2
        && !document.getAnimations().some((animation) => animation.animationName === "arrive");
"#;

async fn settled(phone: &Visit) {
    phone.wait_for("dots, and rest", async || (phone.run(SETTLED).await == json!(true)).then_some(())).await;
}

/// Where somebody can look at them: beside the build.
fn pictures() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&directory).expect("a directory");
    directory
}
