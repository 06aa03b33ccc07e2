//! Whose connections are taken, and what the sockets that take them have to know. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use herald_bgp::Opening;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::routers::keys::Keys;
use crate::routers::order::{Dial, Order};

/// Everyone who may connect, by BGPPeer.
pub(in crate::routers) type Callers = BTreeMap<String, Caller>;

/// A router that may connect, and where its connections go.
#[derive(Debug, Clone)]
pub(in crate::routers) struct Caller {
    pub(super) dial: Dial,
    pub(super) calls: mpsc::Sender<TcpStream>,
}

impl Caller {
    /// None: the router is not to connect, or not as long as something stands in the way.
    pub(in crate::routers) fn of(order: &Order, calls: &mpsc::Sender<TcpStream>) -> Option<Self> {
        let awaited = match order.config.opening {
            Opening::Active => false,
            Opening::Both | Opening::Passive => order.obstacle.is_none(),
        };
        awaited.then(|| Self {
            dial: order.dial.clone(),
            calls: calls.clone(),
        })
    }
}

impl PartialEq for Caller {
    fn eq(&self, other: &Self) -> bool {
        self.dial == other.dial && self.calls.same_channel(&other.calls)
    }
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Realm {
    pub(super) ipv6: bool,
    /// The device of a VRF.
    pub(super) device: Option<String>,
}

impl Realm {
    pub(super) fn of(dial: &Dial) -> Self {
        Self {
            ipv6: dial.router.is_ipv6(),
            device: dial.device.clone(),
        }
    }

    /// Family and VRF.
    pub(super) fn label(&self) -> (&'static str, String) {
        let family = if self.ipv6 { "IPv6" } else { "IPv4" };
        (family, self.device.clone().unwrap_or_default())
    }
}

/// What a socket that listens has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// How segments are signed, by router.
    pub(super) keys: BTreeMap<IpAddr, Keys>,
    /// What no router's packets may arrive with less than (RFC 5082); 0 is anything.
    pub(super) least_ttl: u8,
}

/// The sockets that are wanted. Of two keys for one router that of the first peer counts.
pub(super) fn realms(callers: &Callers) -> BTreeMap<Realm, Terms> {
    let mut realms: BTreeMap<Realm, Terms> = BTreeMap::new();
    for Caller { dial, .. } in callers.values() {
        let least_ttl = dial.least_ttl.unwrap_or_default();
        let terms = realms.entry(Realm::of(dial)).or_insert_with(|| Terms {
            least_ttl,
            ..Terms::default()
        });
        terms.least_ttl = terms.least_ttl.min(least_ttl);
        if dial.keys != Keys::None {
            let keys = terms.keys.entry(dial.router);
            keys.or_insert_with(|| dial.keys.clone());
        }
    }
    realms
}

/// Who a connection from `remote` to `local` is for: a peer with that very `sourceAddress` before one with
/// none, and then the first by name.
pub(super) fn whose<'a>(
    callers: &'a Callers,
    realm: &Realm,
    remote: SocketAddr,
    local: IpAddr,
) -> Option<&'a Caller> {
    let matching = callers.values().filter(|Caller { dial, .. }| {
        Realm::of(dial) == *realm
            && is_from(dial, remote)
            && dial.source.is_none_or(|source| source == local)
    });
    // `min_by_key` gives the first of equals.
    matching.min_by_key(|caller| caller.dial.source.is_none())
}

/// A link-local address is that of its link alone.
fn is_from(dial: &Dial, remote: SocketAddr) -> bool {
    let scope = match remote {
        SocketAddr::V6(six) if six.ip().is_unicast_link_local() => six.scope_id(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => 0,
    };
    dial.router == remote.ip() && dial.zone.as_ref().map_or(0, |zone| zone.index) == scope
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;
    use crate::routers::place::Zone;

    fn caller(router: &str, source: Option<&str>, more: impl FnOnce(&mut Dial)) -> Caller {
        let mut dial = Dial {
            router: router.parse().unwrap(),
            zone: None,
            port: 179,
            source: source.map(|source| source.parse().unwrap()),
            device: None,
            ttl: 255,
            least_ttl: None,
            keys: Keys::None,
        };
        more(&mut dial);
        let calls = super::super::calls().0;
        Caller { dial, calls }
    }

    fn callers<const N: usize>(callers: [(&str, Caller); N]) -> Callers {
        callers
            .map(|(name, caller)| (name.to_owned(), caller))
            .into()
    }

    #[test]
    fn a_connection_is_for_the_peer_of_its_two_addresses_and_its_vrf() {
        let zone = |index| {
            let name = "eth7".to_owned();
            Some(Zone { index, name })
        };
        let red = |dial: &mut Dial| dial.device = Some("red".to_owned());
        let callers = callers([
            ("any", caller("192.0.2.1", None, |_| {})),
            ("exact", caller("192.0.2.1", Some("192.0.2.11"), |_| {})),
            ("red", caller("192.0.2.1", None, red)),
            ("second", caller("192.0.2.1", None, |_| {})),
            ("six", caller("2001:db8::1", None, |_| {})),
            ("link", caller("fe80::1", None, |dial| dial.zone = zone(7))),
        ]);
        let found = |device: Option<&str>, remote: &str, local: &str| {
            let remote: IpAddr = remote.parse().unwrap();
            let realm = Realm {
                ipv6: remote.is_ipv6(),
                device: device.map(str::to_owned),
            };
            let remote = SocketAddr::new(remote, 50_000);
            let found = whose(&callers, &realm, remote, local.parse().unwrap())?;
            let named = callers.iter().find(|(_, caller)| *caller == found);
            Some(named.unwrap().0.as_str())
        };
        assert_eq!(found(None, "192.0.2.1", "192.0.2.11"), Some("exact"));
        assert_eq!(found(None, "192.0.2.1", "192.0.2.12"), Some("any"));
        assert_eq!(found(Some("red"), "192.0.2.1", "192.0.2.12"), Some("red"));
        assert_eq!(found(Some("blue"), "192.0.2.1", "192.0.2.12"), None);
        assert_eq!(found(None, "192.0.2.2", "192.0.2.11"), None);
        assert_eq!(found(None, "2001:db8::1", "2001:db8::b"), Some("six"));

        let realm = Realm {
            ipv6: true,
            device: None,
        };
        let is_found = |scope| {
            let remote = SocketAddrV6::new("fe80::1".parse().unwrap(), 50_000, 0, scope);
            let local = "fe80::b".parse().unwrap();
            whose(&callers, &realm, remote.into(), local) == callers.get("link")
        };
        assert!(is_found(7) && !is_found(8));
    }

    #[test]
    fn a_socket_has_every_key_and_only_as_much_distance_as_its_farthest_router() {
        let locked = |key: &'static [u8], least| {
            move |dial: &mut Dial| {
                dial.keys = Keys::Md5(key.to_vec());
                dial.least_ttl = Some(least);
            }
        };
        let near = callers([
            ("a", caller("192.0.2.1", None, locked(b"one", 255))),
            ("b", caller("192.0.2.2", None, locked(b"two", 254))),
            ("c", caller("192.0.2.1", None, locked(b"other", 255))),
        ]);
        let wanted = realms(&near);
        let terms = wanted.values().next().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let keys = [
            (ip("192.0.2.1"), Keys::Md5(b"one".to_vec())),
            (ip("192.0.2.2"), Keys::Md5(b"two".to_vec())),
        ];
        assert_eq!((wanted.len(), terms.least_ttl), (1, 254));
        assert_eq!(terms.keys, keys.into());

        let far = callers([
            ("a", caller("192.0.2.1", None, locked(b"one", 255))),
            ("b", caller("192.0.2.3", None, |_| {})),
            ("c", caller("2001:db8::1", None, |_| {})),
        ]);
        let least: Vec<u8> = realms(&far).into_values().map(|t| t.least_ttl).collect();
        assert_eq!(least, [0, 0], "a socket for each family");
        assert!(realms(&Callers::new()).is_empty());
    }
}
