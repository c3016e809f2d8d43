//! Just enough of multipart/form-data to take an upload in.

use bytes::Bytes;

/// One part of a form.
pub(in crate::sandbox) struct Part {
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) mime: Option<String>,
    pub(in crate::sandbox) is_file: bool,
    pub(in crate::sandbox) data: Bytes,
}

/// The parts of a form; none if it is not well-formed.
pub(in crate::sandbox) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let delimiter = format!("--{}", parameter(parameters, "boundary")?);
    let between = format!("\r\n{delimiter}");
    // The first delimiter may stand at the very start, with no line break before it.
    let mut at = if body.starts_with(delimiter.as_bytes()) {
        delimiter.len()
    } else {
        find(body, between.as_bytes(), 0)? + between.len()
    };
    let mut parts = Vec::new();
    loop {
        if body[at..].starts_with(b"--") {
            return Some(parts);
        }
        if !body[at..].starts_with(b"\r\n") {
            return None;
        }
        // From here on, so that a part without headers still shows its empty line.
        let head_end = find(body, b"\r\n\r\n", at)?;
        let data_start = head_end + 4;
        let data_end = find(body, between.as_bytes(), data_start - 2)?;
        let head = std::str::from_utf8(body.get(at..head_end)?).ok()?;
        parts.push(part(head, body.slice(data_start.min(data_end)..data_end))?);
        at = data_end + between.len();
    }
}

fn part(head: &str, data: Bytes) -> Option<Part> {
    let header = |wanted: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition")?;
    Some(Part {
        name: parameter(disposition, "name")?,
        mime: header("content-type").map(str::to_owned),
        is_file: parameter(disposition, "filename").is_some(),
        data,
    })
}

/// The value of `name` in a header such as `form-data; name="file"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        known.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    body.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
}
