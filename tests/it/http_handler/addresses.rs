//! Where a handler may be: nowhere that only we can reach, unless the configuration says so.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use threedots::runtime::http::names::Names;
use threedots::runtime::http::reach::{Lookup, is_public, may_be_public};
use threedots::runtime::http::{Body, Call, CallError, Client, Transport};
use tokio::net::TcpListener;
use url::Url;

/// Addresses that are not the public internet's, in every way of writing them.
pub(crate) const PRIVATE: [&str; 62] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "167772161",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::1]",
    "[100::1]",
    "[2001::1]",
    "[2001:2::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ffff::1]",
];

#[test]
fn a_literal_address_that_is_not_public_is_refused_however_it_is_written() {
    for host in PRIVATE {
        for port in ["", ":443", ":8443"] {
            let url: Url = format!("https://{host}{port}/").parse().unwrap_or_else(|_| panic!("{host}"));
            assert!(!may_be_public(&url), "{host}");
        }
    }
    for host in ["8.8.8.8", "134744072", "100.63.255.255", "172.32.0.1", "[2606:4700::1111]", "[2a00:1450::1]"] {
        assert!(may_be_public(&format!("https://{host}/").parse().expect("an address")), "{host}");
    }
    for url in [
        "http://8.8.8.8/",
        "https://a:b@bots.example/",
        "ftp://bots.example/",
        "data:text/plain,x",
        "file:///etc/passwd",
    ] {
        assert!(!may_be_public(&url.parse().expect("an address")), "{url}");
    }
    assert!(
        may_be_public(&"https://bots.example/".parse().expect("an address")),
        "its name is judged when it is looked up"
    );
}

fn call(url: &str) -> Call {
    Call {
        method: "POST",
        url: url.parse().expect("an address"),
        headers: Vec::new(),
        body: Body::Empty,
        timeout: Duration::from_secs(5),
        // Which is for other clients than this one.
        in_clear: true,
    }
}

/// A port at which nobody is to arrive.
pub(crate) async fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (port, arrived) = (listener.local_addr().expect("an address").port(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&arrived);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, arrived)
}

/// Leads every name to where only this machine can go.
pub(crate) struct Inward;

#[async_trait]
impl Lookup for Inward {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok([[127, 0, 0, 1], [169, 254, 169, 254]].map(IpAddr::from).into())
    }
}

/// A resolver whose every name leads to this machine, but sometimes says otherwise.
struct Turncoat {
    asked: AtomicUsize,
    answers: fn(usize) -> Vec<IpAddr>,
}

#[async_trait]
impl Lookup for Turncoat {
    async fn lookup(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok((self.answers)(self.asked.fetch_add(1, Ordering::Relaxed)))
    }
}

#[tokio::test]
async fn nothing_on_this_machine_is_reached_by_any_name_or_number() {
    let (port, arrived) = canary().await;
    let client = Client::public_only(Names::system()).expect("a client");
    let hosts = ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"];
    let named = ["localhost", "localhost.", "LOCALHOST", "ip6-localhost"];
    for host in hosts.into_iter().chain(named) {
        for scheme in ["https", "http"] {
            let refused = client.call(call(&format!("{scheme}://{host}:{port}/"))).await.err();
            let is_refused = matches!(refused, Some(CallError::NotSent(_) | CallError::Unaskable(_)));
            assert!(is_refused, "{scheme}://{host}: {refused:?}");
        }
    }
    assert_eq!(arrived.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_also_if_it_led_elsewhere_before() {
    let (port, arrived) = canary().await;
    let local = |_| vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([169, 254, 169, 254])];
    let rebound =
        |asked| if asked == 0 { vec![IpAddr::from([192, 0, 2, 1])] } else { vec![IpAddr::from([127, 0, 0, 1])] };
    for answers in [local as fn(usize) -> Vec<IpAddr>, rebound, |_| Vec::new()] {
        let client = Client::public_only(Arc::new(Turncoat { asked: AtomicUsize::new(0), answers })).expect("a client");
        for _ in 0..3 {
            let refused = client.call(call(&format!("https://bots.example:{port}/"))).await.err();
            assert!(matches!(refused, Some(CallError::NotSent(_))), "{refused:?}");
        }
    }
    assert_eq!(arrived.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_public_begins_and_ends_where_the_registries_say() {
    let public = |text: &str| is_public(text.parse().expect("an address"));
    for (last, first) in
        [("0.255.255.255", "1.0.0.0"), ("100.127.255.255", "100.128.0.0"), ("172.31.255.255", "172.32.0.0")]
    {
        assert!(!public(last) && public(first), "{last} {first}");
    }
    for (last, first) in
        [("9.255.255.255", "10.0.0.0"), ("223.255.255.255", "224.0.0.0"), ("169.253.255.255", "169.254.0.0")]
    {
        assert!(public(last) && !public(first), "{last} {first}");
    }
    for (last, first) in [("3ffe::1", "3fff::1"), ("2001:200::1", "2001:1ff::1"), ("2003::1", "2002::1")] {
        assert!(public(last) && !public(first), "{last} {first}");
    }
}
