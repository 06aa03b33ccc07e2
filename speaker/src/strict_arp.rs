//! Does the kernel of this node answer ARP for a service address, too? (A14)
//!
//! kube-proxy in IPVS mode puts service addresses on `kube-ipvs0`; then every node's kernel answers
//! unless `arp_ignore` forbids it. The effective setting is the larger of `all` and the interface's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::links::Links;

/// An address that kernel and speaker would both answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub address: Ipv4Addr,
    /// Where the address is configured.
    pub holder: String,
    /// Whether that is an interface it is announced on: then it is the node's, and no arp_ignore helps.
    pub own: bool,
    /// Where the kernel answers.
    pub interface: String,
    /// The effective `arp_ignore` there.
    pub arp_ignore: u8,
}

impl std::fmt::Display for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            address,
            holder,
            own,
            interface,
            arp_ignore,
        } = self;
        write!(
            f,
            "{address} is configured on {holder} and the kernel answers ARP for it on {interface} \
             (arp_ignore {arp_ignore}): "
        )?;
        match own {
            true => write!(
                f,
                "it is the node's own; request another address for the Service, or give the node \
                 another one"
            ),
            false => write!(
                f,
                "set strictARP in kube-proxy's configuration, or sysctl \
                 net.ipv4.conf.all.arp_ignore=1, or take the address off {holder}"
            ),
        }
    }
}

/// The first conflict of every service address (with the names of the interfaces it is announced
/// on). `arp_ignore` tells the effective setting of an interface by name.
pub(crate) fn answered_by_kernel<'a>(
    announced: impl Iterator<Item = (&'a IpAddr, &'a std::collections::BTreeSet<String>)>,
    links: &Links,
    arp_ignore: impl Fn(&str) -> Option<u8>,
) -> Vec<Answered> {
    let holders: BTreeMap<IpAddr, &str> = links
        .values()
        .flat_map(|link| {
            link.addresses
                .iter()
                .map(|(ip, _)| (*ip, link.name.as_str()))
        })
        .collect();
    announced
        .filter_map(|(address, interfaces)| {
            let IpAddr::V4(ip) = *address else {
                return None;
            };
            let holder = holders.get(address)?;
            let own = interfaces.contains(*holder);
            interfaces.iter().find_map(|interface| {
                let arp_ignore = arp_ignore(interface)?;
                let answers = answers(arp_ignore) || own && arp_ignore < NEVER;
                answers.then(|| Answered {
                    address: ip,
                    holder: (*holder).to_owned(),
                    own,
                    interface: interface.clone(),
                    arp_ignore,
                })
            })
        })
        .collect()
}

/// The `arp_ignore` with which a kernel answers for no address at all.
const NEVER: u8 = 8;

/// Whether a kernel with this `arp_ignore` answers for an address of another interface.
fn answers(arp_ignore: u8) -> bool {
    matches!(arp_ignore, 0 | 3)
}

/// The effective `arp_ignore` of an interface of this host; None when it cannot be read.
pub(crate) fn effective_arp_ignore(interface: &str) -> Option<u8> {
    let read = |name: &str| -> Option<u8> {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(read("all")?.max(read(interface)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::links::Link;

    #[test]
    fn only_a_local_address_with_arp_ignore_0_or_3_is_answered_by_the_kernel() {
        let vip: IpAddr = IpAddr::from([192, 0, 2, 1]);
        let ipvs = |addresses| {
            Links::from([(
                9,
                Link {
                    name: "kube-ipvs0".to_owned(),
                    addresses,
                    ..Link::default()
                },
            )])
        };
        let eth0 = BTreeSet::from(["eth0".to_owned()]);
        let found = |links: &Links, setting| {
            answered_by_kernel([(&vip, &eth0)].into_iter(), links, |_| Some(setting)).len()
        };
        let here = ipvs(vec![(vip, 32)]);
        for (setting, expected) in [(0, 1), (1, 0), (2, 0), (3, 1), (8, 0)] {
            assert_eq!(found(&here, setting), expected, "arp_ignore {setting}");
        }
        assert_eq!(found(&ipvs(vec![]), 0), 0, "the address is not local");
    }

    #[test]
    fn for_an_address_of_the_interface_itself_no_arp_ignore_helps_and_strict_arp_is_not_advised() {
        let vip: IpAddr = IpAddr::from([192, 0, 2, 1]);
        let eth0 = BTreeSet::from(["eth0".to_owned()]);
        let link = Link {
            name: "eth0".to_owned(),
            addresses: vec![(vip, 24)],
            ..Link::default()
        };
        let links = Links::from([(2, link)]);
        for (setting, expected) in [(0, 1), (1, 1), (2, 1), (8, 0)] {
            let found = answered_by_kernel([(&vip, &eth0)].into_iter(), &links, |_| Some(setting));
            assert_eq!(found.len(), expected, "arp_ignore {setting}");
            for one in found {
                assert!(one.to_string().ends_with(
                    "it is the node's own; request another address for the Service, or give the \
                     node another one"
                ));
            }
        }
    }
}
