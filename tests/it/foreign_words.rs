//! What a customer writes is never taken for anything else: it comes out byte for byte as it went in.

use threedots::{HandlerError, Reply, Turn};

use crate::product::{Product, Setup, Upstream, delivery_from, text};

/// Names and words full of what templates, formats and shells act on.
const TRICKY: [&str; 8] = [
    "{{ 7*7 }}{% for x in [1,2,3] %}{{ x }}{% endfor %}",
    "{% include \"prompts/default.txt\" %}{{ contact }}{{ self }}",
    "{# a comment #} {%- raw -%} {{ \"a\" ~ \"b\" }} {%- endraw -%}",
    "{}{0}{name:?}%s%n%x${jndi:ldap://example}$(id)`id`",
    "{{ contact.__class__ }}<script>alert('1')</script>&amp;&lt;",
    "a\r\nb\tc\\n \\u0041 \"quoted\" 'quoted'",
    "\u{202e}backwards\u{2066}\u{200b}\u{1b}[31mred",
    "{% macro x() %}{{ x() }}{% endmacro %}{{ x() }}",
];

struct Failing;

#[async_trait::async_trait]
impl threedots::Handler for Failing {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        match turn.text().strip_prefix("say ") {
            Some(words) => Ok(Reply::text(words)),
            None => Err(HandlerError::new("asked to fail")),
        }
    }
}

#[tokio::test]
async fn words_and_names_full_of_template_syntax_come_out_as_they_went_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let templates = directory.path().join("templates/replies");
    std::fs::create_dir_all(&templates).expect("a directory");
    std::fs::write(templates.join("failure.txt"), "Sorry, {{ contact }}: later.").expect("a template");
    let upstream = Upstream::content().await;
    let mut setup = Setup::new(&upstream);
    setup.top = format!("templates = \"{}\"", directory.path().join("templates").display());
    setup.more = "[bots.shop.failure_reply]\nevery = \"0s\"".into();
    let product = Product::start(directory.path(), &setup, Failing).await;
    for (number, tricky) in TRICKY.into_iter().enumerate() {
        let id = |what: &str| format!("{what}.{number}");
        // One at a time: those that wait together are answered together.
        let echoed = delivery_from(tricky, &[text(&id("SAY"), &format!("say {tricky}"))]);
        assert_eq!(product.post(&echoed).await, 200);
        upstream.until(|seen| seen.iter().filter_map(|seen| seen.text()).count() == 2 * number + 1).await;
        assert_eq!(upstream.texts()[2 * number], tricky);
        let failed = delivery_from(tricky, &[text(&id("FAIL"), tricky)]);
        assert_eq!(product.post(&failed).await, 200);
        upstream.until(|seen| seen.iter().filter_map(|seen| seen.text()).count() == 2 * number + 2).await;
        assert_eq!(upstream.texts()[2 * number + 1], format!("Sorry, {tricky}: later."));
    }
    product.stop().await;
}
