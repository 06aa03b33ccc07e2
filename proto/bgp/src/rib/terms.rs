//! How routes look to one peer on one session: next hops and attributes (R1, R2).

use std::net::{IpAddr, Ipv6Addr};

use super::Route;
use super::queue::Told;
use crate::codec::{Attribute, Context, EMPTY, NextHop, Origin, Segment};
use crate::{Asn, Community, Config, Family, Local, Negotiated, Obstacle, Prefix, Role};

/// LOCAL_PREF where nothing else is wished for.
const LOCAL_PREF: u32 = 100;
/// Flags, type and two octets of length; AFI, SAFI, length of the next hop, reserved.
const REACH: usize = 4 + 5;

/// What a session agreed on, as far as routes are concerned.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) context: Context,
    /// The longest message.
    pub(crate) longest: usize,
    pub(crate) enhanced_refresh: bool,
    pub(crate) end_of_rib: bool,
    local_as: Asn,
    /// Routes are told to be for customers only (RFC 9234 section 5).
    marked: bool,
    local: Local,
}

impl Terms {
    pub(crate) const fn new(
        negotiated: &Negotiated,
        config: &Config,
        local: Local,
        longest: usize,
    ) -> Self {
        let downwards = match config.role {
            Some(ours) => matches!(ours.role, Role::Provider | Role::RouteServer | Role::Peer),
            None => false,
        };
        Self {
            context: Context {
                four_octet_as: negotiated.four_octet_as,
                internal: negotiated.internal,
                families: negotiated.families,
                extended_next_hop: negotiated.extended_next_hop,
            },
            longest,
            enhanced_refresh: negotiated.enhanced_refresh,
            end_of_rib: negotiated.end_of_rib,
            local_as: config.local_as,
            marked: downwards && !negotiated.internal,
            local,
        }
    }

    /// What stands in the way of telling `prefix`, if anything does.
    pub(crate) fn obstacle(&self, prefix: Prefix, told: &Told) -> Option<Obstacle> {
        let family = prefix.family();
        if !self.context.families.contains(family) {
            return Some(Obstacle::Family);
        }
        let Some(next_hop) = self.next_hop(family, &told.route) else {
            return Some(Obstacle::NextHop);
        };
        let least = self.overhead(told, next_hop) + crate::codec::size(prefix);
        (least > self.longest).then_some(Obstacle::TooLong)
    }

    /// The next hop of a route; none: no address fits.
    pub(crate) fn next_hop(&self, family: Family, route: &Route) -> Option<NextHop> {
        let local = &self.local;
        match (family, route.next_hop, local.session) {
            (Family::Ipv4, Some(IpAddr::V4(address)), _) => Some(NextHop::V4(address)),
            (Family::Ipv6, Some(IpAddr::V6(address)), _) => Some(NextHop::V6(address)),
            (Family::Ipv4, Some(IpAddr::V6(address)), _) => {
                let extended = self.context.extended_next_hop;
                extended.then_some(NextHop::V6(address))
            }
            (Family::Ipv6, Some(IpAddr::V4(_)), _) => None,
            (Family::Ipv4, None, IpAddr::V4(address)) => Some(NextHop::V4(address)),
            (Family::Ipv4, None, IpAddr::V6(session)) => {
                if self.context.extended_next_hop {
                    Some(self.pair(session))
                } else {
                    local.ipv4.map(NextHop::V4)
                }
            }
            (Family::Ipv6, None, IpAddr::V6(session)) => Some(self.pair(session)),
            (Family::Ipv6, None, IpAddr::V4(_)) => match (local.ipv6, local.link_local) {
                (Some(global), _) => Some(self.pair(global)),
                (None, link_local) => link_local.map(NextHop::V6),
            },
        }
    }

    /// RFC 2545 section 3: a global address, and the link-local one beside it where it is known; a
    /// link-local one alone where there is no other.
    fn pair(&self, address: Ipv6Addr) -> NextHop {
        let local = &self.local;
        let (global, link_local) = if address.is_unicast_link_local() {
            (local.ipv6, Some(address))
        } else {
            (Some(address), local.link_local)
        };
        match (global, link_local) {
            (Some(global), Some(link_local)) => NextHop::V6Pair(global, link_local),
            (Some(only), None) | (None, Some(only)) => NextHop::V6(only),
            (None, None) => NextHop::V6(address),
        }
    }

    /// The attributes, ascending, without MP_REACH_NLRI; NEXT_HOP where `next_hop` is IPv4.
    pub(crate) fn attributes(&self, told: &Told, next_hop: NextHop) -> Vec<Attribute> {
        let Told { route, leaving } = told;
        let internal = self.context.internal;
        let path = if internal {
            Vec::new()
        } else {
            let path = vec![self.local_as; 1 + usize::from(route.prepend)];
            vec![Segment { set: false, path }]
        };
        // RFC 6793 section 4.2.2: only where a number does not fit.
        let behind = !self.context.four_octet_as && self.local_as.is_wide() && !internal;
        let path4 = behind.then(|| Attribute::As4Path(path.clone()));
        let mut attributes = vec![Attribute::Origin(Origin::Igp), Attribute::AsPath(path)];
        if let NextHop::V4(address) = next_hop {
            attributes.push(Attribute::NextHop(address));
        }
        attributes.extend(route.med.map(Attribute::Med));
        if internal {
            // RFC 8326 section 4: the least preference while leaving.
            let wished = route.local_pref.unwrap_or(LOCAL_PREF);
            attributes.push(Attribute::LocalPref(if *leaving { 0 } else { wished }));
        }
        let mut communities: Vec<Community> = route.communities.iter().copied().collect();
        if *leaving && !route.communities.contains(&Community::GRACEFUL_SHUTDOWN) {
            communities.push(Community::GRACEFUL_SHUTDOWN);
            communities.sort_unstable();
        }
        if !communities.is_empty() {
            attributes.push(Attribute::Communities(communities));
        }
        if !route.extended_communities.is_empty() {
            let list = route.extended_communities.iter().copied().collect();
            attributes.push(Attribute::ExtendedCommunities(list));
        }
        attributes.extend(path4);
        if !route.large_communities.is_empty() {
            let list = route.large_communities.iter().copied().collect();
            attributes.push(Attribute::LargeCommunities(list));
        }
        let mark = Attribute::OnlyToCustomer(self.local_as);
        attributes.extend(self.marked.then_some(mark));
        attributes
    }

    /// Octets of an UPDATE that announces nothing with these attributes, or a few more.
    pub(crate) fn overhead(&self, told: &Told, next_hop: NextHop) -> usize {
        let Told { route, leaving } = told;
        let header = |octets: usize| if octets > 255 { 4 } else { 3 };
        let listed = |octets: usize| {
            if octets == 0 {
                0
            } else {
                header(octets) + octets
            }
        };
        let width = if self.context.four_octet_as { 4 } else { 2 };
        let hops = 1 + usize::from(route.prepend);
        // 256 numbers take a second segment.
        let path = |width: usize| {
            let segments = 2 * hops.div_ceil(255);
            header(segments + hops * width) + segments + hops * width
        };
        let path = match (self.context.internal, width) {
            (true, _) => 3,
            (false, 2) if self.local_as.is_wide() => path(2) + path(4),
            (false, width) => path(width),
        };
        let shutting = *leaving && !route.communities.contains(&Community::GRACEFUL_SHUTDOWN);
        let communities = route.communities.len() + usize::from(shutting);
        let next_hop = match next_hop {
            NextHop::V4(_) => 7,
            NextHop::V6(_) => REACH + 16,
            NextHop::V6Pair(..) => REACH + 32,
        };
        EMPTY
            + 4
            + path
            + next_hop
            + if self.marked { 7 } else { 0 }
            + if route.med.is_some() { 7 } else { 0 }
            + if self.context.internal { 7 } else { 0 }
            + listed(communities * 4)
            + listed(route.extended_communities.len() * 8)
            + listed(route.large_communities.len() * 12)
    }
}

#[cfg(test)]
mod tests;
