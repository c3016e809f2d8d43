//! Who is at the other end of a call: the token goes to nobody else.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::product::{Given, Product, Seen, Setup, TOKEN, Upstream, delivery, echo, serve, soon, text};

/// A TLS server whose certificate nobody vouches for: what it was asked, and how many handshakes came to nothing.
async fn self_signed() -> (String, watch::Receiver<Vec<Seen>>, watch::Receiver<usize>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let ring = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).expect("a server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}/graph", listener.local_addr().expect("it is bound").port());
    let (seen, asked) = watch::channel(Vec::new());
    let (failed, failures) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match acceptor.accept(stream).await {
                Ok(stream) => serve(stream, &Seen::agree, &seen).await,
                Err(_) => failed.send_modify(|count| *count += 1),
            }
        }
    });
    (url, asked, failures)
}

#[tokio::test]
async fn an_upstream_with_a_certificate_of_its_own_making_never_sees_the_token() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, asked, mut failures) = self_signed().await;
    let honest = Upstream::content().await;
    let setup = Setup { upstream: url, ..Setup::new(&honest) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    assert_eq!(product.post(&delivery(&[text("1", "hello")])).await, 200);
    // The read receipt, the reply, and the reply again after the first back-off.
    soon(failures.wait_for(|count| *count >= 3)).await.expect("it is there");
    product.stop().await;
    assert_eq!(asked.borrow().len(), 0, "it was asked something");

    // Nothing was lost by it: the reply goes out once there is somebody to trust.
    let product = Product::start(directory.path(), &Setup::new(&honest), echo()).await;
    honest.sent("You said: hello").await;
    product.stop().await;
    assert!(honest.seen().iter().all(|seen| seen.head.contains(&format!("Bearer {TOKEN}"))), "the token can be seen");
}

#[tokio::test]
async fn a_redirect_takes_neither_the_token_nor_the_words_elsewhere() {
    let directory = tempfile::tempdir().expect("a directory");
    let elsewhere = Upstream::content().await;
    for status in [301, 302, 307, 308] {
        let to = format!("location: {}\r\n", elsewhere.url("graph/messages"));
        let here = Upstream::answering(move |_| Given::Answer(status, to.clone(), String::new())).await;
        let product = Product::start(directory.path(), &Setup::new(&here), echo()).await;
        assert_eq!(product.post(&delivery(&[text(&format!("{status}"), "hello")])).await, 200);
        here.until(|seen| seen.iter().any(|seen| seen.text().is_some())).await;
        product.stop().await;
        assert!(here.seen().iter().all(|seen| seen.head.contains(TOKEN)));
    }
    assert_eq!(elsewhere.seen().len(), 0);
}
