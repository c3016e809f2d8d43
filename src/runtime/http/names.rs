//! Where names lead to, asked by tasks and not by threads: names that do not resolve hold up whoever asks for them and
//! nobody else.
//!
//! `/etc/hosts` comes first, then the servers of `/etc/resolv.conf`; both are read again when they change. Without
//! servers the one on this machine is asked, as the C library does. All who wait for a name share one look-up, a bot
//! has
//! so many of them under way and no more, and an answer is good for as long as it says.

use std::collections::HashMap;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use super::reach::Lookup;
use super::{Call, CallError, Transport, UpstreamResponse};

/// How long one look-up may take: less than a connection may, so that an answer is still of use to it.
const LONGEST: Duration = Duration::from_secs(4);
/// How long one server has, each time that it is asked, whatever `/etc/resolv.conf` says.
const OF_SERVER: Duration = Duration::from_secs(2);
/// So many look-ups of one bot are under way at the same time.
const AT_ONCE: usize = 8;
/// How long an answer is good for, at the least and at the most, whatever it says itself.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// How long it is good for at the most that there is no such name.
const NOT_THERE_FOR: Duration = Duration::from_secs(30);
/// For so long nobody asks again for a name of which nothing could be found out.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// So many answers are kept.
const MOST_KEPT: usize = 1024;
/// How often a change of the system's files is looked for.
const GLANCE: Duration = Duration::from_secs(1);

/// What a look-up came to.
type Resolved = Result<Arc<[IpAddr]>, ErrorKind>;
type PendingLookup = BoxFuture<'static, Resolved>;

/// Looks names up.
pub struct Names {
    source: LookupSource,
    system: Mutex<Option<System>>,
    answers: Arc<Mutex<HashMap<String, (Resolved, Instant)>>>,
    /// What is being looked up. Ends when nobody waits for it any longer.
    flights: Mutex<HashMap<String, WeakShared<PendingLookup>>>,
    /// For calls that are of no bot.
    lane: LookupLane,
}

/// What is asked.
enum LookupSource {
    Files { hosts: PathBuf, servers: PathBuf },
    Given { hosts: String, servers: Vec<SocketAddr> },
}

/// What was read of the system's files.
#[derive(Clone)]
struct System {
    resolver: TokioResolver,
    hosts: Arc<HashMap<String, Vec<IpAddr>>>,
    /// When the files were changed last.
    stamps: [Option<SystemTime>; 2],
    looked: Instant,
}

impl Names {
    /// Looks names up as this machine is set up to. Reads nothing yet.
    pub fn system() -> Arc<Self> {
        Self::files("/etc/hosts", "/etc/resolv.conf")
    }

    /// The same with other files of the same form.
    pub fn files(hosts: impl Into<PathBuf>, servers: impl Into<PathBuf>) -> Arc<Self> {
        Self::of(LookupSource::Files { hosts: hosts.into(), servers: servers.into() })
    }

    /// Looks names up in `hosts`, of the form of `/etc/hosts`, and then asks these servers.
    pub fn given(hosts: &str, servers: Vec<SocketAddr>) -> Arc<Self> {
        Self::of(LookupSource::Given { hosts: hosts.to_owned(), servers })
    }

    fn of(source: LookupSource) -> Arc<Self> {
        let (system, answers, flights) = (Mutex::default(), Arc::default(), Mutex::default());
        Arc::new(Self { source, system, answers, flights, lane: LookupLane::default() })
    }

    /// The system's settings, read again if they have changed.
    fn settings(&self) -> std::io::Result<System> {
        let now = Instant::now();
        let mut system = lock(&self.system);
        if let Some(known) = &mut *system {
            if now.duration_since(known.looked) < GLANCE {
                return Ok(known.clone());
            }
            known.looked = now;
            if known.stamps == self.stamps() {
                return Ok(known.clone());
            }
        }
        let stamps = self.stamps();
        let (hosts, servers) = match &self.source {
            // Small files, and seldom: reading them takes less than the hop to another thread.
            LookupSource::Files { hosts, servers } => (read(hosts), read_servers(&read(servers))),
            LookupSource::Given { hosts, servers } => (hosts.clone(), (config(servers), ResolverOpts::default())),
        };
        let (resolver, hosts) = (resolver(servers)?, Arc::new(read_hosts(&hosts)));
        lock(&self.answers).clear();
        Ok(system.insert(System { resolver, hosts, stamps, looked: now }).clone())
    }

    fn stamps(&self) -> [Option<SystemTime>; 2] {
        match &self.source {
            LookupSource::Files { hosts, servers } => {
                [hosts, servers].map(|file| std::fs::metadata(file).ok()?.modified().ok())
            }
            LookupSource::Given { .. } => [None, None],
        }
    }

    /// What is known without asking anybody.
    fn known(&self, system: &System, name: &str) -> Option<Resolved> {
        if let Some(addresses) = system.hosts.get(name.trim_end_matches('.')) {
            return Some(Ok(addresses.as_slice().into()));
        }
        if is_localhost(name.trim_end_matches('.')) {
            return Some(Ok([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into()));
        }
        let answers = lock(&self.answers);
        answers.get(name).filter(|(_, until)| Instant::now() < *until).map(|(found, _)| found.clone())
    }

    fn under_way(&self, name: &str) -> Option<Shared<PendingLookup>> {
        lock(&self.flights).get(name).and_then(WeakShared::upgrade)
    }

    async fn find(&self, name: &str) -> Resolved {
        let system = self.settings().map_err(|error| error.kind())?;
        if let Some(found) = self.known(&system, name) {
            return found;
        }
        if let Some(flight) = self.under_way(name) {
            return flight.await;
        }
        let lane = LANE.try_with(LookupLane::clone).unwrap_or_else(|_| self.lane.clone());
        // Closed never, and so never an error.
        let permit = lane.0.acquire_owned().await.ok();
        // Meanwhile another may have asked, and may have been answered.
        if let Some(found) = self.known(&system, name) {
            return found;
        }
        let flight = {
            let mut flights = lock(&self.flights);
            match flights.get(name).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let (key, answers) = (name.to_owned(), Arc::clone(&self.answers));
                    let flight = async move {
                        let (found, until) = ask(&system.resolver, &key).await;
                        keep(&answers, key, found.clone(), until);
                        drop(permit);
                        found
                    };
                    let flight = flight.boxed().shared();
                    flights.retain(|_, flight| flight.upgrade().is_some());
                    flights.extend(flight.downgrade().map(|weak| (name.to_owned(), weak)));
                    flight
                }
            }
        };
        flight.await
    }
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let name = name.to_ascii_lowercase();
        self.find(&name).await.map(|found| found.to_vec()).map_err(Error::from)
    }
}

/// Asks the servers, and says until when the answer is good.
async fn ask(resolver: &TokioResolver, name: &str) -> (Resolved, Instant) {
    let now = Instant::now();
    // Not as text: that would refuse names with an underscore in them, such as those of services in a container's
    // network.
    let Ok(parsed) = Name::from_ascii(name) else { return (Err(ErrorKind::InvalidInput), now + NOT_THERE_FOR) };
    match timeout(LONGEST, resolver.lookup_ip(parsed)).await {
        Ok(Ok(found)) => {
            let (least, most) = GOOD_FOR;
            let until = found.valid_until().clamp(now + least, now + most);
            let addresses: Arc<[IpAddr]> = found.iter().collect();
            (if addresses.is_empty() { Err(ErrorKind::NotFound) } else { Ok(addresses) }, until)
        }
        Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
            let lasts = none.negative_ttl.map_or(UNKNOWN_FOR, |seconds| Duration::from_secs(seconds.into()));
            (Err(ErrorKind::NotFound), now + lasts.clamp(UNKNOWN_FOR, NOT_THERE_FOR))
        }
        Ok(Err(_)) => (Err(ErrorKind::HostUnreachable), Instant::now() + UNKNOWN_FOR),
        Err(_) => (Err(ErrorKind::TimedOut), Instant::now() + UNKNOWN_FOR),
    }
}

fn keep(answers: &Mutex<HashMap<String, (Resolved, Instant)>>, name: String, found: Resolved, until: Instant) {
    let mut answers = lock(answers);
    if answers.len() >= MOST_KEPT {
        let now = Instant::now();
        answers.retain(|_, (_, until)| now < *until);
        if answers.len() >= MOST_KEPT {
            answers.clear();
        }
    }
    answers.insert(name, (found, until));
}

fn resolver((config, mut options): (ResolverConfig, ResolverOpts)) -> std::io::Result<TokioResolver> {
    options.timeout = options.timeout.min(OF_SERVER);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Ours knows what a name leads to; the resolver would ask the servers for the other kind of address all the same.
    options.use_hosts_file = ResolveHosts::Never;
    // Answers are kept here, each with all of its addresses.
    options.cache_size = 0;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(Error::other)
}

/// What is in a file; nothing if there is none.
fn read(file: &Path) -> String {
    std::fs::read(file).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The servers that a `/etc/resolv.conf` names; without any, the one on this machine.
fn read_servers(text: &str) -> (ResolverConfig, ResolverOpts) {
    let without_search = || {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(['s', 'd']));
        parse_resolv_conf(lines.collect::<Vec<_>>().join("\n"))
    };
    // A search list that cannot be read costs short names, and not all of them.
    let read = parse_resolv_conf(text).or_else(|_| without_search());
    read.unwrap_or_else(|_| (config(&[SocketAddr::from((Ipv4Addr::LOCALHOST, 53))]), ResolverOpts::default()))
}

fn config(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|server| {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        connections.iter_mut().for_each(|connection| connection.port = server.port());
        NameServerConfig::new(server.ip(), true, connections)
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}

/// The addresses of each name, in the order of the file.
fn read_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        for name in words {
            let addresses = hosts.entry(name.trim_end_matches('.').to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    hosts
}

/// Whether a name is this machine's whatever anybody says (RFC 6761).
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    /// Whose look-ups those of this task are. The client beneath has no other way to tell its resolver.
    static LANE: LookupLane;
}

/// The look-ups that one bot may have under way. A clone is the same.
#[derive(Clone, Debug)]
pub struct LookupLane(Arc<Semaphore>);

impl Default for LookupLane {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl LookupLane {
    /// Runs `call`, whose look-ups are of this lane.
    pub async fn scope<F: Future>(&self, call: F) -> F::Output {
        LANE.scope(self.clone(), call).await
    }
}

/// A way out whose look-ups are of one lane.
pub struct InLane {
    transport: Arc<dyn Transport>,
    lane: LookupLane,
}

impl InLane {
    /// The same way out, in this lane.
    pub fn new(transport: Arc<dyn Transport>, lane: LookupLane) -> Arc<Self> {
        Arc::new(Self { transport, lane })
    }
}

#[async_trait]
impl Transport for InLane {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        self.lane.scope(self.transport.call(call)).await
    }

    fn refuses(&self, url: &Url) -> Option<&'static str> {
        self.transport.refuses(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        read_servers(text).0.name_servers.iter().map(|server| server.ip.to_string()).collect()
    }

    #[test]
    fn servers_are_those_of_the_file_and_this_machine_if_there_are_none() {
        assert_eq!(servers("# hello\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(servers("search not..a..name\noptions ndots:5\nnameserver 192.0.2.1"), ["192.0.2.1"]);
        for none in ["", "search example.com", "nameserver nothing"] {
            assert_eq!(servers(none), ["127.0.0.1"], "{none}");
        }
        let (config, options) =
            read_servers("nameserver 192.0.2.1\nsearch a.example b.example\noptions ndots:5 timeout:1");
        assert_eq!((config.search.len(), options.ndots, options.timeout), (2, 5, Duration::from_secs(1)));
    }

    #[test]
    fn hosts_are_read_as_people_write_them() {
        let hosts = read_hosts(
            "\u{feff}127.0.0.1\tlocalhost my_service # a comment\n\n::1 localhost ip6-localhost\n\
             nonsense here\n192.0.2.7 Shop.Example. shop\n192.0.2.7 shop",
        );
        let of = |name: &str| hosts.get(name).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of("localhost"), Some(vec!["127.0.0.1".into(), "::1".into()]));
        assert_eq!(
            (of("my_service"), of("shop.example")),
            (Some(vec!["127.0.0.1".into()]), Some(vec!["192.0.2.7".into()]))
        );
        assert_eq!((of("shop"), of("here"), of("#")), (Some(vec!["192.0.2.7".into()]), None, None));
    }
}
