//! The same again: captured deliveries, and secrets that take over from one another.

use crate::product::{
    Line, Product, SECRET, Setup, Upstream, WEBHOOK, delivery, echo, request, signature, signed, text,
};

/// Sends a request so many times, over ten connections at once; all of them must be answered with 200.
async fn repeat(product: &Product, request: &[u8], times: usize) {
    let connections = (0..10).map(|_| async {
        let mut line = Line::open(product.address).await;
        for _ in 0..times / 10 {
            line.send(request).await;
            assert_eq!(line.response().await.expect("an answer").status, 200);
        }
    });
    futures_util::future::join_all(connections).await;
}

#[tokio::test]
async fn a_captured_delivery_has_one_effect_however_often_it_comes_after_a_restart_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let setup = Setup::new(&upstream);
    let captured = signed(delivery(&[text("CAPTURED", "captured once"), text("BESIDE", "captured beside")]).as_bytes());
    for start in 1..=2 {
        let product = Product::start(directory.path(), &setup, echo()).await;
        repeat(&product, &captured, 1000).await;
        // What had come again would be answered before this, or along with it.
        assert_eq!(product.post(&delivery(&[text(&format!("LAST.{start}"), &format!("last of {start}"))])).await, 200);
        upstream.sent(&format!("last of {start}")).await;
        product.stop().await;
    }
    let said = upstream.texts().join("\n");
    for words in ["captured once", "captured beside", "last of 1", "last of 2"] {
        assert_eq!(said.matches(words).count(), 1, "{words}: {said}");
    }
}

#[tokio::test]
async fn while_one_secret_takes_over_from_another_nothing_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let file = |name: &str, secret: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, secret).expect("a writable directory");
        format!("secret = \"file:{}\"", path.display())
    };
    let app_secret = format!(
        "[{{ {} }}, {{ {}, until = \"2999-12-31\" }}, {{ {}, until = \"2020-12-31\" }}]",
        file("new", "the new secret"),
        file("old", SECRET),
        file("ended", "the ended secret"),
    );
    let setup = Setup { app_secret, ..Setup::new(&upstream) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    let delivery_signed = |secret: &str, id: &str| {
        let body = delivery(&[text(id, &format!("message {id}."))]);
        let signature = signature(secret, body.as_bytes());
        request("POST", WEBHOOK, &[("x-hub-signature-256", &signature)], body.as_bytes())
    };
    let senders = (0..4).map(|sender| {
        let (product, delivery_signed) = (&product, &delivery_signed);
        async move {
            let mut line = Line::open(product.address).await;
            for number in 0..50 {
                let secret = if (sender + number) % 2 == 0 { SECRET } else { "the new secret" };
                line.send(&delivery_signed(secret, &format!("{sender}-{number}"))).await;
                assert_eq!(line.response().await.expect("an answer").status, 200);
            }
        }
    });
    futures_util::future::join_all(senders).await;
    for refused in ["the ended secret", "a third secret"] {
        assert_eq!(product.ask(&delivery_signed(refused, "refused")).await.status, 401, "{refused}");
    }
    for sender in 0..4 {
        for number in 0..50 {
            upstream.sent(&format!("message {sender}-{number}.")).await;
        }
    }
    product.stop().await;
    assert!(!upstream.texts().join("\n").contains("refused"));
}
