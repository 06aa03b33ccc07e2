//! What a script of `bgp_peer` can name: configurations, OPENs, UPDATEs, wishes, addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use herald_bgp::codec::{Capability, GracefulFamily, NextHopFamily, Open};
use herald_bgp::{
    Asn, BfdMode, Community, Config, GracefulRestart, Local, Opening, Prefix, RemoteAs, Role,
    RoleConfig, Route, Wish,
};

use crate::Script;
use crate::bgp_message::framed;

const US: Asn = Asn(64_512);
const THEM: Asn = Asn(64_513);
/// Prefixes of a family that the router may send.
pub(super) const LIMIT: u32 = 8;

pub(super) fn config(script: &mut Script<'_>) -> Config {
    let (one, two) = (script.u8(), script.u8());
    let remote = match one & 3 {
        0 | 1 => RemoteAs::Exactly(THEM),
        2 => RemoteAs::Internal,
        _ => RemoteAs::External,
    };
    let mut config = Config::new(US, remote, Ipv4Addr::new(10, 0, 0, 1));
    config.opening = match one >> 2 & 3 {
        0 => Opening::Active,
        1 => Opening::Passive,
        _ => Opening::Both,
    };
    config.extended_messages = one & 0x10 != 0;
    config.graceful_restart = (one & 0x20 != 0).then_some(GracefulRestart {
        restart_time: Duration::from_secs(120),
    });
    config.role = (one & 0x40 != 0 && remote != RemoteAs::Internal).then_some(RoleConfig {
        role: Role::Customer,
        strict: two & 8 != 0,
    });
    config.extended_next_hop = one & 0x80 != 0;
    config.bfd = match two & 3 {
        0 | 1 => BfdMode::Off,
        2 => BfdMode::Watch,
        _ => BfdMode::Strict,
    };
    config.hold_time = Duration::from_secs([90, 0, 3, 65_535][usize::from(two >> 4 & 3)]);
    config.prefix_limit = LIMIT;
    config
}

pub(super) fn open(bits: u16, hold_time: u16) -> Vec<u8> {
    let has = |bit: u16| bits >> bit & 1 == 1;
    let asn = if has(0) { US } else { THEM };
    let family = |afi| Capability::Multiprotocol { afi, safi: 1 };
    let graceful = GracefulFamily {
        afi: 1,
        safi: 1,
        forwarding: has(10),
    };
    let told = [
        (1, family(1)),
        (2, family(2)),
        (3, Capability::RouteRefresh),
        (4, Capability::EnhancedRefresh),
        (5, Capability::ExtendedMessages),
        (6, Capability::FourOctetAs(asn)),
        (
            7,
            Capability::ExtendedNextHop(vec![NextHopFamily {
                afi: 1,
                safi: 1,
                next_hop: 2,
            }]),
        ),
        (8, Capability::Role(if has(9) { 0 } else { 4 })),
        (
            11,
            Capability::GracefulRestart {
                restarting: has(12),
                notification: has(13),
                time: 60,
                families: if has(14) { vec![graceful] } else { vec![] },
            },
        ),
    ];
    let open = Open {
        short_as: asn.two_octets(),
        hold_time,
        id: Ipv4Addr::new(10, 0, 0, if has(15) { 254 } else { 0 }),
        capabilities: told
            .into_iter()
            .filter(|(bit, _)| has(*bit))
            .map(|(_, capability)| capability)
            .collect(),
    };
    let mut octets = Vec::new();
    open.encode(&mut octets).expect("a handful fits");
    octets
}

/// ORIGIN, AS_PATH of the router, NEXT_HOP, and prefixes of 32 bits.
pub(super) fn announce(first: u8, count: u8) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 20, 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1];
    body.extend(THEM.0.to_be_bytes());
    body.extend([0x40, 3, 4, 10, 0, 0, 254]);
    body.extend((0..count).flat_map(|at| [32, 192, 0, 2, first.wrapping_add(at)]));
    framed(2, &body)
}

pub(super) fn wish(count: u8, look: u8) -> Arc<Wish> {
    let route = |at: u8| Route {
        med: (look & 1 == 1).then_some(at.into()),
        prepend: look >> 4,
        communities: (0..look & 0x0e)
            .map(|n| Community(u32::from(n) << 16 | u32::from(at & 3)))
            .collect(),
        ..Route::default()
    };
    let prefix = |at: u8| {
        let address: IpAddr = if at & 1 == 0 {
            Ipv4Addr::new(198, 51, 100, at).into()
        } else {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, at.into()).into()
        };
        Prefix::host(address)
    };
    let routes = (0..count).map(|at| (prefix(at), Arc::new(route(at))));
    Arc::new(routes.collect())
}

pub(super) fn local(how: u8) -> Local {
    let session: IpAddr = if how & 2 == 0 {
        Ipv4Addr::new(10, 0, 0, 1).into()
    } else {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).into()
    };
    Local {
        ipv4: (how & 4 != 0).then_some(Ipv4Addr::new(10, 0, 0, 1)),
        ipv6: (how & 8 != 0).then_some(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        ..Local::of(session)
    }
}
