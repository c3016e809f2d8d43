//! What strangers send: each with its answer, nothing of it kept, and whoever writes before and after is served.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::product::{
    Line, Product, Response, SECRET, Setup, Upstream, VERIFY_TOKEN, WEBHOOK, delivery, echo, head, is_kept, request,
    signature, signed, text,
};

/// Stands in everything that must not be kept.
const BAD: &str = "what-a-stranger-wrote";

struct World {
    product: Product,
    upstream: Upstream,
    directory: TempDir,
    written: usize,
}

impl World {
    async fn open() -> Self {
        Self::with_body_timeout("30s").await
    }

    async fn with_body_timeout(body_timeout: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let upstream = Upstream::content().await;
        let setup = Setup { body_timeout, ..Setup::new(&upstream) };
        let product = Product::start(directory.path(), &setup, echo()).await;
        let mut world = Self { product, upstream, directory, written: 0 };
        world.serves().await;
        world
    }

    /// A customer writes and is answered.
    async fn serves(&mut self) {
        self.written += 1;
        let words = format!("a customer's words, number {}", self.written);
        assert_eq!(self.product.post(&delivery(&[text(&self.written.to_string(), &words)])).await, 200);
        self.upstream.sent(&words).await;
    }

    /// A stranger's request is answered so, and customers are still served.
    async fn answers(&mut self, request: &[u8], status: u16) -> Response {
        let answer = self.product.ask(request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(300)]);
        assert_eq!(answer.status, status, "{shown}");
        self.serves().await;
        answer
    }

    /// What was signed, and is no message that could be answered, was kept for the operator to see, and not sent on.
    async fn close_with_a_letter(self) {
        self.product.stop().await;
        assert!(is_kept(self.directory.path(), BAD), "a message is gone without a trace");
        assert!(self.upstream.texts().iter().all(|text| !text.contains(BAD)));
    }

    /// Nothing of a stranger's was kept, or sent on.
    async fn close(self) {
        self.product.stop().await;
        assert!(is_kept(self.directory.path(), "a customer's words, number 1"), "what is kept can be found");
        assert!(!is_kept(self.directory.path(), BAD), "a stranger's words were kept");
        assert!(self.upstream.texts().iter().all(|text| !text.contains(BAD)));
    }
}

fn bad_delivery() -> String {
    delivery(&[text("BAD", BAD)])
}

#[tokio::test]
async fn what_our_secret_has_not_signed_is_not_authentic() {
    let mut world = World::open().await;
    let body = bad_delivery();
    let right = signature(SECRET, body.as_bytes());
    let (digits, upper) = (right.trim_start_matches("sha256="), right.to_uppercase());
    let of_another_body = signature(SECRET, b"{}");
    let of_another_secret = signature("another", body.as_bytes());
    let name = "x-hub-signature-256";
    let signed_so: [&[(&str, &str)]; 9] = [
        &[],
        &[(name, "")],
        &[(name, &of_another_body)],
        &[(name, &of_another_secret)],
        &[(name, digits)],
        &[(name, &upper)],
        &[(name, &right[..right.len() - 2])],
        &[(name, &right), (name, &right)],
        &[(name, &right), ("X-Hub-Signature-256", &of_another_body)],
    ];
    for headers in signed_so {
        let answer = world.answers(&request("POST", WEBHOOK, headers, body.as_bytes()), 401).await;
        let shown = format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body)).to_lowercase();
        for piece in digits.as_bytes().windows(6) {
            let piece = std::str::from_utf8(piece).expect("digits");
            assert!(!shown.contains(piece), "a piece of what would have been right: {shown}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn what_is_signed_and_no_json_is_not_understood() {
    let mut world = World::open().await;
    let whole = bad_delivery();
    let open = format!("{{\"{BAD}\":{}", "{\"a\":".repeat(10_000));
    let list = format!("{}\"{BAD}\"{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut not_utf8 = whole.clone().into_bytes();
    let at = whole.find(BAD).expect("it stands there");
    not_utf8[at + 4] = 0xff;
    let bodies = [&whole.as_bytes()[..whole.len() / 2], &whole.as_bytes()[..whole.len() - 1], &not_utf8, b"", b"[]"];
    for body in bodies {
        world.answers(&signed(body), 400).await;
    }
    for body in [&open, &list] {
        world.answers(&signed(body.as_bytes()), 400).await;
    }
    // An object is of the right form, however deep that goes which nobody reads.
    world.answers(&signed(format!("{{\"{BAD}\":{list}}}").as_bytes()), 200).await;
    world.close().await;
}

#[tokio::test]
async fn a_body_of_five_megabytes_is_too_large_whether_it_says_so_or_not() {
    let mut world = World::open().await;
    let body = delivery(&[text("BAD", &BAD.repeat(250_000))]);
    assert!(body.len() > 5_000_000);
    let signature = signature(SECRET, body.as_bytes());
    let headers = [("x-hub-signature-256", signature.as_str())];
    let declared = request("POST", WEBHOOK, &headers, body.as_bytes());
    let mut chunked = head("POST", WEBHOOK, &[headers[0], ("transfer-encoding", "chunked")], None);
    for piece in body.as_bytes().chunks(60_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for whole in [declared, chunked] {
        let answer = Line::open(world.product.address).await.respond_while_sending(&whole).await;
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")));
        world.serves().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_gigabyte_is_refused_before_any_of_it_has_come() {
    let mut world = World::open().await;
    for length in [1 << 30, usize::MAX] {
        let answer = world.answers(&head("POST", WEBHOOK, &[], Some(length)), 413).await;
        assert_eq!(answer.header("connection"), Some("close"));
    }
    world.close().await;
}

#[tokio::test]
async fn a_length_that_is_none_or_two_is_answered_with_400_and_a_closed_connection() {
    let mut world = World::open().await;
    let lengths: [&[(&str, &str)]; 5] = [
        &[("content-length", "-1")],
        &[("content-length", "18446744073709551616")],
        &[("content-length", "2"), ("content-length", "3")],
        &[("content-length", "2"), ("transfer-encoding", "chunked")],
        &[("transfer-encoding", "chunked, gzip")],
    ];
    for headers in lengths {
        let mut line = Line::open(world.product.address).await;
        line.send(&[&head("POST", WEBHOOK, headers, None)[..], BAD.as_bytes()].concat()).await;
        let answer = line.response().await.expect("an answer");
        assert_eq!(answer.status, 400, "{headers:?}");
        assert!(line.is_closed().await, "{headers:?}");
        world.serves().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_too_slow() {
    let mut world = World::with_body_timeout("2s").await;
    let whole = signed(bad_delivery().as_bytes());
    let began = Instant::now();
    let mut line = Line::open(world.product.address).await;
    let (first, rest) = whole.split_at(whole.len() - 200);
    line.send(first).await;
    let trickle = async {
        for byte in rest {
            tokio::time::sleep(Duration::from_millis(100)).await;
            line.send(std::slice::from_ref(byte)).await;
            // Long before the last one it is over.
            if began.elapsed() > Duration::from_secs(4) {
                return;
            }
        }
    };
    trickle.await;
    let answer = line.response().await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert!(line.is_closed().await);
    world.serves().await;
    world.close().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_delivery() {
    let mut world = World::open().await;
    let whole = signed(bad_delivery().as_bytes());
    let mut line = Line::open(world.product.address).await;
    line.send(&whole[..whole.len() - 1]).await;
    line.finish().await;
    // Whoever hangs up may be told so, or not.
    let answer = line.response().await.map(|answer| answer.status);
    assert!(matches!(answer, None | Some(400)), "{answer:?}");
    world.serves().await;
    world.close().await;
}

#[tokio::test]
async fn garbage_among_five_messages_costs_the_other_four_nothing() {
    let mut world = World::open().await;
    let garbage = serde_json::json!({ "id": [BAD], "type": 7, "from": { "a": null } });
    let four = ["first", "second", "fourth", "fifth"].map(|words| text(words, &format!("the {words} of five")));
    let [first, second, fourth, fifth] = four;
    world.answers(&signed(delivery(&[first, second, garbage, fourth, fifth]).as_bytes()), 200).await;
    for words in ["first", "second", "fourth", "fifth"] {
        world.upstream.sent(&format!("the {words} of five")).await;
    }
    world.close_with_a_letter().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_to_keep_costs_its_neighbours_nothing() {
    let mut world = World::open().await;
    let large = text("BAD", &BAD.repeat(60_000));
    let [first, last] = ["first", "last"].map(|words| text(words, &format!("the {words} of three")));
    world.answers(&signed(delivery(&[first, large, last]).as_bytes()), 200).await;
    for words in ["first", "last"] {
        world.upstream.sent(&format!("the {words} of three")).await;
    }
    world.close_with_a_letter().await;
}

#[tokio::test]
async fn a_header_of_100_kilobytes_does_no_harm_and_one_of_200_is_too_large() {
    let mut world = World::open().await;
    let body = bad_delivery();
    let mut line = Line::open(world.product.address).await;
    line.send(&request("POST", WEBHOOK, &[("x-long", &BAD.repeat(100_000 / BAD.len()))], body.as_bytes())).await;
    assert_eq!(line.response().await.expect("an answer").status, 401);
    line.send(&request("GET", "/healthz", &[], b"")).await;
    assert_eq!(line.response().await.expect("the connection goes on").status, 200);
    let long = request("POST", WEBHOOK, &[("x-long", &BAD.repeat(200_000 / BAD.len()))], body.as_bytes());
    let answer = Line::open(world.product.address).await.respond_while_sending(&long).await;
    assert_eq!((answer.status, answer.header("connection")), (431, Some("close")));
    world.serves().await;
    world.close().await;
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_400_and_a_closed_connection() {
    let mut world = World::open().await;
    for bytes in
        [format!("{BAD}\r\n\r\n"), format!("POST {WEBHOOK} HTTP/9.9\r\n\r\n{BAD}"), "\u{16}\u{3}\u{1}\r\n\r\n".into()]
    {
        let mut line = Line::open(world.product.address).await;
        line.send(bytes.as_bytes()).await;
        assert_eq!(line.response().await.expect("an answer").status, 400, "{bytes:?}");
        assert!(line.is_closed().await);
        world.serves().await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_compressed_body_another_method_and_another_bot_are_refused() {
    let mut world = World::open().await;
    let body = bad_delivery();
    let signature = signature(SECRET, body.as_bytes());
    let signed = |more: &[(&'static str, &'static str)], method: &str, path: &str| {
        let headers: Vec<_> =
            [("x-hub-signature-256", signature.as_str())].into_iter().chain(more.iter().copied()).collect();
        request(method, path, &headers, body.as_bytes())
    };
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        world.answers(&signed(&[("content-encoding", coding)], "POST", WEBHOOK), 415).await;
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = world.answers(&signed(&[], method, WEBHOOK), 405).await;
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
    for path in [
        "/webhooks/other",
        "/webhooks/Shop",
        "/webhooks/",
        "/webhooks/shop//",
        "/webhooks/shop/x",
        "/webhooks",
        "/webhooks/..%2fshop",
        "/",
        "//",
    ] {
        world.answers(&signed(&[], "POST", path), 404).await;
    }
    world.close().await;
}

#[tokio::test]
async fn an_address_with_a_slash_at_its_end_is_the_same_address() {
    let world = World::open().await;
    let address = format!("{WEBHOOK}/");
    let body = delivery(&[text("slash", "behind a slash")]);
    let signature = signature(SECRET, body.as_bytes());
    let headers = [("x-hub-signature-256", signature.as_str())];
    assert_eq!(world.product.ask(&request("POST", &address, &headers, body.as_bytes())).await.status, 200);
    world.upstream.sent("behind a slash").await;
    assert_eq!(world.product.ask(&request("POST", &address, &[], body.as_bytes())).await.status, 401);
    let handshake = format!("{address}?hub.mode=subscribe&hub.challenge=77&hub.verify_token={VERIFY_TOKEN}");
    let answer = world.product.ask(&request("GET", &handshake, &[], b"")).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"77"[..]));
    world.close().await;
}

#[tokio::test]
async fn a_handshake_is_answered_with_its_challenge_and_nothing_else_is() {
    let mut world = World::open().await;
    let ask = |query: &str| request("GET", &format!("{WEBHOOK}?{query}"), &[], b"");
    let with =
        |token: &str| format!("hub.mode=subscribe&hub.challenge=%3Cscript%3E1158201444&hub.verify_token={token}");
    let answer = world.answers(&ask(&with(VERIFY_TOKEN)), 200).await;
    assert_eq!(answer.body, b"<script>1158201444");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for wrong in ["wrong", &VERIFY_TOKEN[1..], &VERIFY_TOKEN.to_uppercase()] {
        let answer = world.answers(&ask(&with(wrong)), 403).await;
        assert_eq!(answer.body, b"not authentic");
    }
    for missing in ["", "hub.mode=subscribe", &format!("hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}")] {
        world.answers(&ask(missing), 400).await;
    }
    world.close().await;
}

#[tokio::test]
async fn health_is_public_and_says_nothing() {
    let world = World::open().await;
    for (path, words) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = world.product.ask(&request("GET", path, &[], b"")).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, words.as_bytes()));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert!(answer.header("server").is_none());
        let answer = world.product.ask(&request("POST", path, &[], b"")).await;
        assert_eq!(answer.status, 405);
    }
    world.close().await;
}
