//! NXCloud's signature: the MD5 of four headers, the body and the secret, written one after the other, nothing escaped
//! (NXCloud's page "API interface call convention"). Its callbacks are signed in the same way.

use crate::provider::signature::md5;

/// The headers that are signed.
pub(super) struct Signed<'a> {
    pub(super) access_key: &'a str,
    pub(super) action: &'a str,
    pub(super) biz_type: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(super) ts: &'a str,
}

impl Signed<'_> {
    /// The signature over these headers and `body`; a form is sent with its body left out of it.
    pub(super) fn digest(&self, body: &[u8], secret: &str) -> [u8; 16] {
        let (key, action, biz_type, ts) = (self.access_key, self.action, self.biz_type, self.ts);
        let headers = format!("accessKey={key}&action={action}&bizType={biz_type}&ts={ts}");
        let before_body: &[u8] = if body.is_empty() { b"" } else { b"&body=" };
        md5(&[headers.as_bytes(), before_body, body, b"&accessSecret=", secret.as_bytes()])
    }
}
