//! Media, up and down.

use threedots::sandbox::Draft;

use super::*;

fn upload(world: &Nx, fields: &[(&str, &str)], file: &[u8]) -> UpstreamRequest {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--B0und\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    body.extend_from_slice(b"--B0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n");
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--B0und--\r\n");
    let mut request = signed("/api/wa/uploadMedia", "uploadMedia", world.now(), b"");
    request.headers.last_mut().unwrap().1 = "multipart/form-data; boundary=B0und".to_owned();
    UpstreamRequest { body: Bytes::from(body), ..request }
}

const FIELDS: [(&str, &str); 3] = [("business_phone", OURS), ("messaging_product", "whatsapp"), ("type", "image/png")];

async fn get_media(world: &Nx, id: &str) -> (u16, Value) {
    let body = json!({ "business_phone": OURS, "messaging_product": "whatsapp", "Media-ID": id });
    let mut request = signed("/api/wa/getMedia", "getMedia", world.now(), body.to_string().as_bytes());
    request.headers.push(("Host".to_owned(), "127.0.0.1:4000".to_owned()));
    answer(world.sandbox.handle(request).await)
}

/// What whoever has the address gets, without a header.
async fn download(world: &Nx, url: &str) -> (u16, Bytes) {
    let path_and_query = url.strip_prefix("http://127.0.0.1:4000").unwrap().to_owned();
    let request = UpstreamRequest { method: "GET".to_owned(), path_and_query, headers: Vec::new(), body: Bytes::new() };
    match world.sandbox.handle(request).await {
        UpstreamAnswer::Whole { status, body, .. } => (status, body),
        UpstreamAnswer::Reset => panic!("no answer"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_uploaded_comes_back_byte_for_byte_from_a_store_that_asks_for_nothing() {
    let world = quiet();
    let file = b"\r\n--B0un\0\xff\r\n";
    let uploaded = answer(world.sandbox.handle(upload(&world, &FIELDS, file)).await);
    assert_eq!(codes(&uploaded), (0, None));
    let id = uploaded.1["data"]["id"].as_str().unwrap();
    let described = get_media(&world, id).await.1;
    assert_eq!(described["data"]["mime_type"], "image/png");
    let url = described["data"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:4000/nxcloud/graph/object-store/"), "{url}");
    assert_eq!(download(&world, url).await, (200, Bytes::from_static(file)));
    seconds(301.0).await;
    assert_eq!(download(&world, url).await.0, 403, "the address has run out");
}

#[tokio::test(start_paused = true)]
async fn a_picture_of_the_customers_can_be_fetched() {
    let world = quiet();
    world.sandbox.write(&world.ada, Draft::image(None)).unwrap();
    seconds(0.1).await;
    let medium = world.letterbox.posts().pop().unwrap().json()["messages"][0]["image"]["id"].clone();
    let url = get_media(&world, medium.as_str().unwrap()).await.1["data"]["url"].as_str().unwrap().to_owned();
    let (status, picture) = download(&world, &url).await;
    assert!(status == 200 && picture.starts_with(b"\x89PNG"));
}

#[tokio::test(start_paused = true)]
async fn uploads_and_questions_that_nxcloud_refuses() {
    let world = quiet();
    for left_out in ["business_phone", "messaging_product", "type"] {
        let fields: Vec<_> = FIELDS.into_iter().filter(|(name, _)| *name != left_out).collect();
        let refused = answer(world.sandbox.handle(upload(&world, &fields, b"x")).await);
        assert_eq!(codes(&refused), (9000, None), "{left_out}");
    }
    let other = [("business_phone", "12125550142"), FIELDS[1], FIELDS[2]];
    assert_eq!(codes(&answer(world.sandbox.handle(upload(&world, &other, b"x")).await)), (9006, None));
    let gif = [FIELDS[0], FIELDS[1], ("type", "image/gif")];
    assert_eq!(codes(&answer(world.sandbox.handle(upload(&world, &gif, b"x")).await)), (9099, Some(131_053.0)));
    assert_eq!(codes(&get_media(&world, "1").await), (-1, None));
    assert_eq!(codes(&get_media(&world, "").await), (9000, None));
}
