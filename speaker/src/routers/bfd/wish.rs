//! Whom to watch and how: the model's peer and profile in the words of BFD. Pure.

use std::net::{IpAddr, SocketAddr};

use herald_bfd::{Authentication, Config, Hops, Method, Origin};
use herald_model::bgp::{BfdAuthentication, BfdMethod, BfdProfile, Password, Peer, RemoteAs};
use ipnet::IpNet;

use crate::links::Links;
use crate::routers::place::Place;

/// A path to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::routers) struct Watch {
    pub(super) config: Config,
    pub(super) route: Route,
}

/// Where packets go. Another route is another session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) place: Place,
    pub(super) source: Option<SocketAddr>,
    /// The device of a VRF.
    pub(super) device: Option<String>,
    pub(super) multihop: bool,
}

impl Route {
    /// Where packets come from.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            address: self.place.router,
            interface: self.place.zone.as_ref().map(|zone| zone.index),
            multihop: self.multihop,
        }
    }
}

/// How a router is watched that is there; `password` is that of the profile, where it has one.
///
/// It is on the link unless `ebgpMultiHop` says otherwise, or it is of the same AS and no interface of
/// this node has its network, as FRR decides it.
///
/// # Errors
/// Why it cannot be: its password is not known, or does not fit.
pub(in crate::routers) fn watch(
    peer: &Peer,
    profile: &BfdProfile,
    place: Place,
    links: &Links,
    password: Option<&Result<Vec<u8>, String>>,
) -> Result<Watch, String> {
    let own_as = peer.local_asn.unwrap_or(peer.my_asn);
    let internal =
        matches!(peer.remote_as, RemoteAs::Internal) || peer.remote_as == RemoteAs::Exactly(own_as);
    let multihop = match (&place.zone, internal) {
        (Some(_), _) => false,
        (None, true) => !is_on_link(place.router, links),
        (None, false) => peer.dialing.multihop,
    };
    let BfdProfile {
        receive,
        transmit,
        multiplier,
        passive,
        minimum_ttl,
        echo,
        authentication,
    } = profile;
    // RFC 5883 section 3: who is further away would not be the one that sends them back.
    let echo = echo.filter(|_| !multihop);
    let authentication = match authentication {
        Some(wished) => Some(prove(wished, password)?),
        None => None,
    };
    let hops = if multihop {
        Hops::Multi {
            minimum_ttl: *minimum_ttl,
        }
    } else {
        Hops::Single
    };
    let source = peer.dialing.source.map(|source| place.from(source));
    Ok(Watch {
        config: Config {
            hops,
            transmit: *transmit,
            receive: *receive,
            multiplier: *multiplier,
            passive: *passive,
            echo,
            authentication,
            independent: false,
        },
        route: Route {
            place,
            source,
            device: peer.dialing.vrf.clone(),
            multihop,
        },
    })
}

fn prove(
    wished: &BfdAuthentication,
    password: Option<&Result<Vec<u8>, String>>,
) -> Result<Authentication, String> {
    let BfdAuthentication {
        method,
        key_id,
        password: Password { name, .. },
    } = wished;
    let method = match method {
        BfdMethod::Simple => Method::Simple,
        BfdMethod::KeyedMd5 => Method::KeyedMd5,
        BfdMethod::MeticulousMd5 => Method::MeticulousMd5,
        BfdMethod::KeyedSha1 => Method::KeyedSha1,
        BfdMethod::MeticulousSha1 => Method::MeticulousSha1,
    };
    let key = match password {
        Some(Ok(key)) => key.clone(),
        Some(Err(why)) => return Err(why.clone()),
        None => return Err(format!("Secret {name} is being read")),
    };
    let longest = method.longest_key();
    if key.len() > longest {
        return Err(format!(
            "password in Secret {name} has {} octets; this type of BFD authentication takes 1 to {longest}",
            key.len()
        ));
    }
    let id = *key_id;
    Ok(Authentication { method, id, key })
}

fn is_on_link(router: IpAddr, links: &Links) -> bool {
    let mut addresses = links.values().flat_map(|link| &link.addresses);
    addresses.any(|(address, length)| {
        IpNet::new(*address, *length).is_ok_and(|network| network.contains(&router))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use herald_model::bgp::{Dialing, Opening, Security, Target};

    use super::*;
    use crate::links::Link;
    use crate::routers::place::Zone;

    const PROFILE: BfdProfile = BfdProfile {
        receive: Duration::from_millis(50),
        transmit: Duration::from_millis(60),
        multiplier: 5,
        passive: true,
        minimum_ttl: 250,
        echo: Some(Duration::from_millis(70)),
        authentication: None,
    };

    fn at(router: &str) -> Place {
        Place {
            router: router.parse().unwrap(),
            zone: None,
        }
    }

    fn peer(router: &str, remote_as: RemoteAs, multihop: bool) -> Peer {
        Peer {
            name: "tor".to_owned(),
            node_selectors: Vec::new(),
            my_asn: 64_512,
            local_asn: None,
            remote_as,
            dialing: Dialing {
                target: Target::Address(router.parse().unwrap()),
                port: 179,
                opening: Opening::Active,
                source: None,
                vrf: Some("red".to_owned()),
                multihop,
            },
            security: Security::default(),
            hold_time: Duration::from_secs(90),
            keepalive_time: None,
            connect_time: Duration::from_secs(5),
            router_id: None,
            bfd_profile: Some("fast".to_owned()),
            bfd_strict: false,
            graceful_restart: false,
            drain_time: Duration::ZERO,
            dual_stack: false,
        }
    }

    fn links() -> Links {
        let link = Link {
            addresses: vec![("192.0.2.11".parse().unwrap(), 24)],
            ..Link::default()
        };
        Links::from([(2, link)])
    }

    #[test]
    fn a_profile_is_what_a_session_is_like() {
        let far = peer("192.0.2.1", RemoteAs::External, true);
        let watch = watch(&far, &PROFILE, at("192.0.2.1"), &links(), None).unwrap();
        let config = Config {
            hops: Hops::Multi { minimum_ttl: 250 },
            transmit: Duration::from_millis(60),
            receive: Duration::from_millis(50),
            multiplier: 5,
            passive: true,
            ..Config::default()
        };
        assert_eq!(watch.config, config);
        assert_eq!(watch.route.device.as_deref(), Some("red"));
    }

    #[test]
    fn a_router_is_on_the_link_or_further_away() {
        let same = RemoteAs::Exactly(64_512);
        let cases = [
            ("192.0.2.1", RemoteAs::External, false, false),
            ("198.51.100.1", RemoteAs::External, false, false),
            ("192.0.2.1", RemoteAs::External, true, true),
            ("192.0.2.1", RemoteAs::Internal, false, false),
            ("198.51.100.1", RemoteAs::Internal, false, true),
            ("192.0.2.1", same, false, false),
            ("198.51.100.1", same, false, true),
            ("2001:db8::1", same, false, true),
        ];
        for (router, remote_as, multihop, expected) in cases {
            let peer = peer(router, remote_as, multihop);
            let watch = watch(&peer, &PROFILE, at(router), &links(), None).unwrap();
            let route = watch.route;
            assert_eq!(route.multihop, expected, "{router} {remote_as:?}");
        }
    }

    /// RFC 5881 and 5883 section 3: echo is for one hop, whatever the family and the scope of the address.
    #[test]
    fn echo_is_for_routers_on_the_link() {
        let zone = || Zone {
            index: 7,
            name: "eth1".to_owned(),
        };
        let cases = [
            ("192.0.2.1", false, None, true),
            ("2001:db8::1", false, None, true),
            ("fe80::1", false, Some(zone()), true),
            ("192.0.2.1", true, None, false),
            ("2001:db8::1", true, None, false),
        ];
        for (router, multihop, zone, expected) in cases {
            let peer = peer(router, RemoteAs::External, multihop);
            let place = Place { zone, ..at(router) };
            let watch = watch(&peer, &PROFILE, place, &links(), None).unwrap();
            let echo = expected.then_some(Duration::from_millis(70));
            assert_eq!(watch.config.echo, echo, "{router} {multihop}");
            assert_eq!(watch.config.check(), Ok(()));
        }
    }

    /// Whatever its AS; its packets are told apart from those of the same address elsewhere.
    #[test]
    fn a_router_with_a_link_local_address_is_on_that_link() {
        for remote_as in [RemoteAs::Internal, RemoteAs::External] {
            let mut peer = peer("192.0.2.1", remote_as, false);
            peer.dialing.target = Target::Interface("eth1".to_owned());
            let zone = Zone {
                index: 7,
                name: "eth1".to_owned(),
            };
            let place = Place {
                zone: Some(zone),
                ..at("fe80::1")
            };
            let watch = watch(&peer, &PROFILE, place, &Links::new(), None).unwrap();
            assert_eq!(watch.config.hops, Hops::Single);
            let expected = Origin {
                address: "fe80::1".parse().unwrap(),
                interface: Some(7),
                multihop: false,
            };
            assert_eq!(watch.route.origin(), expected);
        }
    }

    /// A router is not watched without the proof that is asked for.
    #[test]
    fn a_profile_with_authentication_needs_its_password() {
        let profile = |method| BfdProfile {
            authentication: Some(BfdAuthentication {
                method,
                key_id: 7,
                password: Password {
                    namespace: None,
                    name: "bfd".to_owned(),
                },
            }),
            ..PROFILE
        };
        let near = peer("192.0.2.1", RemoteAs::External, false);
        let watch = |method, password: Option<Result<Vec<u8>, String>>| {
            let profile = profile(method);
            let place = at("192.0.2.1");
            watch(&near, &profile, place, &links(), password.as_ref())
        };
        let methods = [
            (BfdMethod::Simple, Method::Simple, 16),
            (BfdMethod::KeyedMd5, Method::KeyedMd5, 16),
            (BfdMethod::MeticulousMd5, Method::MeticulousMd5, 16),
            (BfdMethod::KeyedSha1, Method::KeyedSha1, 20),
            (BfdMethod::MeticulousSha1, Method::MeticulousSha1, 20),
        ];
        for (wished, method, longest) in methods {
            let key = vec![b'x'; longest];
            let config = watch(wished, Some(Ok(key.clone()))).unwrap().config;
            assert_eq!(config.check(), Ok(()));
            let expected = Authentication { method, id: 7, key };
            assert_eq!(config.authentication, Some(expected));
            let why = watch(wished, Some(Ok(vec![b'x'; longest + 1]))).unwrap_err();
            assert!(why.contains(&format!("takes 1 to {longest}")), "{why}");
        }
        let why = watch(BfdMethod::Simple, Some(Err("no Secret".to_owned()))).unwrap_err();
        assert_eq!(why, "no Secret");
        assert!(watch(BfdMethod::Simple, None).is_err());
    }
}
