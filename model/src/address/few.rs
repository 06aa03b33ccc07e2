//! A map from addresses to what is said of them, for the few of one Service.

use std::net::IpAddr;

/// Values by address, in the order of the addresses. Takes no more room than they do: a map of one
/// or two entries has room for eleven, and there is one for each Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FewAddresses<V>(Vec<(IpAddr, V)>);

impl<V> Default for FewAddresses<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> FewAddresses<V> {
    /// What is said of an address.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&V> {
        let place = self.place(address).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Says this of an address, and nothing else any more.
    pub fn insert(&mut self, address: IpAddr, value: V) {
        match self.place(address) {
            Ok(place) => {
                if let Some((_, before)) = self.0.get_mut(place) {
                    *before = value;
                }
            }
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (address, value));
            }
        }
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &V)> {
        self.0.iter().map(|(address, value)| (*address, value))
    }

    /// What is said of any address.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    fn place(&self, address: IpAddr) -> Result<usize, usize> {
        self.0
            .binary_search_by_key(&address, |(address, _)| *address)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_says_what_a_map_says(entries in prop::collection::vec((0..6_u32, 0..9_u8), 0..12)) {
            let (mut few, mut map) = (FewAddresses::default(), BTreeMap::new());
            for (number, value) in entries {
                let address = IpAddr::from(Ipv4Addr::from_bits(number));
                few.insert(address, value);
                map.insert(address, value);
                prop_assert_eq!(few.get(address), Some(&value));
            }
            let all = |number| IpAddr::from(Ipv4Addr::from_bits(number));
            prop_assert!((0..6).map(all).all(|address| few.get(address) == map.get(&address)));
            prop_assert!(few.iter().eq(map.iter().map(|(address, value)| (*address, value))));
            prop_assert!(few.values().eq(map.values()));
        }
    }
}
