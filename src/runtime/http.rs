//! The way out: HTTP calls to an upstream, with the rules that hold for all of them.
//!
//! Never a redirect (it would carry the token elsewhere), never a proxy picked up from the environment, never a
//! retry, https unless the host is this machine or a call says otherwise, an answer no longer than its limit, and
//! errors that name no address.

mod bounded;
pub mod lines;
pub mod names;
pub mod reach;

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
pub(crate) use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::message::clock::{Timestamp, timeout_awake};
pub use bounded::{Bounded, MayCall};
use names::{LookupLane, Names};

/// How an HTTP call leaves. The product's is [`Client`]; a test may put a sandbox in its place.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes one call.
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError>;

    /// Why no call to this address would ever leave, and what to do, if that can be said beforehand: in words that
    /// follow the key of the setting.
    fn refuses(&self, _url: &Url) -> Option<&'static str> {
        None
    }
}

/// One HTTP call.
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// The address. May hold secrets: never shown.
    pub url: Url,
    /// The headers. May hold secrets: never shown.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// What is sent.
    pub body: Body,
    /// How long the whole call may take, the body of the answer not included.
    pub timeout: Duration,
    /// Whether plain http will do although the host is another machine: what the call holds travels in clear text.
    pub in_clear: bool,
}

/// What a call sends.
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON, as bytes that are sent as they are.
    Json(Bytes),
    /// Bytes that are sent as they are; their type is among the headers.
    Raw(Bytes),
    /// A form with one file in it.
    Multipart {
        /// The plain fields.
        fields: Vec<(&'static str, String)>,
        /// The file.
        file: Bytes,
        /// Its MIME type.
        mime: String,
        /// What it is called; some servers tell by its ending what it is.
        name: Cow<'static, str>,
    },
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.method)
    }
}

/// An upstream's answer. The body is read on demand.
pub struct UpstreamResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    body: AnswerBody,
}

enum AnswerBody {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    Streamed(reqwest::Response),
}

impl UpstreamResponse {
    /// An answer that is complete already.
    pub fn whole(status: u16, headers: Headers, body: Bytes) -> Self {
        Self { status, headers, body: AnswerBody::Whole(Some(body)) }
    }

    /// An answer whose body comes in pieces, until the other end is dropped.
    pub fn pieces(status: u16, headers: Headers, pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { status, headers, body: AnswerBody::Pieces(pieces) }
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        match &mut self.body {
            AnswerBody::Whole(body) => Ok(body.take().filter(|body| !body.is_empty())),
            AnswerBody::Pieces(pieces) => Ok(pieces.recv().await),
            AnswerBody::Streamed(response) => response.chunk().await.map_err(|error| classify(&error)),
        }
    }

    /// The whole body, if it is no longer than `limit` bytes.
    ///
    /// # Errors
    /// [`CallError::TooLarge`] past the limit, or what went wrong on the way.
    pub async fn bytes(mut self, limit: u64) -> Result<Bytes, CallError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (whole.len() + chunk.len()) as u64 > limit {
                return Err(CallError::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// How many bytes of a medium come in a second at the least, on average: fewer are no progress.
const SLOWEST: u64 = 8 << 10;

/// A medium on its way in, read into memory or into a file, and never past its limit.
pub struct Download {
    /// Its MIME type, as the answer that carries it says.
    pub mime: Option<String>,
    answer: UpstreamResponse,
    limit: u64,
    patience: Duration,
    began: Instant,
    came: u64,
}

impl Download {
    /// Reads `answer`, at most `limit` bytes of it, giving up when nothing comes for `patience`, or less than 8 KiB a
    /// second after that.
    pub fn new(answer: UpstreamResponse, limit: u64, patience: Duration) -> Self {
        let mime = answer.headers.get("content-type").map(str::to_owned);
        Self { mime, answer, limit, patience, began: Instant::now(), came: 0 }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let earned = self.patience + Duration::from_secs(self.came / SLOWEST);
        let left = earned.saturating_sub(self.began.elapsed());
        let chunk = timeout_awake(self.patience.min(left), self.answer.chunk());
        let Some(chunk) = chunk.await.map_err(|_| CallError::Unanswered("timed out"))?? else { return Ok(None) };
        self.limit = self.limit.checked_sub(chunk.len() as u64).ok_or(CallError::TooLarge)?;
        self.came += chunk.len() as u64;
        Ok(Some(chunk))
    }

    /// The whole medium.
    ///
    /// # Errors
    /// When it is larger than the limit, or the connection fails.
    pub async fn into_memory(mut self) -> Result<Bytes, CallError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Writes the medium to a new file at `path` and returns its length in bytes. On failure no file is left.
    ///
    /// # Errors
    /// When it is larger than the limit, the connection fails, or the file cannot be written.
    pub async fn into_file(self, path: &Path) -> Result<u64, DownloadError> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        let written = self.copy_into(&mut file).await;
        if written.is_err() {
            drop(file);
            std::fs::remove_file(path)?;
        }
        written
    }

    async fn copy_into(mut self, file: &mut std::fs::File) -> Result<u64, DownloadError> {
        use std::io::Write;
        let mut length = 0;
        while let Some(chunk) = self.next().await? {
            // A chunk is some kilobytes into the page cache: shorter than the hop to a blocking thread.
            file.write_all(&chunk)?;
            length += chunk.len() as u64;
        }
        Ok(length)
    }
}

/// Why a medium could not be written to a file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The upstream's side.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Our side.
    #[error("the file cannot be written: {0}")]
    File(#[from] std::io::Error),
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It never reached the upstream: repeating it cannot double anything.
    #[error("not sent: {0}")]
    NotSent(&'static str),
    /// It cannot be made at all, as this caller is set up: repeating it changes nothing.
    #[error("cannot be asked: {0}")]
    Unaskable(&'static str),
    /// What was to be sent fits into no request: repeating it changes nothing.
    #[error("cannot be sent: {0}")]
    Unfit(&'static str),
    /// It may have reached the upstream: whether it took effect is unknown.
    #[error("no answer: {0}")]
    Unanswered(&'static str),
    /// The answer is longer than it may be.
    #[error("the answer is too large")]
    TooLarge,
}

/// HTTP headers, looked up without regard to case.
#[derive(Clone, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a header. A value that is not text is left out: no upstream sends one that we read.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        if let Ok(value) = std::str::from_utf8(value) {
            self.0.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The value of `name`, if it stands there exactly once: of two signatures, neither is trusted.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = values.next()?;
        values.next().is_none().then_some(first.1.as_str())
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(headers: I) -> Self {
        let mut all = Self::default();
        for (name, value) in headers {
            all.push(name, value.as_bytes());
        }
        all
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.0.len())
    }
}

/// The real way out.
#[derive(Clone)]
pub struct Client {
    client: reqwest::Client,
    /// Whether only public addresses are called.
    public_only: bool,
}

impl Client {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn new() -> Result<Arc<Self>, ClientError> {
        Self::looking_up(Names::system())
    }

    /// The same, where `lookup` says what a name leads to.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn looking_up(lookup: Arc<dyn reach::Lookup>) -> Result<Arc<Self>, ClientError> {
        Self::built(builder().dns_resolver(reach::Anywhere(lookup)), false)
    }

    /// One for addresses that others have chosen: it reaches the public internet, over https, and nothing else. What a
    /// name leads to is asked of `lookup`, and judged each time a connection is made.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub fn public_only(lookup: Arc<dyn reach::Lookup>) -> Result<Arc<Self>, ClientError> {
        Self::built(builder().dns_resolver(reach::PublicOnly(lookup)), true)
    }

    fn built(builder: reqwest::ClientBuilder, public_only: bool) -> Result<Arc<Self>, ClientError> {
        let client = builder.build().map_err(|_| ClientError)?;
        Ok(Arc::new(Self { client, public_only }))
    }
}

/// The client beneath, for a library that makes its calls itself.
pub(crate) type Bare = reqwest::Client;
/// What such a call is answered with.
pub(crate) type BareAnswer = reqwest::Response;

/// A client with the settings that all of ours share, and without their rules on addresses: made when it is first
/// needed, and the same for everybody. Each takes milliseconds and a hundred kilobytes. A clone is the same.
#[derive(Clone)]
pub struct Shared {
    anywhere: Arc<OnceLock<Bare>>,
    /// The one whose names never lead to an address that is not public.
    public: Arc<OnceLock<Bare>>,
    /// Which addresses the first is for, if not for all.
    bound: Option<MayCall>,
    lookup: Arc<dyn reach::Lookup>,
    lane: LookupLane,
}

impl Default for Shared {
    fn default() -> Self {
        Self::looking_up(Names::system())
    }
}

impl Shared {
    /// A client to which `lookup` says what a name leads to.
    pub fn looking_up(lookup: Arc<dyn reach::Lookup>) -> Self {
        Self { anywhere: Arc::default(), public: Arc::default(), bound: None, lookup, lane: LookupLane::default() }
    }

    /// The same client, for one bot.
    #[must_use]
    pub fn in_lane(&self, lane: LookupLane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// The same, but that no name leads to an address that is not public, except where `may_call` says so. Literal
    /// addresses are not looked up: ask [`Bounded`] for those.
    #[must_use]
    pub fn bounded(&self, may_call: MayCall) -> Self {
        Self { bound: Some(may_call), ..self.clone() }
    }

    /// Where its look-ups are counted: for the calls that are made with the client.
    pub(crate) fn lane(&self) -> LookupLane {
        self.lane.clone()
    }

    /// The client for an address.
    ///
    /// # Errors
    /// When the machine's TLS roots cannot be read.
    pub(crate) fn client(&self, url: &str) -> Result<Bare, ClientError> {
        let is_bound = self.bound.as_ref().is_some_and(|may_call| !Url::parse(url).is_ok_and(|url| may_call(&url)));
        let shared = if is_bound { &self.public } else { &self.anywhere };
        if let Some(client) = shared.get() {
            return Ok(client.clone());
        }
        let lookup = Arc::clone(&self.lookup);
        let builder = match is_bound {
            true => builder().dns_resolver(reach::PublicOnly(lookup)),
            false => builder().dns_resolver(reach::Anywhere(lookup)),
        };
        let client = builder.build().map_err(|_| ClientError)?;
        Ok(shared.get_or_init(|| client).clone())
    }
}

/// The settings that every HTTP client of ours shares: see the module's first lines.
fn builder() -> reqwest::ClientBuilder {
    // The first caller sets it; a second finds it set, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("threedots/", env!("CARGO_PKG_VERSION")))
}

/// No HTTP client could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS: install the system's CA certificates (Debian: ca-certificates)")]
pub struct ClientError;

#[async_trait]
impl Transport for Client {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        let (allowed, refusal) = if self.public_only {
            (reach::may_be_public(&call.url), "the address is not https, or not public")
        } else {
            let allowed = is_private_enough(&call.url) || (call.in_clear && is_plain_http(&call.url));
            (allowed, "the address is neither https nor this machine")
        };
        if !allowed {
            return Err(CallError::Unaskable(refusal));
        }
        let method = reqwest::Method::from_bytes(call.method.as_bytes()).map_err(|_| CallError::Unaskable("method"))?;
        let mut request = self.client.request(method, call.url);
        for (name, value) in call.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CallError::Unaskable("a header's name"))?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| match name.as_str() {
                // Of what is sent, and not of whoever sends it.
                "content-type" => CallError::Unfit("the MIME type is not one"),
                _ => CallError::Unaskable("a header holds what no header can: check the secrets"),
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let request = match call.body {
            Body::Empty => request,
            Body::Json(bytes) => request.header("content-type", "application/json").body(bytes),
            Body::Raw(bytes) => request.body(bytes),
            Body::Multipart { fields, file, mime, name } => {
                let file = reqwest::multipart::Part::stream(file)
                    .file_name(name)
                    .mime_str(&mime)
                    .map_err(|_| CallError::Unfit("the MIME type is not one"))?;
                let form = reqwest::multipart::Form::new().part("file", file);
                request.multipart(fields.into_iter().fold(form, |form, (name, value)| form.text(name, value)))
            }
        };
        // The head has this long; the body is bounded where it is read.
        let response = timeout_awake(call.timeout, request.send());
        let response = response.await.map_err(|_| CallError::Unanswered("timed out"))?;
        let response = response.map_err(|error| classify(&error))?;
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            headers.push(name.as_str(), value.as_bytes());
        }
        Ok(UpstreamResponse { status: response.status().as_u16(), headers, body: AnswerBody::Streamed(response) })
    }
}

/// How long a `retry-after` header asks us to wait: a number of seconds, or a date.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // No standard has it, and some servers say it.
    if let Some(wait) = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        return Some(wait);
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_millisecond();
    Some(Timestamp(u64::try_from(date).ok()?).since(now))
}

/// How long the headers of an answer ask us to wait, in the ways that are in use.
pub(crate) fn rest_of(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let exact = header("retry-after-ms")
        .and_then(|wait| Duration::try_from_secs_f64(wait.trim().parse::<f64>().ok()? / 1e3).ok());
    exact.or_else(|| retry_after(header("retry-after")?, now))
}

/// The beginning of an answer's body, this many bytes or what comes before it breaks off.
pub(crate) async fn beginning(mut answer: BareAnswer, most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        read.extend_from_slice(&piece[..piece.len().min(most - read.len())]);
        if read.len() == most {
            break;
        }
    }
    read
}

/// An answer that says nothing.
pub(crate) fn empty_answer() -> BareAnswer {
    ::http::Response::new("").into()
}

/// An answer of this type whose body comes in these pieces.
#[cfg(test)]
pub(crate) fn answer_of(kind: &'static str, pieces: Vec<std::io::Result<Bytes>>) -> BareAnswer {
    let mut answer = ::http::Response::new(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)));
    answer.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    answer.into()
}

/// Whether tokens may travel to `url`: https, or plain http that stays on this machine.
pub fn is_private_enough(url: &Url) -> bool {
    let on_this_machine = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    (url.scheme() == "https" && !holds_credentials(url)) || (is_plain_http(url) && on_this_machine)
}

/// Whether `url` is plain http and holds no credentials: those of a call may travel there if the operator says so.
pub fn is_plain_http(url: &Url) -> bool {
    url.scheme() == "http" && !holds_credentials(url)
}

fn holds_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Our words for what went wrong: reqwest's own text holds the address.
fn classify(error: &reqwest::Error) -> CallError {
    if error.is_connect() {
        CallError::NotSent("cannot connect")
    } else if error.is_builder() {
        CallError::Unaskable("the request cannot be built")
    } else if error.is_timeout() {
        CallError::Unanswered("timed out")
    } else {
        CallError::Unanswered("connection lost")
    }
}
