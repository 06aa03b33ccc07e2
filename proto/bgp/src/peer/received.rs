//! The prefixes a peer announces: known by name up to the limit, so that the count is exact, and
//! nothing else of them is kept (R9).
//!
//! What comes back of this speaker's own routes, or those of others of its AS, is no route of the
//! peer (RFC 4271 section 9, RFC 4456 section 8) and is not counted: FRR sends it all back.

use std::collections::BTreeSet;

use crate::codec::{Approach, Attribute, Update};
use crate::{Config, Families, Family, Notification, Prefix};

/// What the peer announces on this session.
#[derive(Debug, Default)]
pub(super) struct Received {
    ipv4: BTreeSet<Prefix>,
    ipv6: BTreeSet<Prefix>,
}

impl Received {
    /// Takes an UPDATE in.
    ///
    /// # Errors
    /// A family has more prefixes than its limit: the NOTIFICATION to end the session with.
    pub(super) fn take(&mut self, update: &Update, config: &Config) -> Result<(), Notification> {
        let limit = config.prefix_limit;
        let withdraws =
            update.approach == Some(Approach::TreatAsWithdraw) || returns(update, config);
        let gone = update.unreach.iter().flat_map(|part| &part.prefixes);
        for prefix in update.withdrawn.iter().chain(gone) {
            self.of(prefix.family()).remove(prefix);
        }
        let there = update.reach.iter().flat_map(|part| &part.prefixes);
        for prefix in update.announced.iter().chain(there) {
            let family = prefix.family();
            let held = self.of(family);
            if withdraws {
                held.remove(prefix);
                continue;
            }
            held.insert(*prefix);
            if u32::try_from(held.len()).is_ok_and(|count| count > limit) {
                return Err(Notification::maximum_prefixes(family, limit));
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn count(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// Families with a default route.
    pub(super) fn defaults(&self) -> Families {
        let default = |held: &BTreeSet<Prefix>| held.first().is_some_and(|p| p.is_default());
        Families {
            ipv4: default(&self.ipv4),
            ipv6: default(&self.ipv6),
        }
    }

    const fn of(&mut self, family: Family) -> &mut BTreeSet<Prefix> {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

/// The routes have been through this AS, or come from this speaker.
fn returns(update: &Update, config: &Config) -> bool {
    update.attributes.iter().any(|attribute| match attribute {
        Attribute::AsPath(segments) | Attribute::As4Path(segments) => segments
            .iter()
            .any(|segment| segment.path.contains(&config.local_as)),
        Attribute::OriginatorId(id) => *id == config.router_id,
        Attribute::Origin(_)
        | Attribute::NextHop(_)
        | Attribute::Med(_)
        | Attribute::LocalPref(_)
        | Attribute::AtomicAggregate
        | Attribute::Aggregator(_)
        | Attribute::Communities(_)
        | Attribute::ClusterList(_)
        | Attribute::ExtendedCommunities(_)
        | Attribute::As4Aggregator(_)
        | Attribute::LargeCommunities(_)
        | Attribute::OnlyToCustomer(_)
        | Attribute::Other { .. } => false,
    })
}
