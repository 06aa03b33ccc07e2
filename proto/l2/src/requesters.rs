//! Who asked for an address lately, so that a new owner can tell them (A12).
//!
//! Learned from broadcasts everybody hears; believed for nothing but "whom to tell". Bounded per
//! address and in total; the longest silent is forgotten first.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Mac;

/// Remembered per address.
const PER_ADDRESS: usize = 256;
/// Remembered in all.
const TOTAL: usize = 65_536;
/// Forgotten after.
const LIFETIME: Duration = Duration::from_secs(20 * 60);

/// Somebody who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requester {
    pub ip: IpAddr,
    pub mac: Mac,
    pub interface: u32,
}

#[derive(Debug, Clone, Copy)]
struct Memory {
    mac: Mac,
    interface: u32,
    seen: Instant,
}

/// The memory of one node.
#[derive(Debug, Default)]
pub(crate) struct Requesters {
    by_address: BTreeMap<IpAddr, BTreeMap<IpAddr, Memory>>,
    count: usize,
}

impl Requesters {
    /// `requester` asked for `address`.
    pub(crate) fn remember(&mut self, address: IpAddr, requester: Requester, now: Instant) {
        let memories = self.by_address.entry(address).or_default();
        let memory = Memory {
            mac: requester.mac,
            interface: requester.interface,
            seen: now,
        };
        if memories.insert(requester.ip, memory).is_some() {
            return;
        }
        self.count += 1;
        if memories.len() > PER_ADDRESS || self.count > TOTAL {
            self.forget_longest_silent(address);
        }
    }

    /// Who on `interface` asked for `address` within the lifetime.
    pub(crate) fn of(
        &self,
        address: IpAddr,
        interface: u32,
        now: Instant,
    ) -> impl Iterator<Item = Requester> {
        self.by_address
            .get(&address)
            .into_iter()
            .flatten()
            .filter(move |(_, memory)| {
                memory.interface == interface
                    && now.saturating_duration_since(memory.seen) < LIFETIME
            })
            .map(move |(ip, memory)| Requester {
                ip: *ip,
                mac: memory.mac,
                interface,
            })
    }

    /// Keeps only what concerns addresses that still exist.
    pub(crate) fn retain(&mut self, known: impl Fn(&IpAddr) -> bool) {
        self.by_address.retain(|address, _| known(address));
        self.count = self.by_address.values().map(BTreeMap::len).sum();
    }

    fn forget_longest_silent(&mut self, address: IpAddr) {
        let Some(memories) = self.by_address.get_mut(&address) else {
            return;
        };
        let oldest = memories
            .iter()
            .min_by_key(|(_, memory)| memory.seen)
            .map(|(ip, _)| *ip);
        if let Some(ip) = oldest {
            memories.remove(&ip);
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin for virtual time"
        )]
        Instant::now()
    }

    fn requester(n: u32) -> Requester {
        let [_, a, b, c] = n.to_be_bytes();
        Requester {
            ip: IpAddr::from([10, a, b, c]),
            mac: Mac([2, 0, 0, a, b, c]),
            interface: 1,
        }
    }

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn the_longest_silent_of_an_address_is_forgotten_first() {
        let t = clock();
        let mut memory = Requesters::default();
        for n in 0..300 {
            memory.remember(VIP, requester(n), t + Duration::from_millis(n.into()));
        }
        let known: Vec<_> = memory.of(VIP, 1, t + Duration::from_secs(1)).collect();
        assert_eq!(known.len(), PER_ADDRESS);
        assert!(!known.contains(&requester(43)) && known.contains(&requester(44)));
    }

    #[test]
    fn who_was_silent_for_twenty_minutes_or_sits_elsewhere_is_not_told() {
        let t = clock();
        let mut memory = Requesters::default();
        memory.remember(VIP, requester(1), t);
        assert_eq!(
            memory
                .of(VIP, 1, t + LIFETIME - Duration::from_secs(1))
                .count(),
            1
        );
        assert_eq!(memory.of(VIP, 1, t + LIFETIME).count(), 0);
        assert_eq!(memory.of(VIP, 2, t).count(), 0);
    }

    #[test]
    fn the_total_is_bounded_over_all_addresses() {
        let t = clock();
        let mut memory = Requesters::default();
        for address in 0..300_u32 {
            for n in 0..250 {
                memory.remember(IpAddr::from(address.to_be_bytes()), requester(n), t);
            }
        }
        assert!(memory.count <= TOTAL);
    }
}
