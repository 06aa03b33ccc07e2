//! Membership in solicited-node groups, so that switches forward solicitations to us (N3, N4).
//!
//! Joining by a real IPv6 socket makes the kernel send MLD reports. One socket takes a limited
//! number of memberships (`net.core.optmem_max`), so they are spread over several.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;

use socket2::{Domain, Protocol, Socket, Type};

/// Memberships per socket: under the 365 that the smallest usual `optmem_max` (20 480) allows.
const PER_SOCKET: usize = 256;

/// A group on an interface, at one time the interface was up.
type Membership = (u32, u64, Ipv6Addr);

/// Everything this node has joined.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    joined: BTreeMap<Membership, usize>,
    sockets: Vec<(Socket, usize)>,
}

impl Groups {
    /// Joins and leaves until exactly `wanted` is joined. What cannot be joined is returned with
    /// its error and tried again the next time.
    pub(crate) fn set(
        &mut self,
        wanted: &std::collections::BTreeSet<Membership>,
    ) -> Vec<(Membership, io::Error)> {
        let gone: Vec<Membership> = self
            .joined
            .keys()
            .filter(|held| !wanted.contains(held))
            .copied()
            .collect();
        for membership in gone {
            self.leave(membership);
        }
        let mut failed = vec![];
        for membership in wanted {
            if !self.joined.contains_key(membership)
                && let Err(error) = self.join(*membership)
            {
                failed.push((*membership, error));
            }
        }
        failed
    }

    /// How many groups are joined, over all interfaces.
    pub(crate) fn count(&self) -> usize {
        self.joined.len()
    }

    fn join(&mut self, membership: Membership) -> io::Result<()> {
        let (interface, _, group) = membership;
        let slot = match self.sockets.iter().position(|(_, used)| *used < PER_SOCKET) {
            Some(slot) => slot,
            None => {
                let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
                self.sockets.push((socket, 0));
                self.sockets.len() - 1
            }
        };
        let (socket, used) = &mut self.sockets[slot];
        socket.join_multicast_v6(&group, interface)?;
        *used += 1;
        self.joined.insert(membership, slot);
        Ok(())
    }

    /// Leaving fails when the interface is gone, and with it the membership: that is as good.
    fn leave(&mut self, membership: Membership) {
        let (interface, _, group) = membership;
        if let Some(slot) = self.joined.remove(&membership)
            && let Some((socket, used)) = self.sockets.get_mut(slot)
        {
            let _ = socket.leave_multicast_v6(&group, interface);
            *used -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Index of the loopback interface in every network namespace.
    const LOOPBACK: u32 = 1;

    fn group(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, n)
    }

    #[test]
    fn memberships_beyond_one_sockets_limit_are_spread_and_given_back() {
        let mut groups = Groups::default();
        let wanted: BTreeSet<Membership> = (0..600).map(|n| (LOOPBACK, 1, group(n))).collect();
        assert!(groups.set(&wanted).is_empty());
        assert_eq!((groups.count(), groups.sockets.len()), (600, 3));
        assert!(groups.set(&BTreeSet::new()).is_empty());
        assert_eq!(groups.count(), 0);
        assert!(groups.sockets.iter().all(|(_, used)| *used == 0));
    }

    #[test]
    fn an_interface_that_does_not_exist_is_reported_and_the_others_are_joined() {
        let mut groups = Groups::default();
        let wanted = BTreeSet::from([(LOOPBACK, 1, group(1)), (9999, 1, group(2))]);
        let failed = groups.set(&wanted);
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].0, groups.count()), ((9999, 1, group(2)), 1));
    }
}
