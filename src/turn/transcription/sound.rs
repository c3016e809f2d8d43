//! What a sound file is, as far as it has to be known: what servers call its form, and how long it lasts.

use std::time::Duration;

/// A MIME type without parameters, and a file name by whose ending servers tell the form: they go by that alone.
pub(super) fn form(mime: &str) -> (String, &'static str) {
    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let name = match essence.as_str() {
        "audio/mpeg" | "audio/mp3" => "voice.mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "audio/aac" | "audio/aacp" => "voice.m4a",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "voice.wav",
        "audio/webm" => "voice.webm",
        "audio/flac" | "audio/x-flac" => "voice.flac",
        "audio/amr" => "voice.amr",
        "audio/x-caf" | "audio/caf" => "voice.caf",
        "audio/ogg" | "audio/opus" | "application/ogg" => "voice.ogg",
        // What it may be, if its upstream says nothing of use: the form of WhatsApp's voice notes.
        _ => return ("audio/ogg".into(), "voice.ogg"),
    };
    (essence, name)
}

/// How many samples of Opus are a second, whatever was recorded (RFC 7845).
const OPUS_RATE: u64 = 48_000;

/// How long an Ogg file of Opus lasts, by its last page; none of any other file.
pub(super) fn lasts(sound: &[u8]) -> Option<Duration> {
    const PAGE: &[u8] = b"OggS";
    if !sound.starts_with(PAGE) || sound.get(28..36) != Some(b"OpusHead".as_slice()) {
        return None;
    }
    let last = sound.windows(PAGE.len()).rposition(|window| window == PAGE)?;
    let position = sound.get(last + 6..last + 14)?.try_into().ok()?;
    Some(Duration::from_secs(u64::from_le_bytes(position) / OPUS_RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_form() {
        assert_eq!(form("audio/ogg; codecs=opus"), ("audio/ogg".into(), "voice.ogg"));
        assert_eq!(form("Audio/MPEG"), ("audio/mpeg".into(), "voice.mp3"));
        assert_eq!(form("audio/x-m4a"), ("audio/x-m4a".into(), "voice.m4a"));
        assert_eq!(form("application/octet-stream\r\nx: y"), ("audio/ogg".into(), "voice.ogg"));
    }

    #[test]
    fn a_voice_note_says_how_long_it_lasts() {
        let voice = include_bytes!("../../sandbox/assets/voice.ogg");
        assert_eq!(lasts(voice), Some(Duration::from_secs(2)));
        for other in [&b""[..], b"OggS", b"ID3", &voice[..30]] {
            assert_eq!(lasts(other), None);
        }
        // A position that says nonsense is too long, and no crash.
        let mut endless = voice.to_vec();
        let last = endless.windows(4).rposition(|window| window == b"OggS").expect("a page");
        endless[last + 6..last + 14].fill(0xff);
        assert!(lasts(&endless) > Some(Duration::from_hours(24)));
    }
}
