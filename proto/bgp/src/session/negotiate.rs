//! What is said in an OPEN, and what two OPENs come to.

use std::time::Duration;

use crate::codec::{Capability, GracefulFamily, NextHopFamily, Open};
use crate::{Asn, Config, Families, Family, Negotiated, Notification, RemoteAs, Role};

/// The OPEN of this speaker. `restarted`: it says that it comes back from a restart (RFC 4724).
/// `bare`: without capabilities, for a peer that knows none (RFC 5492 section 3).
pub(crate) fn propose(config: &Config, restarted: bool, bare: bool) -> Open {
    Open {
        short_as: config.local_as.two_octets(),
        hold_time: u16::try_from(config.hold_time.as_secs()).unwrap_or(u16::MAX),
        id: config.router_id,
        capabilities: if bare {
            Vec::new()
        } else {
            capabilities(config, restarted)
        },
    }
}

fn multiprotocol(families: Families) -> impl Iterator<Item = Capability> {
    families.iter().map(|family| Capability::Multiprotocol {
        afi: family.afi(),
        safi: 1,
    })
}

fn capabilities(config: &Config, restarted: bool) -> Vec<Capability> {
    let mut told: Vec<Capability> = multiprotocol(config.families).collect();
    told.push(Capability::RouteRefresh);
    if config.extended_next_hop && config.families.ipv4 {
        told.push(Capability::ExtendedNextHop(vec![NextHopFamily {
            afi: 1,
            safi: 1,
            next_hop: 2,
        }]));
    }
    if config.extended_messages {
        told.push(Capability::ExtendedMessages);
    }
    if let Some(role) = config.role {
        told.push(Capability::Role(role.role as u8));
    }
    if let Some(restart) = config.graceful_restart {
        told.push(Capability::GracefulRestart {
            restarting: restarted,
            notification: true,
            time: u16::try_from(restart.restart_time.as_secs())
                .unwrap_or(0xfff)
                .min(0xfff),
            // Forwarding is the kernel's and goes on without this speaker.
            families: config
                .families
                .iter()
                .map(|family| GracefulFamily {
                    afi: family.afi(),
                    safi: 1,
                    forwarding: true,
                })
                .collect(),
        });
    }
    told.push(Capability::FourOctetAs(config.local_as));
    told.push(Capability::EnhancedRefresh);
    told
}

/// What the peer's OPEN and that of [`propose`] come to.
///
/// # Errors
/// The NOTIFICATION that refuses the peer.
pub(crate) fn negotiate(
    config: &Config,
    bare: bool,
    open: &Open,
) -> Result<Negotiated, Notification> {
    let peer_as = open.asn();
    let internal = peer_as == config.local_as;
    let fits = match config.remote_as {
        RemoteAs::Exactly(asn) => asn == peer_as,
        RemoteAs::Internal => internal,
        RemoteAs::External => !internal,
    };
    if !fits {
        return Err(Notification::bad_peer_as());
    }
    if internal && open.id == config.router_id {
        return Err(Notification::bad_identifier());
    }
    let told = Told::of(open);
    let families = if bare {
        config.families.and(Families::only(Family::Ipv4))
    } else {
        config.families.and(told.families)
    };
    if families.is_empty() {
        let mut wanted = Vec::new();
        multiprotocol(config.families).for_each(|capability| capability.encode(&mut wanted));
        return Err(Notification::missing_capability(wanted));
    }
    let peer_role = if internal { None } else { role(config, &told)? };
    let hold_time = config
        .hold_time
        .min(Duration::from_secs(open.hold_time.into()));
    let third = hold_time / 3;
    let graceful = config.graceful_restart.is_some() && !bare && told.graceful;
    Ok(Negotiated {
        peer_as,
        peer_id: open.id,
        internal,
        hold_time,
        keepalive_time: config.keepalive_time.map_or(third, |time| time.min(third)),
        families,
        four_octet_as: !bare && told.wide,
        route_refresh: !bare && (told.has(2) || told.has(128)),
        enhanced_refresh: !bare && told.has(70),
        extended_messages: !bare && config.extended_messages && told.has(6),
        extended_next_hop: !bare && config.extended_next_hop && told.next_hop,
        end_of_rib: told.graceful,
        graceful_restart: graceful,
        peer_restarts: told.restarts,
        notification: graceful && told.notification,
        peer_role,
        peer_capabilities: told.codes,
    })
}

/// RFC 9234 section 4.2.
fn role(config: &Config, told: &Told) -> Result<Option<u8>, Notification> {
    let theirs = told.roles.first().copied();
    let Some(ours) = config.role else {
        return Ok(theirs);
    };
    let fitting = match ours.role {
        Role::Provider => Role::Customer,
        Role::Customer => Role::Provider,
        Role::RouteServer => Role::RouteServerClient,
        Role::RouteServerClient => Role::RouteServer,
        Role::Peer => Role::Peer,
    };
    let agreed = match theirs {
        None => !ours.strict,
        Some(_) => told.roles.iter().all(|role| *role == fitting as u8),
    };
    if agreed {
        Ok(theirs)
    } else {
        Err(Notification::role_mismatch())
    }
}

/// What a peer's capabilities say.
#[derive(Debug, Default)]
struct Told {
    families: Families,
    next_hop: bool,
    roles: Vec<u8>,
    graceful: bool,
    restarts: bool,
    notification: bool,
    wide: bool,
    codes: Vec<u8>,
}

impl Told {
    fn of(open: &Open) -> Self {
        let mut told = Self::default();
        let mut multiprotocol = false;
        for capability in &open.capabilities {
            told.codes.push(capability.code());
            match capability {
                Capability::Multiprotocol { afi, safi } => {
                    multiprotocol = true;
                    if let Some(family) = Family::of(*afi, *safi) {
                        told.families.insert(family);
                    }
                }
                Capability::ExtendedNextHop(families) => {
                    let wanted = NextHopFamily {
                        afi: 1,
                        safi: 1,
                        next_hop: 2,
                    };
                    told.next_hop |= families.contains(&wanted);
                }
                Capability::Role(role) => told.roles.push(*role),
                Capability::GracefulRestart {
                    notification,
                    families,
                    ..
                } => {
                    told.graceful = true;
                    told.notification |= notification;
                    told.restarts |= !families.is_empty();
                }
                Capability::FourOctetAs(Asn(_)) => told.wide = true,
                Capability::RouteRefresh
                | Capability::ExtendedMessages
                | Capability::EnhancedRefresh
                | Capability::Other { .. } => {}
            }
        }
        if !multiprotocol {
            // RFC 4760 section 8: a peer that names no family speaks IPv4.
            told.families = Families::only(Family::Ipv4);
        }
        told.codes.sort_unstable();
        told.codes.dedup();
        told
    }

    fn has(&self, code: u8) -> bool {
        self.codes.binary_search(&code).is_ok()
    }
}

#[cfg(test)]
mod tests;
