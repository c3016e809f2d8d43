//! Media, up and down.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use threedots::sandbox::Draft;
use threedots::sandbox::phone::Body;

use super::*;

fn get(path: &str) -> UpstreamRequest {
    let headers = vec![bearer(), ("Host".to_owned(), "127.0.0.1:4000".to_owned())];
    UpstreamRequest { method: "GET".to_owned(), path_and_query: path.to_owned(), headers, body: Bytes::new() }
}

fn upload(mime: &str, file: &[u8]) -> UpstreamRequest {
    let mut body = Vec::new();
    for (name, value) in [("messaging_product", "whatsapp"), ("type", mime)] {
        let part = format!("--B0und--ary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--B0und--ary\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: ";
    body.extend_from_slice(format!("{head}{mime}\r\n\r\n").as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--B0und--ary--\r\n");
    let kind = ("Content-Type".to_owned(), "multipart/form-data; boundary=B0und--ary".to_owned());
    UpstreamRequest { headers: vec![bearer(), kind], body: Bytes::from(body), ..post("media", &Value::Null) }
}

/// The path behind the address that a medium is at.
async fn resolve(world: &World, id: &str) -> (Value, String) {
    let (status, medium) = answer(world.sandbox.handle(get(&format!("/graph/v25.0/{id}"))).await);
    assert_eq!(status, 200);
    let path = medium["url"].as_str().unwrap().strip_prefix("http://127.0.0.1:4000").unwrap().to_owned();
    (medium, path)
}

#[tokio::test(start_paused = true)]
async fn what_is_uploaded_comes_back_byte_for_byte() {
    let world = World::quiet();
    // What a parser could trip over: line breaks, dashes, most of the boundary.
    let file = b"\r\n--B0und--ar\r\n\r\n--\0\xff--B0und\r\n".as_slice();
    let (status, uploaded) = answer(world.sandbox.handle(upload("application/pdf", file)).await);
    assert_eq!(status, 200);
    let id = uploaded["id"].as_str().unwrap();
    let (medium, path) = resolve(&world, id).await;
    let sha256 = STANDARD.encode(Sha256::digest(file));
    assert_eq!(
        medium,
        json!({
            "url": medium["url"], "mime_type": "application/pdf", "sha256": sha256, "file_size": file.len(),
            "id": id, "messaging_product": "whatsapp",
        })
    );
    let UpstreamAnswer::Whole { status, headers, body } = world.sandbox.handle(get(&path)).await else { panic!() };
    assert_eq!((status, &*body), (200, file));
    assert_eq!(headers, [("content-type".to_owned(), "application/pdf".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_a_file() {
    let world = World::quiet();
    assert_eq!(answer(world.sandbox.handle(upload("text/plain", b"")).await).0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_uploaded_picture_can_be_sent() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let (_, uploaded) = answer(world.sandbox.handle(upload("image/png", b"png")).await);
    assert_eq!(world.call(&to_ada("image", json!({ "id": uploaded["id"], "caption": "look" }))).await.0, 200);
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert!(matches!(reply.body, Body::Media { kind: "image", .. }));
    assert_eq!(reply.body.words(), "look");
}

#[tokio::test(start_paused = true)]
async fn a_customers_picture_is_fetched_with_the_token_and_not_without() {
    let world = World::quiet();
    world.sandbox.write(&world.ada, Draft::image(None)).unwrap();
    seconds(0.1).await;
    let image = world.letterbox.messages().pop().unwrap()["image"].clone();
    let (medium, path) = resolve(&world, image["id"].as_str().unwrap()).await;
    assert_eq!(medium["sha256"], image["sha256"]);
    for headers in [vec![], vec![("authorization".to_owned(), "Bearer x".to_owned())]] {
        let refused = answer(world.sandbox.handle(UpstreamRequest { headers, ..get(&path) }).await);
        assert_eq!(code(&refused), (401, 190));
    }
    let UpstreamAnswer::Whole { body, .. } = world.sandbox.handle(get(&path)).await else { panic!() };
    assert!(body.starts_with(b"\x89PNG"));
}

#[tokio::test(start_paused = true)]
async fn an_address_lasts_five_minutes_and_a_customers_medium_seven_days() {
    let world = World::quiet();
    world.sandbox.write(&world.ada, Draft::voice()).unwrap();
    seconds(0.1).await;
    let id = world.letterbox.messages().pop().unwrap()["audio"]["id"].as_str().unwrap().to_owned();
    let (_, path) = resolve(&world, &id).await;
    seconds(301.0).await;
    assert_eq!(answer(world.sandbox.handle(get(&path)).await).0, 404);
    let (_, path) = resolve(&world, &id).await;
    assert_eq!(answer(world.sandbox.handle(get(&path)).await).0, 200);
    seconds(7.0 * 24.0 * 3600.0).await;
    assert_eq!(code(&answer(world.sandbox.handle(get(&format!("/v25.0/{id}"))).await)), (400, 100));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_medium_is_gone() {
    let world = World::quiet();
    let (_, uploaded) = answer(world.sandbox.handle(upload("image/png", b"png")).await);
    let path = format!("/v25.0/{}", uploaded["id"].as_str().unwrap());
    let delete = UpstreamRequest { method: "DELETE".to_owned(), ..get(&path) };
    assert_eq!(answer(world.sandbox.handle(delete.clone()).await), (200, json!({ "success": true })));
    assert_eq!(code(&answer(world.sandbox.handle(delete).await)), (400, 100));
}

#[tokio::test(start_paused = true)]
async fn uploads_that_meta_refuses() {
    let world = World::quiet();
    let too_large = vec![0; 5 * 1024 * 1024 + 1];
    let refused = [
        ("a picture too large", upload("image/png", &too_large), 131_053),
        ("a type that WhatsApp does not take", upload("image/tiff", b"x"), 131_053),
        ("no form", post("media", &json!({})), 100),
    ];
    for (name, request, expected) in refused {
        assert_eq!(code(&answer(world.sandbox.handle(request).await)), (400, expected), "{name}");
    }
    let mut cut_off = upload("image/png", b"png");
    cut_off.body.truncate(cut_off.body.len() - 10);
    assert_eq!(code(&answer(world.sandbox.handle(cut_off).await)), (400, 100));
}
