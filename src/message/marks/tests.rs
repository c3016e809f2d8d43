use super::*;

/// The text with its marks as letters in brackets.
fn read(text: &str) -> String {
    fn write(marked: &Marked<'_>, spans: &[Span], range: Range<usize>, told: &mut String) {
        let mut at = range.start;
        for span in spans {
            told.push_str(&marked.text[at..span.whole.start]);
            told.push_str(&format!("{:?}(", span.mark)[..1]);
            told.push('(');
            write(marked, &span.within, span.inner.clone(), told);
            told.push(')');
            at = span.whole.end;
        }
        told.push_str(&marked.text[at..range.end]);
    }
    let (marked, mut told) = (Marked::read(text), String::new());
    write(&marked, marked.spans(), 0..text.len(), &mut told);
    told
}

#[test]
fn marks_stand_at_the_borders_of_words() {
    for (text, told) in [
        ("*a* _b_ ~c~ `d` ```e```", "B(a) I(b) S(c) C(d) F(e)"),
        ("*_a_ b*", "B(I(a) b)"),
        ("*a `*` b*", "B(a C(*) b)"),
        ("(*a*), *b*.", "(B(a)), B(b)."),
        ("```\n*a*\n```\n*b*", "F(\n*a*\n)\nB(b)"),
        ("*a\nb*", "*a\nb*"),
        ("2*3*4 snake_case_word a * b * c", "2*3*4 snake_case_word a * b * c"),
        ("* a\n* b", "* a\n* b"),
        ("**a**", "*B(a)*"),
        ("*_* ** `` ```", "B(_) ** `` ```"),
        ("https://a.example/_b_/*c* *d*", "https://a.example/_b_/*c* B(d)"),
        ("*https://a.example*", "B(https://a.example)"),
        ("``` ```", "``` ```"),
    ] {
        assert_eq!(read(text), told, "{text:?}");
    }
}

#[test]
fn what_is_cut_off_is_closed() {
    let beginning = |text: &str, at| beginning(text, at, "…");
    assert_eq!(beginning("*one two* three", 5), "*one…*");
    assert_eq!(beginning("*_one two_* three", 6), "*_one…_*");
    assert_eq!(beginning("*one* two three", 9), "*one* two…");
    assert_eq!(beginning("Now *one two*", 5), "Now…");
    assert_eq!(beginning("```\none\ntwo\n```", 7), "```\none\n…\n```");
    assert_eq!(beginning("Run `ls -l` now", 7), "Run `ls…`");
}

#[test]
fn marks_stand_at_most_four_deep() {
    fn depth(spans: &[Span]) -> usize {
        spans.iter().map(|span| 1 + depth(&span.within)).max().unwrap_or_default()
    }
    assert_eq!(depth(Marked::read("*_~`a`~_*").spans()), 4);
    for (open, close) in [("*_~", "~_*"), ("*", "*"), ("*a _b ~c ", "~ _ *"), ("*_~`", "`~_*")] {
        let text = format!("{}a{}", open.repeat(5_000), close.repeat(5_000));
        assert!(depth(Marked::read(&text).spans()) <= 4, "{open:?}");
    }
}
