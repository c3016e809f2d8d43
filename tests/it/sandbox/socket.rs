//! The sandbox on a real socket.

use std::collections::HashMap;

use actix_web::{App, HttpServer};
use threedots::sandbox::{Calls, Failure, Fault, Page, configure, on_connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// Everything that comes back for `request` before the connection ends.
async fn exchange(port: u16, request: &str) -> String {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is broken off may end with an error instead of an end.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn send_over(port: u16, words: &str) -> String {
    let body = text(words).to_string();
    format!(
        "POST /graph/v25.0/{NUMBER}/messages HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         authorization: Bearer sandbox-access-token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn calls_and_pages_work_over_a_socket_and_a_reset_is_one() {
    let world = World::quiet();
    let routes = configure(&[Arc::clone(&world.sandbox)], &Page::new(HashMap::new()).unwrap());
    let server = HttpServer::new(move || App::new().configure(routes.clone())).on_connect(on_connect);
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let port = server.addrs()[0].port();
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    world.ada_writes("hello").await;

    let answer = exchange(port, &send_over(port, "hi")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("wamid."), "{answer}");
    let page = format!("GET / HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    assert!(exchange(port, &page).await.contains(r#"data-test="message-in""#));
    let media = format!(
        "GET /graph/v25.0/1 HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\
         authorization: Bearer sandbox-access-token\r\n\r\n"
    );
    assert!(exchange(port, &media).await.starts_with("HTTP/1.1 400"));

    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Reset).after_effect());
    assert_eq!(exchange(port, &send_over(port, "hi again")).await, "", "no answer at all");
    assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 2, "and yet delivered");

    world.sandbox.shutdown().await;
    handle.stop(true).await;
    running.await.unwrap().unwrap();
}
