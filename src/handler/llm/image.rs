//! Which images a model can be shown: JPEG, PNG, GIF and WebP. A model's server refuses the whole conversation for any
//! other.

use std::borrow::Cow;

use crate::handler::Fetched;

/// What stands in the place of an image that is in another form.
pub(super) const CANNOT_BE_SHOWN: &str = "[The image is in a form that cannot be shown to you.]";

const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// The MIME type as which a model can be shown it, if it can. What the bytes say counts more than what the upstream
/// says.
pub(super) fn shown_as(image: &Fetched) -> Option<&'static str> {
    match form(&image.data) {
        Form::Shown(mime) => Some(mime),
        Form::Other => None,
        Form::Unknown => {
            let said = image.mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let said = if said == "image/jpg" { Cow::Borrowed("image/jpeg") } else { said.into() };
            SHOWN.into_iter().find(|mime| *mime == said)
        }
    }
}

enum Form {
    Shown(&'static str),
    /// Something else for certain.
    Other,
    Unknown,
}

/// By the first bytes.
fn form(data: &[u8]) -> Form {
    let text = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data).trim_ascii_start();
    match data {
        [0xff, 0xd8, 0xff, ..] => Form::Shown("image/jpeg"),
        [0x89, b'P', b'N', b'G', ..] => Form::Shown("image/png"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Form::Shown("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Form::Shown("image/webp"),
        // HEIC, HEIF and AVIF, and films; TIFF; BMP; JPEG XL; JPEG 2000; Photoshop; PDF.
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Form::Other,
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Form::Other,
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Form::Other,
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J' | b'j', ..] | [b'8', b'B', b'P', b'S', ..] => Form::Other,
        [b'%', b'P', b'D', b'F', ..] => Form::Other,
        // SVG, or the page of an error.
        _ if text.starts_with(b"<") => Form::Other,
        _ => Form::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_model_takes_is_not_shown_whatever_it_is_said_to_be() {
        let shown = |mime: &str, data: &'static [u8]| shown_as(&Fetched { data: data.into(), mime: mime.into() });
        let known: [(&[u8], Option<&str>); 14] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some("image/jpeg")),
            (b"\x89PNG\r\n\x1a\n", Some("image/png")),
            (b"GIF89a\x01\0", Some("image/gif")),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"\0\0\0\x18ftypheic\0\0\0\0", None),
            (b"\0\0\0\x1cftypavif\0\0\0\0", None),
            (b"II*\0\x08\0\0\0", None),
            (b"MM\0*\0\0\0\x08", None),
            (b"BM\x36\0\0\0\0\0\0\0\x36", None),
            (b"\xff\x0a\xfa\x7f", None),
            (b"\0\0\0\x0cjP  \r\n\x87\n", None),
            (b"8BPS\0\x01", None),
            (b"%PDF-1.7", None),
            (b"\xef\xbb\xbf <?xml version=\"1.0\"?><svg/>", None),
        ];
        for (data, mime) in known {
            for said in ["image/jpeg", "image/heic", "application/octet-stream", ""] {
                assert_eq!(shown(said, data), mime, "{data:?}, said to be {said}");
            }
        }
        for (said, mime) in [
            ("image/jpeg", Some("image/jpeg")),
            ("IMAGE/JPG; x=y", Some("image/jpeg")),
            ("image/png", Some("image/png")),
            ("image/heic", None),
            ("image/svg+xml", None),
            ("image/tiff", None),
            ("", None),
        ] {
            assert_eq!(shown(said, b"12345678"), mime, "{said}");
            assert_eq!(shown(said, b""), mime, "{said}");
        }
    }
}
