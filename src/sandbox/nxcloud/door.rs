//! Who is calling, and proof to the bot of who calls it: both in five headers (NXCloud's "API call convention").

use md5::{Digest, Md5};

use super::refusal::Refusal;
use crate::message::clock::Timestamp;
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::upstream::UpstreamRequest;

/// NXCloud's number for its WhatsApp business.
const BIZ_TYPE: &str = "2";
/// How far the caller's clock may be off, in milliseconds.
const DRIFT: u64 = 60_000;

/// Whether the headers of a call are in order.
pub(super) fn check(
    settings: &SandboxSettings,
    request: &UpstreamRequest,
    action: &str,
    is_form: bool,
    now: Timestamp,
) -> Result<(), Refusal> {
    let header = |name: &str| {
        let value = request.header(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Refusal::own(1001, format!("Missing parameters ({name})")))
    };
    let (key, ts, sign) = (header("accessKey")?, header("ts")?, header("sign")?);
    if header("bizType")? != BIZ_TYPE || header("action")? != action {
        return Err(Refusal::own(1002, "Parameter error (bizType, action)"));
    }
    if key != settings.access_token {
        return Err(Refusal::own(1005, "Insufficient permissions"));
    }
    if ts.parse::<u64>().map_or(true, |ts| ts.abs_diff(now.0) > DRIFT) {
        return Err(Refusal::own(1004, "Timestamp expired"));
    }
    let kind = request.header("content-type").unwrap_or_default();
    let kind_fits = if is_form { kind.starts_with("multipart/form-data") } else { kind == "application/json" };
    let signed = if is_form { &[][..] } else { &request.body };
    // A call of the wrong type is signed in the wrong way, too.
    if !kind_fits || sign != signature(settings, action, ts, signed) {
        return Err(Refusal::own(1003, "Invalid signature"));
    }
    Ok(())
}

/// The headers of a callback. One that is repeated comes with the same ones: its time is that of what it tells.
pub(super) fn headers(settings: &SandboxSettings, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
    let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let at = told["messages"][0]["timestamp"].as_str().or(told["statuses"][0]["timestamp"].as_str());
    let ts = at.map_or_else(|| now.0.to_string(), |seconds| format!("{seconds}000"));
    // As NXCloud's other products name their callbacks: what a customer sent, and what became of what the bot sent.
    let action = if told["statuses"].is_array() { "dr" } else { "mo" };
    let sign = signature(settings, action, &ts, body);
    let key = settings.access_token.as_str();
    let headers = [("accesskey", key), ("ts", &ts), ("biztype", BIZ_TYPE), ("action", action), ("sign", &sign)];
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The signature of a body that may be empty.
fn signature(settings: &SandboxSettings, action: &str, ts: &str, body: &[u8]) -> String {
    let mut whole =
        format!("accessKey={}&action={action}&bizType={BIZ_TYPE}&ts={ts}", settings.access_token).into_bytes();
    if !body.is_empty() {
        whole.extend_from_slice(b"&body=");
        whole.extend_from_slice(body);
    }
    whole.extend_from_slice(b"&accessSecret=");
    whole.extend_from_slice(settings.app_secret.as_bytes());
    hex::encode(Md5::digest(&whole))
}
