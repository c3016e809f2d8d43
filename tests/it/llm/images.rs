//! Images in forms that no model takes: the model is told that there was one.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use threedots::Handler;
use threedots::handler::llm::LlmConfig;
use threedots::handler::{FetchMedia, Fetched, MediaError};
use threedots::message::{Content, MediaKind, MediaRef};

use super::llm;
use super::stub::Stub;
use crate::turns::turn;

struct Holds(&'static [u8], &'static str);

#[async_trait]
impl FetchMedia for Holds {
    async fn fetch(&self, _: &MediaRef) -> Result<Fetched, MediaError> {
        Ok(Fetched { data: self.0.into(), mime: self.1.into() })
    }

    async fn fetch_to(&self, _: &MediaRef, _: &Path) -> Result<u64, MediaError> {
        Err(MediaError("nobody asks for that".into()))
    }
}

/// What the model is told of an image with these bytes, of which the upstream says that it is of this type.
async fn told(data: &'static [u8], mime: &'static str) -> serde_json::Value {
    let stub = Stub::start().await;
    let image = Content::Media(MediaRef { caption: Some("my shoe".into()), ..MediaRef::of(MediaKind::Image) });
    let mut turn = turn(vec![image]);
    turn.media = Arc::new(Holds(data, mime));
    llm(LlmConfig::default(), &[&stub.base_url]).reply(&turn).await.expect("an answer");
    let request = stub.requests().pop().expect("a request");
    request["messages"].as_array().and_then(|lines| lines.last()).expect("lines")["content"].clone()
}

#[tokio::test]
async fn what_no_model_takes_is_left_out_with_a_word_and_what_one_takes_goes_under_its_right_name() {
    const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1";
    const WEBP: &[u8] = b"RIFF\x24\0\0\0WEBPVP8 ";
    for (data, mime) in
        [(HEIC, "image/heic"), (HEIC, "image/jpeg"), (b"II*\0".as_slice(), "image/tiff"), (b"<svg/>", "image/png")]
    {
        let content = told(data, mime).await;
        let words = content.as_str().expect("words alone");
        assert!(
            words.contains("my shoe") && words.contains("[The image is in a form that cannot be shown to you.]"),
            "{words}"
        );
    }
    let content = told(WEBP, "image/jpeg").await;
    let image = content[1]["image_url"]["url"].as_str().expect("an image");
    assert!(image.starts_with("data:image/webp;base64,"), "{image}");
}
