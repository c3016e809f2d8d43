//! The rail against a model of its own of what a link is, and tables of what passes and what does not.

use proptest::prelude::*;

use super::super::find::is_link;
use super::*;

fn links(hosts: &[&str]) -> Links {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let (links, wrong) = Links::new(&hosts);
    assert_eq!(wrong, [0; 0]);
    links.expect("there are some")
}

fn shop() -> Links {
    links(&["shop.example", "*.help.example", "bücher.example"])
}

#[test]
fn links_lead_where_they_may_or_are_taken_out() {
    for (said, passed) in [
        ("See https://shop.example/a?b=c#d.", "See https://shop.example/a?b=c#d."),
        ("See www.shop.example or faq.help.example!", "See www.shop.example or faq.help.example!"),
        ("help.example", "help.example"),
        ("See https://evil.example/?q=secret, now.", "See […], now."),
        ("[here](https://evil.example/shop.example)", "[here]([…])"),
        ("https://shop.example@evil.example/", "[…]"),
        ("https://shop.example.evil.example", "[…]"),
        ("notshop.example evilhelp.example", "[…] […]"),
        ("EVIL.EXAMPLE/x ftp://evil.example", "[…] […]"),
        ("//evil.example/x *evil.example* <a@evil.example>", "[…] *[…]* <[…]>"),
        ("https://[::1]/ https://2130706433/", "[…] […]"),
        ("It costs 3.50 at 10.30, i.e. more. Ok...", "It costs 3.50 at 10.30, i.e. more. Ok..."),
    ] {
        assert_eq!(shop().pass(said), passed);
    }
}

/// What leads elsewhere: each holds the word "evil" or an address, in a form of its own.
const FOREIGN: [&str; 58] = [
    "https://evil.example",
    "http://evil.example/a?b#c",
    "HTTPS://EVIL.EXAMPLE",
    "hTTps://eViL.eXample",
    "evil.example",
    "evil.example/path",
    "EVIL.EXAMPLE",
    "evil.example.",
    "evil.example:8080",
    "www.evil.zz",
    "evil.com",
    "evil.co.uk",
    "evil.xn--p1ai",
    "xn--evil-9za.example",
    "evil.рф",
    "http://xn--evil-9za.zz",
    "//evil.example",
    "//evil.example/x",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "https://shop.example@evil.example",
    "https://shop.example:443@evil.example/",
    "https://shop.example%40evil.example",
    "https://shop.example\\@evil.example",
    "https://shop.example?@evil.example",
    "https://shop.example#@evil.example",
    "https://shop.example.evil.example",
    "https://evilshop.example",
    "https://evil%2Eexample",
    "https://ev%69l.example",
    "evil%2Eexample/x",
    "https://evil%252eexample",
    "https://evil。example",
    "evil。example",
    "evil｡example",
    "evil．example",
    "evil․example",
    "ｅｖｉｌ.example",
    "https://ⓔⓥⓘⓛ.example",
    "ev\u{200b}il.example",
    "evil\u{200d}.example",
    "evil.\u{ad}example",
    "evil.exam\u{2060}ple",
    "https\u{200b}://evil.example",
    "h\u{ad}ttps://evil.example",
    "shop.example\u{200b}.evil.example",
    "evil\u{fe0f}.example",
    "a@evil.example",
    "mailto:a@evil.example",
    "shop.example@evil.example",
    "intent:evil#Intent",
    "javascript:evil()",
    "tel:evil",
    "whatsapp://send?text=evil",
    "evil://shop.example",
    "wa.me/evil",
];

/// Addresses, and a name that only looks like the shop's.
const ADDRESSES: [(&str, &str); 14] = [
    ("http://127.0.0.1/", "127"),
    ("http://2130706433/", "213"),
    ("http://0x7f.1", "0x7f"),
    ("http://0177.0.0.1", "0177"),
    ("https://[::1]/", "::1"),
    ("https://[::ffff:7f00:1]:8443/", "ffff"),
    ("https://shop.example@[::1]/", "::1"),
    ("192.168.1.1", "192"),
    ("192.168.1.1/admin", "192"),
    ("0x7f.0x0.0x0.0x1", "0x7f"),
    ("https://ѕhop.example", "ѕ"),
    ("ѕhop.example", "ѕ"),
    ("https://shop.example:8443/", "8443"),
    ("https://xn--hop-mdd.example", "mdd"),
];

/// Everything that a client could be led astray by: read leniently, without looking at how the rail does it.
fn evil(text: &str) -> bool {
    plain(text).to_lowercase().contains("evil")
}

#[test]
fn an_address_of_mail_whose_person_reads_as_a_host_is_none_that_may_be_there() {
    for (said, passed) in [
        ("EVIL.EXAMPLE+info@shop.example", "[…]"),
        ("HTTPS://\u{200b}EVIL.EXAMPLE+info@shop.example", "[…]"),
        ("evil.com@shop.example", "[…]"),
        ("ada.b+news@shop.example", "ada.b+news@shop.example"),
    ] {
        assert_eq!(shop().pass(said), passed, "{said}");
    }
}

#[test]
fn no_form_of_a_foreign_link_passes() {
    for said in FOREIGN {
        let passed = shop().pass(said);
        assert!(!evil(&passed), "{said:?}: {passed:?}");
        let passed = shop().pass(&format!("Look: ({said}), or “{said}”, or 请看{said}。"));
        assert!(!evil(&passed), "{said:?}: {passed:?}");
    }
    for (said, trace) in ADDRESSES {
        let passed = shop().pass(said);
        assert!(!passed.contains(trace), "{said:?}: {passed:?}");
    }
}

/// What leads where it may.
const ALLOWED: [&str; 12] = [
    "https://shop.example",
    "http://shop.example/",
    "HTTPS://SHOP.EXAMPLE/Sale",
    "https://shop.example/a/b-c_d?e=f&g=%20h#i",
    "https://shop.example:443/a",
    "https://shop.example/@48.2,16.3,15z",
    "https://faq.help.example/a",
    "https://xn--bcher-kva.example/a",
    "shop.example",
    "www.shop.example/a",
    "a.b.help.example",
    "info@shop.example",
];

#[test]
fn what_leads_where_it_may_passes_as_it_is_and_can_be_told_from_what_touches_it() {
    for link in ALLOWED {
        for around in [
            "{}",
            "See {}.",
            "({})",
            "[here]({})",
            "*{}*",
            "_{}_",
            "\"{}\"",
            "“{}”",
            "<{}>",
            "{}, {}!",
            "See:{}",
            "url={}",
            "- {}\n",
        ] {
            let said = around.replace("{}", link);
            assert_eq!(shop().pass(&said), said);
        }
    }
    for (said, passed) in [
        ("请看https://shop.example/a。谢谢", "请看https://shop.example/a。谢谢"),
        ("请看https://shop.example。谢谢", "请看https://shop.example 。谢谢"),
        ("请看https://shop.example。", "请看https://shop.example。"),
        ("“shop.example”、谢谢", "“shop.example ”、谢谢"),
        ("请访问shop.example谢谢", "请访问 shop.example 谢谢"),
        ("👉shop.example👈", "👉 shop.example 👈"),
        ("https://shop.example。evil.example", "https://shop.example 。[…]"),
        ("mailto:info@shop.example", "mailto:info@shop.example"),
    ] {
        assert_eq!(shop().pass(said), passed);
    }
    let with_port = links(&["shop.example:8443"]);
    assert_eq!(with_port.pass("https://shop.example:8443/ https://shop.example/"), "https://shop.example:8443/ […]");
}

/// Sentences in which nothing is a link.
const ORDINARY: [&str; 44] = [
    "It costs 3.50, e.g. at 10.30, i.e. later. Ok...",
    "Open from 9:30 to 18:00, Mo.-Fr., and 24/7 online.",
    "1.200,50 € or $1,200.50; 3.5/5 stars; 50% off; 100%!",
    "On 24.12.2026 at 10.30h, 12.5. and 1/2/2026.",
    "Version 2.0.1, v1.2.3-beta.4 and 10.0.19045.3803.",
    "The file is called invoice.pdf, notes.txt, photo.jpg or song.mp3.",
    "We use Node.js and C++.",
    "Dr.Smith, Ph.D., lives in the U.S.A.; z.B. u.a. d.h. usw.",
    "Yes/no, and/or, km/h, w/o.",
    "Wait...what? Well..no. Hm.",
    "Tel: +49 30 901820, Tel.:030/901820, fax 030-901820",
    "Tel:+4930901820. Data:12GB. File:a.",
    "Order #12.345-A at 7 a.m. or 8p.m.",
    "Ratio 16:9, score 2:1, note:this, a=b, x->y.",
    "Done.Thanks for waiting!",
    "me@home and @you and #tag",
    "~tilde~ _under_ *star* `code` -dash-",
    "a//b, // comment, C:\\temp\\a",
    "Ça va? Où est-il? L’été…",
    "«Oui», dit-il.",
    "¿Cuánto cuesta? 3,50 €.",
    "Привет. Как дела? 3.5 кг.",
    "你好。世界很大。价格是3.5元。",
    "我在中国。中国很大。我在。中国。",
    "価格は1.200円です。ありがとう。",
    "مرحبا. السعر 3.5 ريال؟",
    "می‌خواهم",
    "नमस्ते। आप कैसे हैं?",
    "שלום. המחיר 3.5",
    "안녕하세요. 가격은 3.5입니다.",
    "ราคา 3.5 บาท",
    "👍🏽 Great! 👨‍👩‍👧 ❤️",
    "(see above) [1] {x} <3",
    "Size 38.5 / 7.5 UK",
    "No. 7, Nr.7, Str.12/3",
    "e.V., GmbH & Co. KG",
    "1. First\n2. Second\n3. Third",
    "12.30pm-1.15pm",
    "5.2GHz, 2.4V, 0.5l",
    "\"Quoted.\" 'Also.' (This too.)",
    "Really?!Yes!",
    "100.000.000",
    "3.14159",
    "",
];

#[test]
fn ordinary_words_pass_unharmed() {
    for said in ORDINARY {
        assert_eq!(shop().pass(said), said);
    }
    // What only lacks a space is given it, so that nobody makes a link of it.
    for (said, passed) in [
        ("Hello.How are you", "Hello. How are you"),
        ("Yes.No.It is.", "Yes. No. It is."),
        ("GmbH & Co.KG", "GmbH & Co. KG"),
        ("Evil.Com", "Evil. Com"),
    ] {
        assert_eq!(shop().pass(said), passed);
    }
    // Clients make links of these.
    for said in ["readme.md", "ok.so", "1.2.3.4", "ASP.NET"] {
        assert_eq!(shop().pass(said), REMOVED);
    }
}

#[test]
fn hosts_that_are_none_are_told_of() {
    let hosts = ["shop.example", "https://shop.example", "shop.example/a", "*.shop.example", "", "shop example"];
    let (_, wrong) = Links::new(&hosts.map(str::to_owned));
    assert_eq!(wrong, [1, 2, 4, 5]);
    assert!(Links::new(&[]).0.is_none());
}

/// What may stand between: signs that no host can hold, invisible ones, letters of other scripts, spaces.
fn glue() -> impl Strategy<Value = String> {
    let signs = prop::sample::select(vec![
        "", " ", "\n", "(", ")", "[", "]", "<", ">", "\"", "'", "*", "_", "~", "`", "|", ",", ";", ":", "!", "?", "=",
        "^", "$", "+", "&", "#", "%", "{", "}", "…", "。", "，", "、", "．", "“", "”", "«", "—", "·", "\u{200b}",
        "\u{200d}", "\u{ad}", "\u{2060}", "\u{feff}", "\u{202e}", "\u{3000}", "\u{a0}", "👍", "谢谢", "é", "€", "/",
        "\\", ".", "-", "@",
    ]);
    prop::collection::vec(signs, 0..3).prop_map(|signs| signs.concat())
}

/// A foreign link, at random in pieces of letters that nobody sees.
fn foreign() -> impl Strategy<Value = String> {
    let unseen = prop::option::weighted(
        0.3,
        (any::<prop::sample::Index>(), prop::sample::select(vec!['\u{200b}', '\u{ad}', '\u{2064}'])),
    );
    (prop::sample::select(FOREIGN.to_vec()), unseen).prop_map(|(link, unseen)| {
        let mut letters: Vec<char> = link.chars().collect();
        if let Some((at, unseen)) = unseen {
            letters.insert(at.index(letters.len() + 1), unseen);
        }
        letters.into_iter().collect()
    })
}

fn any_link() -> impl Strategy<Value = String> {
    prop_oneof![foreign(), prop::sample::select(ALLOWED.to_vec()).prop_map(str::to_owned)]
}

/// Of whatever a reader could touch in `text`: whether it leads where it may. A model of its own: everything between
/// spaces that has a dot between letters, a scheme or an `@` is a link, and its host is what the URL standard makes of
/// it.
fn leads_elsewhere(text: &str) -> Option<String> {
    let mut finder = linkify::LinkFinder::new();
    finder.url_must_have_scheme(false);
    let shown: String =
        text.chars().filter(|c| !"\u{200b}\u{200d}\u{ad}\u{2060}\u{2064}\u{feff}\u{202e}".contains(*c)).collect();
    [text, &shown].into_iter().find_map(|text| {
        // No host and no sentence begins or ends with a sign that is not ASCII, or a dot.
        let is_sign = |c: char| (!c.is_ascii() && !c.is_alphanumeric()) || c == '.' || c == '-';
        let links =
            text.split(|c: char| c.is_whitespace() || c == '…').flat_map(|word| finder.links(word)).map(|link| {
                match link.kind() {
                    linkify::LinkKind::Email => link.as_str().rsplit('@').next().unwrap_or_default(),
                    _ => link.as_str(),
                }
            });
        links.map(|link| link.trim_matches(is_sign).to_owned()).find(|link| {
            let has_scheme = link
                .split_once("://")
                .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let host = link.split(['/', '?', '#', ':']).next().unwrap_or_default().trim_matches('.');
            let top = host.rsplit_once('.').map(|(_, top)| top.to_lowercase());
            if !has_scheme && !top.is_some_and(|top| ["example", "com", "uk", "me", "xn--p1ai", "рф"].contains(&&*top))
            {
                return false;
            }
            let url = if has_scheme { link.clone() } else { format!("https://{link}") };
            let known = |host: &str| {
                ["shop.example", "www.shop.example", "help.example", "xn--bcher-kva.example"].contains(&host)
                    || host.ends_with(".help.example")
            };
            !Url::parse(&url).is_ok_and(|url| url.host_str().is_some_and(known) && url.port().is_none())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_foreign_link_never_passes_whatever_stands_around_it(
        parts in prop::collection::vec((glue(), any_link(), glue()), 1..4),
    ) {
        let said: String = parts.iter().map(|(before, link, behind)| format!("{before}{link}{behind} ")).collect();
        let passed = shop().pass(&said);
        prop_assert!(!evil(&passed), "{said:?}: {passed:?}");
        prop_assert_eq!(leads_elsewhere(&passed), None, "{:?}: {:?}", said, passed);
        prop_assert_eq!(shop().pass(&passed), passed.clone(), "{:?}: what has passed passes again", said);
    }

    #[test]
    fn links_that_touch_each_other_lead_nowhere_else(parts in prop::collection::vec((glue(), any_link()), 2..5)) {
        // Behind a slash of the shop's "evil.example" is a page of the shop's.
        let said: String = parts.iter().flat_map(|(glue, link)| [glue.as_str(), link]).collect();
        let passed = shop().pass(&said);
        prop_assert_eq!(leads_elsewhere(&passed), None, "{:?}: {:?}", said, passed);
    }

    #[test]
    fn an_allowed_link_always_passes_between_words(
        parts in prop::collection::vec((prop::sample::select(ORDINARY.to_vec()), prop::sample::select(ALLOWED.to_vec())), 1..4),
        open in prop::sample::select(vec!["", "(", "\"", "*", "_", "“", "<", "["]),
        close in prop::sample::select(vec!["", ")", "\"", "*", "_", "”", ">", "]", ".", "!", "?", ",", "。", "，", "…", ":"]),
    ) {
        let said: String = parts.iter().map(|(words, link)| format!("{words} {open}{link}{close}\n")).collect();
        prop_assert_eq!(shop().pass(&said), said);
    }

    #[test]
    fn words_without_a_dot_a_colon_or_a_slash_pass_unharmed(said in "[a-zA-Zäöüß ,;!?()*_0-9€%’“”你好谢，👍\u{200d}\n-]{0,60}") {
        prop_assert_eq!(shop().pass(&said), said.clone());
    }

    #[test]
    fn nothing_is_taken_out_unless_something_is_a_link(said in "\\PC{0,60}") {
        let words = said.split(ends).any(|word| is_link(&plain(word)));
        prop_assert!(words || shop().pass(&said) == said);
    }
}
