//! Where a router is, on this node and now: an address, and the link that a link-local one is on. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use herald_model::bgp::Target;

use crate::links::Links;

/// What is known of the router on each interface.
pub(super) type Found = BTreeMap<String, Seen>;

/// What is known of the router on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nobody was heard; why, for the operator.
    Nobody(String),
    /// This one was heard, first of all who are.
    Router {
        address: Ipv6Addr,
        /// Others that are heard.
        rivals: Vec<Ipv6Addr>,
    },
}

/// A link by its interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Zone {
    pub(super) index: u32,
    pub(super) name: String,
}

/// Where a router is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) router: IpAddr,
    /// The link that the address is on; none where the address says enough.
    pub(super) zone: Option<Zone>,
}

impl Place {
    /// Stands for a router that is not found.
    pub(super) const NOWHERE: Self = Self {
        router: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        zone: None,
    };

    /// A port of the router.
    pub(super) fn port(&self, port: u16) -> SocketAddr {
        self.socket_address(self.router, port)
    }

    /// An address of this node towards the router.
    pub(super) fn from(&self, source: IpAddr) -> SocketAddr {
        self.socket_address(source, 0)
    }

    /// Link-local addresses are those of the router's link.
    fn socket_address(&self, address: IpAddr, port: u16) -> SocketAddr {
        match (address, &self.zone) {
            (IpAddr::V6(six), Some(zone)) if six.is_unicast_link_local() => {
                SocketAddrV6::new(six, port, 0, zone.index).into()
            }
            (address, _) => SocketAddr::new(address, port),
        }
    }
}

/// As operators write it: `192.0.2.1`, `fe80::1%eth1`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}%{}", self.router, zone.name),
            None => write!(f, "{}", self.router),
        }
    }
}

/// Where the router of a peer is.
///
/// # Errors
/// Why nobody knows, for the operator.
pub(super) fn place(target: &Target, links: &Links, found: &Found) -> Result<Place, String> {
    let (address, interface) = match target {
        Target::Address(router) => {
            return Ok(Place {
                router: *router,
                zone: None,
            });
        }
        Target::LinkLocal { address, interface } => (*address, interface),
        Target::Interface(interface) => match found.get(interface) {
            Some(Seen::Router { address, .. }) => (*address, interface),
            Some(Seen::Nobody(why)) => return Err(why.clone()),
            None => return Err(format!("a router is looked for on {interface}")),
        },
    };
    let link = links.iter().find(|(_, link)| link.name == *interface);
    let (index, _) = link.ok_or_else(|| absent(interface))?;
    let zone = Zone {
        index: *index,
        name: interface.clone(),
    };
    Ok(Place {
        router: address.into(),
        zone: Some(zone),
    })
}

/// What makes it doubtful that the right router was found, for the operator.
pub(super) fn doubt(target: &Target, found: &Found) -> Option<String> {
    let Target::Interface(interface) = target else {
        return None;
    };
    match found.get(interface)? {
        Seen::Router { address, rivals } if !rivals.is_empty() => {
            let rivals: Vec<String> = rivals.iter().map(Ipv6Addr::to_string).collect();
            Some(format!(
                "{} sends router advertisements on {interface}, too, where the session is with {address}, \
                 which was heard first: an unnumbered session needs a link with one router, or a \
                 peerAddress",
                rivals.join(" and ")
            ))
        }
        Seen::Router { .. } | Seen::Nobody(_) => None,
    }
}

/// What is said where an interface is not there.
pub(super) fn absent(name: &str) -> String {
    format!(
        "this node has no interface {name}: correct it in the BGPPeer, or leave this node out by \
         nodeSelectors"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::Link;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn links() -> Links {
        let link = Link {
            name: "eth1".to_owned(),
            ..Link::default()
        };
        Links::from([(7, link)])
    }

    fn on(interface: &str) -> Target {
        Target::Interface(interface.to_owned())
    }

    #[test]
    fn a_link_local_address_goes_with_its_link() {
        let found = |seen| Found::from([("eth1".to_owned(), seen)]);
        let heard = found(Seen::Router {
            address: ROUTER,
            rivals: vec![],
        });
        let literal = Target::LinkLocal {
            address: ROUTER,
            interface: "eth1".to_owned(),
        };
        for target in [literal, on("eth1")] {
            let place = place(&target, &links(), &heard).unwrap();
            assert_eq!(place.to_string(), "fe80::1%eth1");
            let expected = SocketAddrV6::new(ROUTER, 179, 0, 7);
            assert_eq!(place.port(179), SocketAddr::V6(expected));
            let global: IpAddr = "2001:db8::1".parse().unwrap();
            assert_eq!(place.from(global), SocketAddr::new(global, 0));
            let gone = super::place(&target, &Links::new(), &heard).unwrap_err();
            assert!(gone.contains("no interface eth1"), "{gone}");
        }
        let plain = Target::Address("192.0.2.1".parse().unwrap());
        let place = place(&plain, &Links::new(), &Found::new()).unwrap();
        assert_eq!(place.to_string(), "192.0.2.1");

        let nobody = found(Seen::Nobody("nobody there".to_owned()));
        let why = super::place(&on("eth1"), &links(), &nobody).unwrap_err();
        assert_eq!(why, "nobody there");
        assert!(super::place(&on("eth1"), &links(), &Found::new()).is_err());
    }

    #[test]
    fn several_routers_on_a_link_are_named() {
        let found = |rivals| {
            let address = ROUTER;
            Found::from([("eth1".to_owned(), Seen::Router { address, rivals })])
        };
        assert_eq!(doubt(&on("eth1"), &found(vec![])), None);
        let other = "fe80::2".parse().unwrap();
        let words = doubt(&on("eth1"), &found(vec![other])).unwrap();
        assert!(
            words.contains("fe80::2") && words.contains("fe80::1"),
            "{words}"
        );
    }
}
