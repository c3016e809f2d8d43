use proptest::prelude::*;

use super::*;

fn marks(markdown: &str) -> String {
    with_marks(markdown).into_owned()
}

#[test]
fn markdown_becomes_what_a_phone_shows() {
    let mut wrong = Vec::new();
    for (markdown, written) in [
        ("**Open** today, ~~closed~~ tomorrow.", "*Open* today, ~closed~ tomorrow."),
        ("__Open__ and *soon* and _now_, **x**", "*Open* and _soon_ and _now_, *x*"),
        ("***both*** and **_both_** and _**both**_", "*_both_* and *_both_* and *_both_*"),
        ("**bold with *italic* in it**", "*bold with _italic_ in it*"),
        ("_**a** b_", "_*a* b_"),
        ("**a _b_**", "*a _b_*"),
        ("**one\ntwo**", "*one*\n*two*"),
        ("**bold:**\nnext", "*bold:*\nnext"),
        ("# Hours", "*Hours*"),
        ("## Hours ##\n\nOpen", "*Hours*\n\nOpen"),
        ("### **Bold** heading", "*Bold heading*"),
        ("# *Soon* open", "*_Soon_ open*"),
        ("## Code `x`", "*Code `x`*"),
        ("Title\n=====\n\n**x**", "*Title*\n\n*x*"),
        ("Bye\n---\nBen **x**", "Bye\n———\nBen *x*"),
        ("**a**\n\n***\n\nb", "*a*\n\n———\n\nb"),
        ("See [our page](https://shop.example/hours).", "See our page (https://shop.example/hours)."),
        ("[https://shop.example](https://shop.example)", "https://shop.example"),
        ("[shop.example](https://shop.example/)", "https://shop.example/"),
        ("[mail](mailto:a@b.example), [a@b.example](mailto:a@b.example)", "mail (mailto:a@b.example), a@b.example"),
        ("[**our page**](https://a.example)", "*our page* (https://a.example)"),
        ("**[our page](https://a.example)**", "*our page* (https://a.example)"),
        ("![a cat](https://a.example/cat.png)", "a cat (https://a.example/cat.png)"),
        ("![](https://a.example/cat.png)", "https://a.example/cat.png"),
        ("[![cat](https://a.example/c.png)](https://a.example)", "cat (https://a.example/c.png) (https://a.example)"),
        ("![cat](data:image/png;base64,AAAA) **x**", "cat *x*"),
        (
            "[1]: https://a.example\n[b]: https://b.example\n\n[a][1], [b][]",
            "\na (https://a.example), b (https://b.example)",
        ),
        ("<https://a.example/x_y> **x**", "https://a.example/x_y *x*"),
        ("* one\n* **two**\n  + three", "- one\n- *two*\n  - three"),
        ("- [x] **done**\n- [ ] open", "☑ *done*\n☐ open"),
        ("1. **one**\n2. two\n3) three", "1. *one*\n2. two\n3) three"),
        ("> **a**\n>b\n>> c", "> *a*\n> b\n> c"),
        ("> **a\n> b**", "> *a*\n> *b*"),
        ("```python\nprint(1)\n```", "```\nprint(1)\n```"),
        ("```js\na `b` **c**\n```\nDone", "```\na `b` **c**\n```\nDone"),
        ("```js\na\n```\n\n**b**\n\n~~~\nc\n~~~\n\n\nd", "```\na\n```\n\n*b*\n\n```\nc\n```\n\nd"),
        ("1. x\n   ```sh\n   ls\n   ```\n2. y", "1. x\n```\nls\n```\n2. y"),
        ("**a**\n~~~\nx\n~~~", "*a*\n```\nx\n```"),
        ("> ```sh\n> ls\n> pwd\n> ```", "> ```ls```\n> ```pwd```"),
        ("````md\n```js\nx\n```\n````", "```\n'''js\nx\n'''\n```"),
        ("**a** ``b`` `` ` ``", "*a* `b` `"),
        ("**a**<br>b<br/>c &amp; d", "*a*\nb\nc & d"),
        ("<b>a</b> <i>b</i> <s>c</s> <u>d</u>", "*a* _b_ ~c~ d"),
        ("<a href=\"https://a.example\">here</a>", "here (https://a.example)"),
        ("a\n\n<!-- hidden -->\n\n**b**", "a\n\n*b*"),
        ("<ul>\n<li>a</li>\n<li>b</li>\n</ul>", "\n- a\n- b\n"),
        ("**a** your <code> and <name>, 1 < 2", "*a* your <code> and <name>, 1 < 2"),
        ("**a** \\*b\\* \\# c", "*a* *b* # c"),
        ("**a**  \nb\\\nc", "*a*\nb\nc"),
        ("A fact.[^1] **x**\n\n[^1]: The source.", "A fact.[1] *x*\n\n[1]: The source."),
        ("**a**\n\n    2 * 3 = **kwargs", "*a*\n\n    2 * 3 = **kwargs"),
        // A phone shows no mark within a word, nor before a blank.
        ("这是**重点**内容", "这是重点内容"),
        ("**这是**，重点", "*这是*，重点"),
        ("foo**bar**baz", "foobarbaz"),
        ("**Ende**n", "Enden"),
        ("**a\\* b**", "a* b"),
        ("**https://a.example**", "https://a.example"),
        ("**x** 2*3*4 2**3**4 snake_case_word", "*x* 2*3*4 2**3**4 snake_case_word"),
        ("**x** in `__init__` and __init__.py", "*x* in `__init__` and __init__.py"),
        ("| Day | Open |\n|---|---|\n| Mon | 9–17 |\n| **Tue** | |", "*Day: Open*\nMon: 9–17\n*Tue*"),
        (
            "| Day | From | To |\n|:--|--:|---|\n| Mon | 9 | 17 |\n| Tue | `10` | |",
            "*Day: Mon*\nFrom: 9\nTo: 17\n\n*Day: Tue*\nFrom: `10`",
        ),
        ("|a|b|\n|-|-|", "*a: b*"),
    ] {
        wrong.extend((marks(markdown) != written).then(|| (markdown, marks(markdown), written)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn where_no_marks_are_shown_the_words_and_addresses_are_left() {
    for (markdown, written) in [
        ("**Open** today, ~~closed~~ *soon*.", "Open today, closed soon."),
        ("## Hours\n\nSee [our page](https://a.example/h).", "Hours\n\nSee our page (https://a.example/h)."),
        ("*bold* and _italic_ and ~no~ and `code`", "bold and italic and no and code"),
        ("```\nx = 1\n```\nDone", "x = 1\nDone"),
        ("```py\nx = 1\n```\nDone **x**", "x = 1\nDone x"),
        ("snake_case_word 2*3*4", "snake_case_word 2*3*4"),
        ("https://a.example/_x_/*y*", "https://a.example/_x_/*y*"),
        ("- [ ] a\n* b", "☐ a\n- b"),
    ] {
        assert_eq!(without_marks(markdown), written, "{markdown:?}");
    }
}

#[test]
fn what_is_no_markdown_stays_as_it_is() {
    for text in [
        "*bold* _italic_ ~struck~ ```code``` `x`",
        "```\ncode\n```",
        "```first line\nlast line```\nand *bold*",
        "2*3*4 and 2**3**4, a * b * c, snake_case_word, 5*",
        "#hashtag #1, 1) one\n2) two\n10. ten",
        "    indented\n\ttab\n\n\n\nblank  lines  ",
        "> a quote\n>> and\n>another",
        "* one\n* two\n+ three\n- four",
        "*_* :-) ¯\\_(ツ)_/¯ ^_^ -_- >_< *** --- ___",
        "https://a.example/a_b_c/*x*/~me~?q=__a&b=[c] a_b@c.example",
        "+49 (0)30 123-456~7, [1], [x], (y)[z]",
        "your <code> and <name> <3 1 < 2 > 1 AT&amp;T <https://a.example>",
        "Title\n---\ntext",
        "Summe\n=====\n10",
        "a | b | c\nd | e | f",
        "C:\\_temp\\*.txt \\* \\_",
        "import __init__.py and __main__",
        "[a]: nothing",
        "Öffnungszeiten: 9–17 Uhr 🕘 مرحبا *غدا* שלום สวัสดี 你好*吗*",
        "",
        " \n ",
        "**",
        "****",
        "~~",
        "##",
        "#",
    ] {
        assert_eq!(marks(text), text);
    }
}

/// A phrase of Markdown, and a word that stands in it nowhere else.
fn phrase(kind: u8, word: &str) -> String {
    match kind {
        0 => format!("**{word}**"),
        1 => format!("*{word}*"),
        2 => format!("__{word}__"),
        3 => format!("~~{word}~~"),
        4 => format!("***{word}***"),
        5 => format!("`{word}`"),
        6 => format!("[{word}](https://shop.example/{word})"),
        7 => format!("**{word} *and {word}* more**"),
        8 => format!("<b>{word}</b>"),
        9 => format!("2 * {word} * 3"),
        10 => format!("snake_{word}_case"),
        11 => format!("![{word}](https://shop.example/{word}.png)"),
        12 => format!("**{word}"),
        _ => word.to_owned(),
    }
}

/// A block of Markdown around a line.
fn block(kind: u8, line: &str) -> String {
    match kind {
        0 => format!("## {line}"),
        1 => format!("- {line}\n- {line}"),
        2 => format!("1. {line}\n   - {line}"),
        3 => format!("> {line}\n> {line}"),
        4 => format!("```rust\n{line}\n```"),
        5 => format!("| a | b |\n|---|---|\n| {line} | x |"),
        6 => format!("- [ ] {line}\n- [x] {line}"),
        7 => format!("{line}\n\n---"),
        _ => line.to_owned(),
    }
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.starts_with('w') && word.len() > 1);
    words.filter(|word| word[1..].bytes().all(|digit| digit.is_ascii_digit())).map(str::to_owned).collect()
}

proptest! {
    #[test]
    fn of_a_document_nothing_is_lost_but_marks(
        blocks in prop::collection::vec((0..9_u8, prop::collection::vec(0..14_u8, 1..6)), 1..8)
    ) {
        let mut number = 0;
        let blocks: Vec<_> = blocks
            .into_iter()
            .map(|(kind, phrases)| {
                let line: Vec<_> = phrases
                    .into_iter()
                    .map(|kind| {
                        number += 1;
                        phrase(kind, &format!("w{number}"))
                    })
                    .collect();
                block(kind, &line.join(" "))
            })
            .collect();
        let document = blocks.join("\n\n");
        let (marked, plain) = (with_marks(&document), without_marks(&document));
        for written in [&marked, &plain] {
            let (all, kept) = (words_of(&document), words_of(written));
            for word in &all {
                prop_assert!(kept.contains(word), "{word} of {document:?} is lost: {written:?}");
            }
        }
        prop_assert_eq!(with_marks(&marked).len(), marked.len(), "{:?} is written otherwise a second time", marked);
    }

    #[test]
    fn a_text_without_markdown_stays_as_it_is(
        text in r"([A-Za-zäß0-9 .,!?:;()'@#/+=-]|\n|[*][a-z]{1,5}[*] |_[a-z]{1,5}_ |~[a-z]{1,5}~ |`[a-z]{1,5}` |👍|مرحبا){0,60}"
    ) {
        let text = text.replace("\n#", "\n").replace("---", "-").replace("===", "=");
        let text = text.trim_start_matches('#');
        prop_assert_eq!(with_marks(text), text);
    }

    #[test]
    fn what_is_written_for_whatsapp_stays_as_it_is(
        lines in prop::collection::vec((0..8_u8, prop::collection::vec(0..18_u8, 1..6)), 1..8)
    ) {
        let phrase = |kind: &u8| match kind {
            0 => "*bold*",
            1 => "_it is_",
            2 => "~gone~",
            3 => "`x = 1`",
            4 => "```a * b```",
            5 => "5 * 3 * 2",
            6 => "a_b_c",
            7 => "https://shop.example/a_b_/*c*?q=~x~&y=__z__",
            8 => "#hashtag",
            9 => "+49 (0)30 123-456",
            10 => "*_both_*",
            11 => "9.90 €*",
            12 => "* from Monday",
            13 => "a@b.example",
            14 => "(*yes*), _no_!",
            15 => "1 < 2 > 1 & <3",
            16 => "[1] (x)",
            _ => "word",
        };
        let text: Vec<_> = lines
            .iter()
            .map(|(kind, phrases)| {
                let line = phrases.iter().map(phrase).collect::<Vec<_>>().join(" ");
                match kind {
                    0 => format!("- {line}"),
                    1 => format!("1. {line}"),
                    2 => format!("> {line}"),
                    3 => format!("* {line}"),
                    4 => format!("```\n{}\n```", line.replace('`', "'")),
                    5 => format!("    {line}"),
                    _ => line,
                }
            })
            .collect();
        let text = text.join("\n");
        prop_assert_eq!(with_marks(&text), &*text);
    }
}

/// What is repeated without end: signs that nest, that open and are never closed, and whole lines.
const ENDLESS: [&str; 26] = [
    "[",
    "*",
    "_",
    "> ",
    "<b>",
    "- ",
    "`",
    "~~",
    "**a ",
    "![",
    "[a](",
    "|",
    "# ",
    "&",
    "://",
    "a://",
    "a://. ",
    "> a\n",
    "- [ ] a\n",
    "```js\na\n```\n",
    "<b>a</b>\n",
    "<!--",
    "*_~~a",
    "[a]: b\n[a]\n",
    "|a|b|c|\n|-|-|-|\n",
    "> - ",
];

#[test]
fn nesting_without_end_ends() {
    for sign in ENDLESS {
        let text = format!("**x** {}", sign.repeat(20_000));
        let (marked, plain) = (with_marks(&text), without_marks(&text));
        assert!(marked.len() <= 3 * text.len() && plain.len() <= 3 * text.len(), "{sign:?}");
    }
}

/// What the reader hands on is counted, not how long it takes.
#[test]
fn twice_the_text_is_at_most_twice_the_work() {
    let work = |text: &str| read::read(text).map_or(0, |runs| runs.iter().map(|run| 1 + run.text.len()).sum::<usize>());
    for sign in ENDLESS {
        let [once, twice] = [4_000, 8_000].map(|times| work(&format!("**x**\n\n{}", sign.repeat(times))));
        assert!(once > 0 && twice <= 2 * once + 64, "{sign:?}: {once}, {twice}");
    }
}
