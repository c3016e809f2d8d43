//! The HTML that models write into Markdown.

/// What a piece of HTML is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HtmlKind<'t> {
    /// Words.
    Words(&'t str),
    /// A tag that says nothing here.
    Nothing,
    /// A new line.
    Break,
    /// A line across.
    Rule,
    /// A row of a list.
    Item,
    /// Bold begins or ends.
    Bold(bool),
    /// Italic begins or ends.
    Italic(bool),
    /// Struck out begins or ends.
    Strike(bool),
    /// A link begins, and leads there.
    Link(&'t str),
    /// A link ends.
    LinkEnd,
    /// A picture: what stands for it, and where it is.
    Image(&'t str, &'t str),
}

/// A piece, and how it is written.
pub(super) struct HtmlPiece<'t> {
    pub(super) piece: HtmlKind<'t>,
    pub(super) source: &'t str,
    /// What has to close it; none if nothing has to.
    pub(super) closed_by: Option<String>,
}

/// Tags that are closed by none.
const SINGLE: [&str; 8] = ["br", "hr", "img", "p", "li", "tr", "td", "th"];

/// Tags of which nothing is left but what stands in them.
const SILENT: [&str; 42] = [
    "p",
    "div",
    "span",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "center",
    "font",
    "small",
    "big",
    "sub",
    "sup",
    "u",
    "ins",
    "mark",
    "code",
    "kbd",
    "samp",
    "tt",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "caption",
    "details",
    "figure",
    "figcaption",
    "summary",
    "abbr",
    "cite",
    "q",
];

/// Takes HTML apart. What only looks like a tag is words.
pub(super) fn pieces(html: &str) -> Vec<HtmlPiece<'_>> {
    let words = |text| HtmlPiece { piece: HtmlKind::Words(text), source: text, closed_by: None };
    let (mut pieces, mut rest) = (Vec::new(), html);
    let mut searched = 0;
    // Where none ends, none that begins later does.
    let mut comments_end = true;
    while let Some(at) = rest[searched..].find('<').map(|at| searched + at) {
        let found = if rest[at..].starts_with("<!--") {
            let end = if comments_end { rest[at..].find("-->") } else { None };
            comments_end = end.is_some();
            end.map(|end| (HtmlKind::Nothing, None, end + 3))
        } else {
            tag(&rest[at..])
        };
        let Some((piece, closed_by, length)) = found else {
            searched = at + 1;
            continue;
        };
        if at > 0 {
            pieces.push(words(&rest[..at]));
        }
        pieces.push(HtmlPiece { piece, source: &rest[at..at + length], closed_by });
        rest = &rest[at + length..];
        searched = 0;
    }
    if !rest.is_empty() {
        pieces.push(words(rest));
    }
    pieces
}

/// The tag that `html` begins with, what has to close it, and its length; none if it is none that is known.
fn tag(html: &str) -> Option<(HtmlKind<'_>, Option<String>, usize)> {
    let (opens, inside) = html.strip_prefix("</").map_or((true, &html[1..]), |inside| (false, inside));
    let name_end = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let length = html.len() - inside.len();
    // No tag of these is longer, and a search to the end for each sign would take its time.
    let mut window = inside.len().min(4096);
    while !inside.is_char_boundary(window) {
        window -= 1;
    }
    let end = inside[..window].find('>').filter(|end| *end >= name_end)?;
    let attributes = &inside[name_end..end];
    if !attributes.is_empty() && !attributes.starts_with(|c: char| c.is_whitespace() || c == '/') {
        return None;
    }
    let name = inside[..name_end].to_ascii_lowercase();
    let piece = match &*name {
        "br" | "tr" => HtmlKind::Break,
        "hr" => HtmlKind::Rule,
        "li" if opens => HtmlKind::Item,
        "td" | "th" if opens => HtmlKind::Words(" "),
        "li" | "td" | "th" => HtmlKind::Nothing,
        "b" | "strong" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => HtmlKind::Bold(opens),
        "i" | "em" => HtmlKind::Italic(opens),
        "s" | "del" | "strike" => HtmlKind::Strike(opens),
        "a" if opens => HtmlKind::Link(attribute(attributes, "href").unwrap_or_default()),
        "a" => HtmlKind::LinkEnd,
        "img" => HtmlKind::Image(
            attribute(attributes, "alt").unwrap_or_default(),
            attribute(attributes, "src").unwrap_or_default(),
        ),
        name if SILENT.contains(&name) => HtmlKind::Nothing,
        _ => return None,
    };
    let closed_by = (opens && !SINGLE.contains(&&*name)).then(|| format!("</{name}"));
    Some((piece, closed_by, length + end + 1))
}

/// The value of an attribute.
fn attribute<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    let lower = attributes.to_ascii_lowercase();
    let at = lower.match_indices(name).find(|(at, _)| {
        lower[..*at].ends_with(|c: char| c.is_whitespace() || c == '"' || c == '\'')
            && lower[at + name.len()..].trim_start().starts_with('=')
    })?;
    let value = attributes[at.0 + name.len()..].trim_start().strip_prefix('=')?.trim_start();
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split(quote).next());
    quoted.or_else(|| value.split_whitespace().next())
}

/// Text of HTML, with the few names of characters that everybody writes.
pub(super) fn decoded(text: &str) -> String {
    let names = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    names.iter().fold(text.to_owned(), |text, (name, sign)| text.replace(name, sign))
}
