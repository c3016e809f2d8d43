//! What files are called on their way out: upstreams and phones go by the ending.

use url::Url;

use crate::message::MediaSource;
use crate::message::reply::Media;

/// The longest name that is given, in characters.
const LONGEST: usize = 200;

/// What a file of this type is called where nobody sees its name.
pub(crate) fn upload_name(mime: &str) -> String {
    let stem = match essence(mime).split('/').next() {
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        _ => "document",
    };
    format!("{stem}.{}", ending(mime))
}

/// What a document is called that a customer gets: as its handler says, else as its address ends; with the ending of
/// its type, where that is known. Without a name it would be "Untitled" on the customer's phone.
pub(crate) fn document_name(media: &Media) -> String {
    let given = media.filename.as_deref().map(clean).filter(|name| !name.is_empty());
    match (&media.source, given) {
        (MediaSource::Bytes { mime, .. }, Some(name)) if !has_ending(&name) && ending(mime) != UNKNOWN => {
            format!("{name}.{}", ending(mime))
        }
        (MediaSource::Link(link), Some(name)) if !has_ending(&name) => match link_name(link) {
            Some(last) => format!("{name}.{}", last.rsplit('.').next().unwrap_or_default()),
            None => name,
        },
        (_, Some(name)) => name,
        (MediaSource::Bytes { mime, .. }, None) => format!("document.{}", ending(mime)),
        (MediaSource::Link(link), None) => link_name(link).unwrap_or_else(|| "document".to_owned()),
        (MediaSource::Uploaded(_), None) => "document".to_owned(),
    }
}

/// The last piece of an address, if it is the name of a file.
pub(crate) fn link_name(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let last = url.path_segments()?.next_back()?;
    let decoded = url::form_urlencoded::parse(format!("={last}").replace('+', "%2B").as_bytes()).next()?.1.into_owned();
    Some(clean(&decoded)).filter(|name| has_ending(name))
}

/// A name without what has no place in one.
fn clean(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control() && !matches!(c, '/' | '\\')).collect();
    // One that begins with a dot is hidden where it is saved.
    let name = name.trim().trim_start_matches('.');
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    let ending = if has_ending(name) { name.rsplit('.').next() } else { None };
    let stem: String = name.chars().take(LONGEST - 8).collect();
    ending.map_or(stem.clone(), |ending| format!("{stem}.{ending}"))
}

/// Whether a name ends in something that looks like the type of a file, and not like a number.
fn has_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, ending)| ending);
    (1..=7).contains(&ending.len())
        && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && ending.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// A type without its parameters.
fn essence(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The ending of a type that says nothing.
const UNKNOWN: &str = "bin";

/// How the name of a file of this type ends, without the dot.
pub(crate) fn ending(mime: &str) -> String {
    let essence = essence(mime);
    let known = match essence.as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/tiff" => "tif",
        "image/svg+xml" => "svg",
        "image/x-icon" | "image/vnd.microsoft.icon" => "ico",
        "video/quicktime" => "mov",
        "video/mpeg" => "mpg",
        "video/3gpp" | "audio/3gpp" => "3gp",
        "video/x-msvideo" => "avi",
        "audio/ogg" | "audio/opus" | "application/ogg" => "ogg",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/x-m4a" | "audio/m4a" | "audio/mp4" => "m4a",
        "audio/x-caf" => "caf",
        "audio/x-wav" | "audio/wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/x-aiff" | "audio/aiff" => "aiff",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/vcard" | "text/x-vcard" => "vcf",
        "text/calendar" => "ics",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.ms-powerpoint" => "ppt",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "application/vnd.oasis.opendocument.text" => "odt",
        "application/vnd.oasis.opendocument.spreadsheet" => "ods",
        "application/epub+zip" => "epub",
        "application/x-gzip" => "gz",
        "application/x-zip-compressed" => "zip",
        "application/vnd.rar" | "application/x-rar-compressed" => "rar",
        "application/x-7z-compressed" => "7z",
        "application/octet-stream" => UNKNOWN,
        // Most are named after their files: image/png, application/pdf, text/csv.
        other => match other.rsplit_once('/') {
            Some((_, name)) if (1..=7).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric()) => name,
            _ => UNKNOWN,
        },
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::message::MediaKind;

    fn named(source: MediaSource, filename: Option<&str>) -> String {
        let filename = filename.map(str::to_owned);
        document_name(&Media { kind: MediaKind::Document, source, caption: None, filename })
    }

    #[test]
    fn a_document_has_a_name_that_ends_in_what_it_is() {
        let bytes = |mime: &str| MediaSource::Bytes { data: Bytes::new(), mime: mime.into() };
        let link = |link: &str| MediaSource::Link(link.into());
        for (source, given, name) in [
            (bytes("application/pdf"), None, "document.pdf"),
            (bytes("text/csv; charset=utf-8"), None, "document.csv"),
            (bytes("application/x-something-odd"), None, "document.bin"),
            (bytes("application/pdf"), Some("invoice"), "invoice.pdf"),
            (bytes("application/pdf"), Some("Invoice 1.2"), "Invoice 1.2.pdf"),
            (bytes("application/pdf"), Some("invoice.PDF"), "invoice.PDF"),
            (bytes("application/octet-stream"), Some("invoice"), "invoice"),
            (bytes("application/pdf"), Some(" ../etc/\u{7}x "), "etcx.pdf"),
            (link("https://shop.example/f/report-17.pdf?x=1"), None, "report-17.pdf"),
            (link("https://shop.example/f/a%20b%2Bc.docx"), None, "a b+c.docx"),
            (link("https://shop.example/f/report.pdf"), Some("Report"), "Report.pdf"),
            (link("https://shop.example/download?id=17"), None, "document"),
            (link("https://shop.example/v1.2"), None, "document"),
            (link("https://shop.example/download?id=17"), Some("Report"), "Report"),
        ] {
            assert_eq!(named(source, given), name);
        }
        let long = format!("{}.pdf", "x".repeat(500));
        let name = named(bytes("application/pdf"), Some(&long));
        assert!(name.ends_with(".pdf") && name.chars().count() <= LONGEST, "{name}");
    }

    #[test]
    fn an_upload_is_called_by_its_type() {
        for (mime, name) in [
            ("audio/ogg", "audio.ogg"),
            ("audio/ogg; codecs=opus", "audio.ogg"),
            ("image/JPEG", "image.jpg"),
            ("image/webp", "image.webp"),
            ("video/mp4", "video.mp4"),
            ("application/pdf", "document.pdf"),
            ("", "document.bin"),
            ("x\"; y=\"z/\r\nq", "document.bin"),
        ] {
            assert_eq!(upload_name(mime), name, "{mime}");
        }
    }
}
