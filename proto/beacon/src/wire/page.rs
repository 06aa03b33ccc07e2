//! The page of a beacon: votes, with each claim written once. A thousand addresses of a dead node
//! change hands by a few claims, and so in a few datagrams.
//!
//! ```text
//! claims × {epoch u64, owner u64, life u64} · entries × {record u8, released u8, length u8, address}
//! ```
//!
//! A claim is told by its place, from 1; 0 is none. There is one way to write a page: claims are in
//! the order of their first use, each once and none unused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::{Entry, Reader};
use crate::{Claim, Discard};

const CLAIM: usize = 24;
/// What an entry takes besides its address.
const ENTRY: usize = 3;

/// What is left of a datagram for a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Space {
    left: usize,
    entries: u8,
    claims: BTreeSet<Claim>,
}

impl Space {
    pub(crate) fn new(left: usize) -> Self {
        Self {
            left,
            ..Self::default()
        }
    }

    /// Takes the space for `entry`, if there is enough.
    pub(crate) fn take(&mut self, entry: &Entry) -> bool {
        let fresh: BTreeSet<Claim> = [entry.record, entry.released]
            .into_iter()
            .filter(|claim| *claim != Claim::default() && !self.claims.contains(claim))
            .collect();
        let octets = if entry.address.to_canonical().is_ipv4() {
            4
        } else {
            16
        };
        let needed = ENTRY + octets + fresh.len() * CLAIM;
        let claims = self.claims.len() + fresh.len();
        if needed > self.left || self.entries == u8::MAX || claims > usize::from(u8::MAX) {
            return false;
        }
        self.left -= needed;
        self.entries += 1;
        self.claims.extend(fresh);
        true
    }
}

/// The numbers of claims and entries, and the page.
pub(super) fn encode(entries: &[Entry]) -> (u8, u8, Vec<u8>) {
    let mut places = BTreeMap::from([(Claim::default(), 0u8)]);
    let (mut claims, mut body) = (Vec::new(), Vec::new());
    let mut place = |claim: Claim| {
        let next = u8::try_from(places.len()).unwrap_or(u8::MAX);
        *places.entry(claim).or_insert_with(|| {
            for field in [claim.epoch, claim.owner, claim.life] {
                claims.extend(field.to_be_bytes());
            }
            next
        })
    };
    for entry in entries {
        body.extend([place(entry.record), place(entry.released)]);
        match entry.address.to_canonical() {
            IpAddr::V4(address) => {
                body.push(4);
                body.extend(address.octets());
            }
            IpAddr::V6(address) => {
                body.push(16);
                body.extend(address.octets());
            }
        }
    }
    let count = u8::try_from(claims.len() / CLAIM).unwrap_or(u8::MAX);
    claims.extend(body);
    (
        count,
        u8::try_from(entries.len()).unwrap_or(u8::MAX),
        claims,
    )
}

impl Reader<'_> {
    pub(super) fn page(&mut self, claims: u8, entries: u8) -> Result<Vec<Entry>, Discard> {
        let mut known = vec![Claim::default()];
        let mut different = BTreeSet::from([Claim::default()]);
        for _ in 0..claims {
            let claim = Claim {
                epoch: self.u64()?,
                owner: self.u64()?,
                life: self.u64()?,
            };
            if !different.insert(claim) {
                return Err(Discard::Malformed);
            }
            known.push(claim);
        }
        let mut used = 0u8;
        let mut claim = |place: u8| {
            if place > used.saturating_add(1) {
                return Err(Discard::Malformed);
            }
            used = used.max(place);
            known
                .get(usize::from(place))
                .copied()
                .ok_or(Discard::Malformed)
        };
        let mut page = Vec::with_capacity(usize::from(entries));
        for _ in 0..entries {
            let [record, released, length] = self.array()?;
            let (record, released) = (claim(record)?, claim(released)?);
            let address = match length {
                4 => IpAddr::from(self.array::<4>()?),
                16 => {
                    let address = Ipv6Addr::from(self.array::<16>()?);
                    if address.to_ipv4_mapped().is_some() {
                        return Err(Discard::Malformed);
                    }
                    IpAddr::V6(address)
                }
                _ => return Err(Discard::Malformed),
            };
            page.push(Entry {
                address,
                record,
                released,
            });
        }
        if used == claims {
            Ok(page)
        } else {
            Err(Discard::Malformed)
        }
    }
}
