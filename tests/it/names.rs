//! Names that lead nowhere, and servers that say nothing: they hold up whoever asks for them, and nobody else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use threedots::handler::Egress;
use threedots::runtime::http::names::Names;
use threedots::runtime::http::reach::Lookup;
use threedots::runtime::http::{Body, Call, CallError, Client, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// A server of names: `silent…` gets no answer, `none…` is no name, and everything else is 127.0.0.1 (A) and ::1
/// (AAAA), for two
/// seconds.
struct Server {
    address: SocketAddr,
    /// The names for whose IPv4 addresses it was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let (address, asked) = (socket.local_addr().expect("an address"), Arc::<Mutex<Vec<String>>>::default());
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(answer) = answer(&buffer[..length], &seen) {
                    socket.send_to(&answer, from).await.expect("it is sent");
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("the names").clone()
    }
}

fn answer(query: &[u8], seen: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let (name, kind) = (labels.join("."), query[at + 2]);
    if kind == 1 {
        seen.lock().expect("the names").push(name.clone());
    }
    let code = match name {
        name if name.starts_with("silent") => return None,
        name if name.starts_with("none") => 3,
        _ => 0,
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(code == 0), 0, 0, 0, 0]);
    answer.extend(&query[12..at + 5]);
    if code == 0 {
        let address: &[u8] =
            if kind == 1 { &[127, 0, 0, 1] } else { &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] };
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 2, 0, u8::try_from(address.len()).expect("short")]);
        answer.extend(address);
    }
    Some(answer)
}

fn get(url: &str) -> Call {
    let url = url.parse().expect("an address");
    Call {
        method: "GET",
        url,
        headers: Vec::new(),
        body: Body::Empty,
        timeout: Duration::from_secs(20),
        in_clear: true,
    }
}

/// Answers 204 to everybody.
async fn web() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            });
        }
    });
    port
}

#[tokio::test]
async fn three_thousand_calls_to_names_of_which_nobody_says_anything_hold_up_no_other_bot() {
    let (server, port) = (Server::start().await, web().await);
    let all = Egress::looking_up(Names::given("", vec![server.address])).expect("ways out");
    let (busy, other) = (all.of_one_bot(), all.of_one_bot());
    let call = |number: usize| {
        let way_out = Arc::clone(&busy.anywhere);
        async move { way_out.call(get(&format!("http://silent{}.example/", number % 300))).await.err() }
    };
    let began = Instant::now();
    let calls = tokio::spawn(join_all((0..3000).map(call)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..20 {
        let asked = Instant::now();
        let url = format!("http://upstream{number}.example:{port}/");
        assert_eq!(other.anywhere.call(get(&url)).await.expect("an answer").status, 204);
        // Whoever waits for a silent server waits for four seconds.
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
    let mut silent: Vec<String> = server.asked().into_iter().filter(|name| name.starts_with("silent")).collect();
    silent.sort();
    silent.dedup();
    assert!((1..=8).contains(&silent.len()), "no more than 8 at once: {silent:?}");
    for failed in calls.await.expect("they end") {
        assert!(matches!(failed, Some(CallError::NotSent(_))), "{failed:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn all_who_wait_for_a_name_share_one_look_up_and_its_answer_for_as_long_as_it_is_good() {
    let server = Server::start().await;
    let names = Names::given("", vec![server.address]);
    let expected = ["127.0.0.1".parse::<IpAddr>().expect("one"), "::1".parse().expect("one")];
    for found in join_all((0..1000).map(|_| names.lookup("Upstream.example"))).await {
        assert_eq!(found.expect("addresses"), expected);
    }
    assert_eq!(server.asked(), ["upstream.example"]);
    names.lookup("upstream.example").await.expect("addresses");
    assert_eq!(server.asked().len(), 1);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    names.lookup("upstream.example").await.expect("addresses");
    assert_eq!(server.asked().len(), 2);

    for failed in join_all((0..1000).map(|_| names.lookup("none.example"))).await {
        assert_eq!(failed.expect_err("no such name").kind(), std::io::ErrorKind::NotFound);
    }
    assert_eq!(server.asked().iter().filter(|name| *name == "none.example").count(), 1);
    let began = Instant::now();
    for failed in join_all((0..1000).map(|_| names.lookup("silent.example"))).await {
        failed.expect_err("nobody answers");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // Each packet may be sent again, since it may have been lost.
    let asked = server.asked().iter().filter(|name| name.starts_with("silent")).count();
    assert!(asked <= 10, "{asked}");
}

#[tokio::test]
async fn whoever_gives_up_leaves_no_look_up_behind_and_keeps_no_other_from_it() {
    let server = Server::start().await;
    let names = Names::given("", vec![server.address]);
    for number in 0..50 {
        let name = format!("silent{number}.example");
        let given_up = tokio::time::timeout(Duration::from_millis(10), names.lookup(&name)).await;
        assert!(given_up.is_err());
    }
    let began = Instant::now();
    names.lookup("upstream.example").await.expect("addresses");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_the_hosts_file_says_is_asked_of_nobody_and_a_change_of_it_is_seen() {
    let server = Server::start().await;
    let hosts = "192.0.2.7 inside.example my_service\n127.0.0.1 silent.example\n";
    let names = Names::given(hosts, vec![server.address]);
    let lookup = async |names: &Names, name: &str| -> Vec<String> {
        let found = names.lookup(name).await.unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    };
    for (name, addresses) in [
        ("INSIDE.example", vec!["192.0.2.7"]),
        ("inside.example.", vec!["192.0.2.7"]),
        ("my_service", vec!["192.0.2.7"]),
        ("silent.example", vec!["127.0.0.1"]),
        ("localhost", vec!["127.0.0.1", "::1"]),
        ("localhost.", vec!["127.0.0.1", "::1"]),
        ("phone.localhost", vec!["127.0.0.1", "::1"]),
    ] {
        assert_eq!(lookup(&names, name).await, addresses, "{name}");
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    // Names in the networks of containers may hold what no host's may.
    assert_eq!(lookup(&names, "their_service").await, ["127.0.0.1", "::1"]);

    let directory = tempfile::tempdir().expect("a directory");
    let (file, none) = (directory.path().join("hosts"), directory.path().join("resolv.conf"));
    std::fs::write(&file, "192.0.2.1 moves.example\n").expect("a file");
    let names = Names::files(&file, &none);
    assert_eq!(lookup(&names, "moves.example").await, ["192.0.2.1"]);
    std::fs::write(&file, "192.0.2.2 moves.example\n").expect("a file");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(lookup(&names, "moves.example").await, ["192.0.2.2"]);
}

#[tokio::test]
async fn without_any_server_addresses_and_this_machine_are_reached_and_names_are_refused_at_once() {
    let port = web().await;
    // Nothing listens there.
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port").local_addr().expect("an address");
    let client = Client::looking_up(Names::given("", vec![nobody])).expect("a client");
    for host in ["127.0.0.1", "localhost"] {
        let answer = client.call(get(&format!("http://{host}:{port}/"))).await.expect("an answer");
        assert_eq!(answer.status, 204, "{host}");
    }
    let began = Instant::now();
    let refused = client.call(get("http://upstream.example/")).await.err();
    assert!(matches!(refused, Some(CallError::NotSent(_))), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_address_that_is_not_public_is_refused_wherever_it_was_looked_up() {
    let server = Server::start().await;
    let hosts = "169.254.169.254 metadata.example\n10.0.0.1 inside.example";
    let client = Client::public_only(Names::given(hosts, vec![server.address])).expect("a client");
    for name in ["metadata.example", "inside.example", "upstream.example", "localhost", "x.localhost"] {
        let refused = client.call(get(&format!("https://{name}/"))).await.err();
        assert!(matches!(refused, Some(CallError::NotSent(_))), "{name}: {refused:?}");
    }
    assert_eq!(server.asked(), ["upstream.example"]);
}
