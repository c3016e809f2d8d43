//! Voice notes: what is said in them is found out before the handler is asked, once, and in its time.

mod failures;
mod recording;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, future};
use serde_json::{Value, json};
use threedots::handler::{Handler, HandlerError, Turn};
use threedots::message::clock::Clock;
use threedots::message::secret::SecretRef;
use threedots::message::{Content, ContentKind, Reply};
use threedots::runtime::http::{Body, Call, CallError, Client, Transport, UpstreamResponse};
use threedots::sandbox::{Draft, Upstream};
use threedots::turn::OnNewMessage;
use threedots::turn::transcription::{Transcriber, TranscriptionConfig};
use tokio::time::{Instant, sleep};

use crate::world::{Setup, World};

type Answered = Result<UpstreamResponse, CallError>;
type Script = dyn Fn(usize) -> BoxFuture<'static, Answered> + Send + Sync;

/// A transcription server in a test's hand.
struct Server {
    script: Box<Script>,
    asked: Mutex<Vec<Asked>>,
    /// How many calls are being answered, and how many there were at the most.
    at_once: Mutex<(usize, usize)>,
    began: Instant,
}

/// A call, as it came in.
#[derive(Clone, Debug)]
struct Asked {
    second: u64,
    url: String,
    token: Option<String>,
    fields: Vec<(&'static str, String)>,
    mime: String,
    name: String,
    bytes: usize,
}

/// A call is being answered, until somebody has the answer, or wants it no longer.
struct Busy<'a>(&'a Server);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.at_once.lock().expect("nobody panics in here").0 -= 1;
    }
}

impl Server {
    /// Does what `script` says to its call of this number, from 1.
    fn new<F>(script: impl Fn(usize) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        let script = Box::new(move |number| script(number).boxed());
        Arc::new(Self { script, asked: Mutex::default(), at_once: Mutex::default(), began: Instant::now() })
    }

    /// Understands "words N" each time, and needs so many seconds.
    fn after(seconds: u64) -> Arc<Self> {
        Self::new(move |number| async move {
            sleep(Duration::from_secs(seconds)).await;
            heard(&format!("words {number}"))
        })
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics in here").clone()
    }

    fn seconds(&self) -> Vec<u64> {
        self.asked().iter().map(|asked| asked.second).collect()
    }
}

#[async_trait]
impl Transport for Server {
    async fn call(&self, call: Call) -> Answered {
        let Body::Multipart { fields, file, mime, name } = call.body else { panic!("no form") };
        let token = call.headers.iter().find(|(name, _)| name == "authorization").map(|(_, token)| token.clone());
        let second = self.began.elapsed().as_secs();
        let asked =
            Asked { second, url: call.url.into(), token, fields, mime, name: name.into_owned(), bytes: file.len() };
        let number = {
            let mut all = self.asked.lock().expect("nobody panics in here");
            all.push(asked);
            all.len()
        };
        let _busy = {
            let mut at_once = self.at_once.lock().expect("nobody panics in here");
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
            Busy(self)
        };
        (self.script)(number).await
    }
}

fn heard(words: &str) -> Answered {
    answered(200, &[], &json!({ "text": words, "usage": { "seconds": 2 } }).to_string())
}

fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> Answered {
    Ok(UpstreamResponse::whole(status, headers.iter().copied().collect(), body.to_owned().into()))
}

fn config() -> TranscriptionConfig {
    TranscriptionConfig { base_url: "https://ears.example/v1/".into(), ..TranscriptionConfig::default() }
}

fn listening(config: TranscriptionConfig, server: &Arc<Server>) -> Option<Transcriber> {
    let env = |name: &str| (name == "KEY").then(|| "a key".to_owned());
    Some(Transcriber::new(config, &env, Arc::clone(server) as _, Clock::tokio()).expect("a sound configuration"))
}

/// A bot that says what it has heard, and what it knows of before.
fn setup(upstream: Upstream, server: &Arc<Server>) -> Setup {
    with(upstream, config(), server, says_what_it_heard)
}

fn with(upstream: Upstream, config: TranscriptionConfig, server: &Arc<Server>, handler: impl Handler) -> Setup {
    Setup { transcriber: listening(config, server), ..Setup::on(upstream, handler) }
}

fn says_what_it_heard(turn: &Turn) -> Reply {
    let heard: Vec<_> = turn.messages.iter().map(|message| told(&message.content)).collect();
    let before = turn.history.iter().filter(|said| said.transcript).map(|said| &*said.words);
    Reply::text(format!("{} / before: [{}]", heard.join(", "), before.collect::<Vec<_>>().join(", ")))
}

fn told(content: &Content) -> String {
    let kind = content.kind().as_str();
    match (content.transcript(), content.words()) {
        (Some(said), _) => format!("{kind} saying {said}"),
        (None, Some(words)) => words.to_owned(),
        (None, None) => format!("{kind} unheard"),
    }
}

fn speak(world: &World) {
    world.sandbox.write(&world.customer, Draft::voice()).expect("a customer of this sandbox");
}

#[tokio::test(start_paused = true)]
async fn a_voice_note_reaches_the_handler_with_what_is_said_in_it_and_later_turns_know_it() {
    for upstream in Upstream::ALL {
        let server = Server::after(5);
        let world = setup(upstream, &server).start();
        speak(&world);
        world.pass(4).await;
        if upstream == Upstream::Gateway {
            // It announces media and hands none over: there is nothing to listen to.
            assert_eq!((world.replies(), server.asked().len()), (vec!["audio unheard / before: []".into()], 0));
            continue;
        }
        assert!(world.phone().dots_showing(&world.customer), "{upstream:?}: somebody listens: {:?}", world.seen());
        assert!(world.replies().is_empty(), "{upstream:?}");
        world.pass(60).await;
        world.write("and?");
        world.pass(60).await;
        // Nothing tells a voice memo from any other sound there.
        let kind = if upstream == Upstream::Linq { "audio" } else { "voice" };
        let replies = [format!("{kind} saying words 1 / before: []"), "and? / before: [words 1]".to_owned()];
        assert_eq!(world.replies(), replies, "{upstream:?}");
        let [asked] = &server.asked()[..] else { panic!("{upstream:?}: asked once: {:?}", server.asked()) };
        assert_eq!((&*asked.mime, &*asked.name, asked.bytes), ("audio/ogg", "voice.ogg", 527), "{upstream:?}");
        let history = world.history().await;
        assert_eq!((&*history[0].words, history[0].transcript), ("words 1", true), "{upstream:?}");
        assert!(!history[1].transcript, "{upstream:?}: what the bot says is no transcript");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_in_what_was_heard_is_a_sign() {
    let server = Server::new(|_| async { answered(200, &[], r#"{"text": "nice \ud83d"}"#) });
    let world = setup(Upstream::Meta, &server).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying nice \u{fffd} / before: []"]);
}

#[tokio::test(start_paused = true)]
async fn the_server_is_asked_in_the_form_that_it_knows() {
    let server = Server::new(|_| async { heard("  Guten Tag \n") });
    let config = TranscriptionConfig {
        model: "whisper-1".into(),
        language: "de".into(),
        api_key: serde_json::from_value::<Option<SecretRef>>(json!("env:KEY")).expect("a place"),
        ..config()
    };
    let world = with(Upstream::Meta, config, &server, says_what_it_heard).start();
    speak(&world);
    world.pass(10).await;
    assert_eq!(world.replies(), ["voice saying Guten Tag / before: []"]);
    let [asked] = &server.asked()[..] else { panic!("asked once") };
    assert_eq!(asked.url, "https://ears.example/v1/audio/transcriptions");
    assert_eq!(asked.token.as_deref(), Some("Bearer a key"));
    let fields: Vec<_> = asked.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(fields, [("model", "whisper-1"), ("response_format", "json"), ("language", "de")]);
}

#[tokio::test]
async fn over_a_socket_the_file_has_a_name_and_a_type() {
    use actix_web::{App, HttpResponse, HttpServer, web};
    let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let base_url = format!("http://{}", listener.local_addr().expect("an address"));
    let keeps = Arc::clone(&seen);
    let server = HttpServer::new(move || {
        let keeps = Arc::clone(&keeps);
        let answer = move |body: web::Bytes| {
            *keeps.lock().expect("nobody panics in here") = body.to_vec();
            async { HttpResponse::Ok().json(json!({ "text": "over a socket" })) }
        };
        App::new().route("/audio/transcriptions", web::post().to(answer))
    });
    tokio::spawn(server.workers(1).listen(listener).expect("listening").run());
    let client = Client::new().expect("a client");
    let config = TranscriptionConfig { base_url, ..TranscriptionConfig::default() };
    let transcriber = Transcriber::new(config, &|_| None, client, Clock::System).expect("a sound configuration");
    let until = Instant::now() + Duration::from_secs(60);
    let words = transcriber.transcribe(&b"RIFF and so on".as_slice().into(), "audio/wav", until).await;
    assert_eq!(words, Ok("over a socket".into()));
    let form = String::from_utf8_lossy(&seen.lock().expect("nobody panics in here")).to_lowercase();
    for line in [
        "content-disposition: form-data; name=\"file\"; filename=\"voice.wav\"\r\ncontent-type: audio/wav\r\n\r\nriff and so on\r\n",
        "name=\"model\"\r\n\r\ngpt-4o-mini-transcribe\r\n",
    ] {
        assert!(form.contains(line), "{form}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_notes_of_a_burst_are_heard_three_at_a_time_and_stay_in_their_order() {
    // Whoever is asked first is answered last.
    let server = Server::new(|number| async move {
        sleep(Duration::from_secs(9 - number as u64)).await;
        heard(&format!("{number}"))
    });
    let mut setup = setup(Upstream::Meta, &server);
    setup.merge.quiet = Duration::from_secs(2);
    let world = setup.start();
    for number in 1..=5 {
        speak(&world);
        world.write(&format!("text {number}"));
    }
    world.pass(60).await;
    let said: Vec<_> = (1..=5).map(|number| format!("voice saying {number}, text {number}")).collect();
    assert_eq!(world.replies(), [format!("{} / before: []", said.join(", "))]);
    assert_eq!(server.at_once.lock().expect("nobody panics in here").1, 3);
}

#[tokio::test(start_paused = true)]
async fn of_very_many_the_newest_twenty_are_heard() {
    let server = Server::after(0);
    let mut setup = setup(Upstream::Waha, &server);
    setup.merge.quiet = Duration::from_secs(2);
    setup.gate.per_minute = 100;
    let world = setup.start();
    for _ in 0..23 {
        speak(&world);
    }
    world.pass(60).await;
    let reply = world.replies().concat();
    assert!(reply.starts_with("voice unheard, voice unheard, voice unheard, voice saying words 1, "), "{reply}");
    assert!(reply.contains("voice saying words 20 / before"), "{reply}");
    assert_eq!(server.asked().len(), 20);
}

/// Fails for a while before it answers.
struct Moody(Mutex<u32>);

#[async_trait]
impl Handler for Moody {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let mut left = self.0.lock().expect("nobody panics in here");
        if *left > 0 {
            *left -= 1;
            return Err(HandlerError::temporary("not yet"));
        }
        Ok(says_what_it_heard(turn))
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_asked_again_costs_no_second_transcription() {
    let server = Server::after(1);
    let world = with(Upstream::Meta, config(), &server, Moody(Mutex::new(3))).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying words 1 / before: []"]);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_held_again_after_a_restart_or_as_a_replay_asks_nobody_again() {
    let server = Server::after(1);
    let hangs = |_: &Turn| -> Reply { panic!("a handler that fails") };
    let mut world = with(Upstream::Meta, config(), &server, Hangs).start();
    speak(&world);
    world.pass(10).await;
    assert_eq!(server.asked().len(), 1);
    // The process ends in the middle of the handler's work, and another begins.
    world.restart(with(Upstream::Meta, config(), &server, hangs)).await;
    world.pass(60).await;
    let [letter] = &world.dead().await[..] else { panic!("it is dead") };
    assert_eq!(letter.message.inbound.content.transcript(), Some("words 1"));
    let seq = letter.message.seq;
    world.restart(setup(Upstream::Meta, &server)).await;
    world.store.replay(seq).await.expect("the store works");
    world.pass(60).await;
    assert!(world.replies().contains(&"voice saying words 1 / before: []".to_owned()), "{:?}", world.replies());
    assert_eq!(server.asked().len(), 1);
}

/// Never answers.
struct Hangs;

#[async_trait]
impl Handler for Hangs {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        future::pending().await
    }
}

/// Thinks for ten seconds.
struct Slow;

#[async_trait]
impl Handler for Slow {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        sleep(Duration::from_secs(10)).await;
        Ok(says_what_it_heard(turn))
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_begins_anew_keeps_what_it_has_heard() {
    let server = Server::after(3);
    let mut setup = with(Upstream::Meta, config(), &server, Slow);
    setup.turn.on_new_message = OnNewMessage::Restart;
    let world = setup.start();
    speak(&world);
    // It is heard by then, and the handler at work.
    world.pass(5).await;
    speak(&world);
    // That one is not.
    world.pass(1).await;
    world.write("one more");
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying words 1, voice saying words 3, one more / before: []"]);
    assert_eq!(server.seconds(), [0, 5, 6], "the second was cut short, and is asked about again; the first is not");
}

#[tokio::test(start_paused = true)]
async fn a_control_word_or_a_person_ends_the_listening_and_takes_the_dots_off() {
    for person in [false, true] {
        let server = Server::new(|_| future::pending());
        let world = setup(Upstream::Waha, &server).start();
        speak(&world);
        world.pass(4).await;
        assert!(world.phone().dots_showing(&world.customer));
        assert_eq!(server.at_once.lock().expect("nobody panics in here").0, 1);
        if person {
            world.write_as_person("I have heard it myself");
        } else {
            world.write("stop");
        }
        world.pass(1).await;
        assert!(!world.phone().dots_showing(&world.customer), "{:?}", world.seen());
        assert_eq!(server.at_once.lock().expect("nobody panics in here").0, 0, "nobody listens any longer");
        world.pass(200).await;
        assert_eq!(world.replies(), [""; 0]);
        assert_eq!(world.store.backlog().messages, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_spoken_stop_is_no_control_word_and_an_unspoken_one_is() {
    let server = Server::new(|_| async { heard("Stop") });
    let world = with(Upstream::Meta, config(), &server, Moody(Mutex::new(2))).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying Stop / before: []"]);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_note_back_and_the_next_process_listens() {
    let server = Server::new(|number| async move {
        if number == 1 {
            return future::pending().await;
        }
        heard("at last")
    });
    let mut world = setup(Upstream::Waha, &server).start();
    speak(&world);
    world.pass(4).await;
    world.restart(setup(Upstream::Waha, &server)).await;
    assert!(!world.phone().dots_showing(&world.customer) || !world.replies().is_empty());
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice saying at last / before: []"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_answered_is_not_listened_to() {
    let server = Server::after(0);
    let mut silent = setup(Upstream::Meta, &server);
    silent.gate.kinds = vec![ContentKind::Text];
    let world = silent.start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(server.asked().len(), 0);
    // And what is not set to be transcribed is not.
    let config = TranscriptionConfig { kinds: vec![ContentKind::Audio], ..config() };
    let world = with(Upstream::Meta, config, &server, says_what_it_heard).start();
    speak(&world);
    world.pass(60).await;
    assert_eq!(world.replies(), ["voice unheard / before: []"]);
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn what_cannot_be_used_is_told_with_its_key() {
    let refused = |config: Value| {
        let config: TranscriptionConfig = serde_json::from_value(config).expect("the right form");
        let made = Transcriber::new(config, &|_| None, Server::after(0), Clock::tokio());
        made.err().expect("it is refused").into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    for url in ["http://10.0.0.7/v1", "ftp://ears.example", "ears.example", "https://user:pw@ears.example/v1"] {
        assert_eq!(refused(json!({ "base_url": url })), ["base_url"], "{url}");
    }
    let wrong = json!({
        "base_url": "https://ears.example?key=1", "model": "", "api_key": "env:NONE", "language": "german",
        "kinds": ["voice", "text"], "timeout": "0s", "max_bytes": 0, "longest": "0s",
    });
    let keys = ["base_url", "model", "language", "kinds", "timeout", "max_bytes", "longest", "api_key"];
    assert_eq!(refused(wrong), keys);
}
