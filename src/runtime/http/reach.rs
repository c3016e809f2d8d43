//! Which addresses are out in the public: for calls whose address somebody else has chosen.
//!
//! Whoever can have us call an address of their choosing could reach what only we can: this machine, the network that
//! it stands in, the cloud's metadata service. So a name is judged by what it leads to at the moment of the connection,
//! and a literal address by its value, however it is written.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Where names lead to.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name.
    ///
    /// # Errors
    /// When it has none.
    async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>>;
}

/// Resolves names to wherever they lead.
pub(super) struct Anywhere(pub(super) Arc<dyn Lookup>);

impl Resolve for Anywhere {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.0);
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// Resolves names, but never to an address that is not public.
pub(super) struct PublicOnly(pub(super) Arc<dyn Lookup>);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.0);
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let public: Vec<_> =
                found.into_iter().filter(|ip| is_public(*ip)).map(|ip| SocketAddr::new(ip, 0)).collect();
            if public.is_empty() {
                return Err(Error::from(ErrorKind::PermissionDenied).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether a call that is for the public alone may go to `url`: https, without credentials, and no literal address that
/// is not public. What a name leads to is seen when it is looked up.
pub fn may_be_public(url: &Url) -> bool {
    let literal = match url.host() {
        // However it was written: decimal, octal, hexadecimal and shortened forms are all one to the parser.
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return false,
    };
    url.scheme() == "https" && !super::holds_credentials(url) && literal.is_none_or(is_public)
}

/// Whether a name is one of this machine's or its network's by its look alone: without a dot, or below a domain that no
/// public server answers for. What any other leads to is seen when it is looked up.
pub fn is_local_name(name: &str) -> bool {
    const LOCAL: [&str; 8] =
        [".localhost", ".local", ".localdomain", ".internal", ".intranet", ".lan", ".home.arpa", ".invalid"];
    let name = name.trim_end_matches('.');
    !name.contains('.') || LOCAL.iter().any(|local| name.ends_with(local))
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match (a, b, c) {
        // This network; loopback; private; multicast, and what is reserved above it.
        (0 | 10 | 127 | 224.., ..) => true,
        // Shared by carriers' NAT; link-local, where clouds keep their metadata.
        (100, 64..=127, _) | (169, 254, _) => true,
        (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments; the old 6to4 relays; documentation and benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Global unicast; what lies inside it and leads to, or carries, other addresses is not.
    let [a, b, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&a);
    let reserved = match (a, b) {
        // Teredo, ORCHID, benchmarks and the rest of the protocol assignments; documentation.
        (0x2001, 0..=0x01ff | 0x0db8) => true,
        // 6to4, which carries an IPv4 address.
        (0x2002, _) => true,
        // Documentation.
        (0x3fff, 0..=0x0fff) => true,
        _ => false,
    };
    global && !reserved
}
