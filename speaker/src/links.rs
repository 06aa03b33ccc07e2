//! Which network interfaces addresses are announced on, and why not on the others (A13).
//!
//! Pure: netlink brings the facts (`netlink`), sockets are opened elsewhere (`ports`).

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use herald_beacon::LinkId;
use herald_l2::Mac;
use sha2::{Digest as _, Sha256};

/// Interfaces of other programs: pod ends, tunnels, virtual switches. A trailing `*` stands for any
/// end of the name.
pub(crate) const EXCLUDED: [&str; 22] = [
    "docker*",
    "cbr*",
    "dummy*",
    "virbr*",
    "lxcbr*",
    "veth*",
    "lo",
    "cali*",
    "tunl*",
    "flannel*",
    "kube-ipvs*",
    "cni*",
    "nodelocaldns*",
    "lxc*",
    "cilium_*",
    "ovn*",
    "br-int",
    "wg*",
    "tailscale*",
    "vxlan*",
    "geneve*",
    "nerdctl*",
];

/// One interface as the kernel describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub name: String,
    pub mac: Option<Mac>,
    pub ethernet: bool,
    pub loopback: bool,
    pub up: bool,
    pub carrier: bool,
    pub arp: bool,
    /// The bond, bridge or VRF it is a port of.
    pub controller: Option<u32>,
    /// Addresses with prefix lengths.
    pub addresses: Vec<(IpAddr, u8)>,
    /// A link-local address that passed duplicate address detection.
    pub link_local: Option<Ipv6Addr>,
    /// Next hops of routes through this interface.
    pub gateways: Vec<IpAddr>,
    /// Grows whenever the interface came up again.
    pub epoch: u64,
}

impl Link {
    /// What beacons call an interface of this name: the first four bytes of its SHA-256, and never 0.
    pub(crate) fn id(name: &str) -> LinkId {
        let digest = Sha256::digest(name.as_bytes());
        let first = digest.iter().take(4);
        first
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
            .max(1)
    }
}

/// Every interface, by index.
pub(crate) type Links = BTreeMap<u32, Link>;

/// Why nothing is announced on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotUsed {
    Loopback,
    Excluded { pattern: String },
    Down,
    NoCarrier,
    Port { of: String },
    NoArp,
    NotEthernet,
    NoSocket { error: String },
}

impl fmt::Display for NotUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => write!(f, "it is the loopback"),
            Self::Excluded { pattern } => {
                write!(f, "its name matches {pattern} of --exclude-interfaces")
            }
            Self::Down => write!(f, "it is down: bring it up with ip link set up"),
            Self::NoCarrier => write!(f, "it has no carrier: check cable and switch"),
            Self::Port { of } => write!(f, "it is a port of {of}, which is announced on instead"),
            Self::NoArp => write!(f, "it has the flag NOARP"),
            Self::NotEthernet => write!(f, "it is not Ethernet"),
            Self::NoSocket { error } => write!(f, "{error}"),
        }
    }
}

/// Whether addresses can be announced on an interface. What is nobody's mistake comes first.
pub(crate) fn qualify(index: u32, links: &Links, excluded: &[String]) -> Result<(), NotUsed> {
    let Some(link) = links.get(&index) else {
        return Err(NotUsed::Down);
    };
    if link.loopback {
        return Err(NotUsed::Loopback);
    }
    if let Some(pattern) = excluded.iter().find(|pattern| matches(pattern, &link.name)) {
        return Err(NotUsed::Excluded {
            pattern: pattern.clone(),
        });
    }
    if !link.ethernet || link.mac.is_none() {
        return Err(NotUsed::NotEthernet);
    }
    if let Some(controller) = link.controller {
        let of = links
            .get(&controller)
            .map_or_else(|| controller.to_string(), |l| l.name.clone());
        return Err(NotUsed::Port { of });
    }
    if !link.arp {
        return Err(NotUsed::NoArp);
    }
    if !link.up {
        return Err(NotUsed::Down);
    }
    if !link.carrier {
        return Err(NotUsed::NoCarrier);
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Carries epochs over from the view before: an interface that was away, down or without carrier
/// since (`interrupted` names those that were for a moment) starts a new one.
pub(crate) fn carry_epochs(
    before: &Links,
    after: &mut Links,
    interrupted: &std::collections::BTreeSet<u32>,
) {
    for (index, link) in after {
        let usable = link.up && link.carrier;
        link.epoch = match before.get(index) {
            Some(old) if old.name == link.name => {
                let was_usable = old.up && old.carrier && !interrupted.contains(index);
                if usable && !was_usable {
                    old.epoch + 1
                } else {
                    old.epoch
                }
            }
            Some(old) => old.epoch + 1,
            None => 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn link(name: &str) -> Link {
        Link {
            name: name.to_owned(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            ethernet: true,
            up: true,
            carrier: true,
            arp: true,
            ..Link::default()
        }
    }

    fn default_excludes() -> Vec<String> {
        EXCLUDED.map(str::to_owned).to_vec()
    }

    #[test]
    fn only_an_ethernet_interface_that_is_up_and_free_qualifies() {
        type Change = fn(&mut Link);
        let cases: [(Change, Result<(), NotUsed>); 9] = [
            (|_| {}, Ok(())),
            (|l| l.loopback = true, Err(NotUsed::Loopback)),
            (
                |l| l.name = "veth1234".to_owned(),
                Err(NotUsed::Excluded {
                    pattern: "veth*".to_owned(),
                }),
            ),
            (|l| l.ethernet = false, Err(NotUsed::NotEthernet)),
            (|l| l.mac = None, Err(NotUsed::NotEthernet)),
            (
                |l| l.controller = Some(3),
                Err(NotUsed::Port {
                    of: "bond0".to_owned(),
                }),
            ),
            (|l| l.arp = false, Err(NotUsed::NoArp)),
            (|l| l.up = false, Err(NotUsed::Down)),
            (|l| l.carrier = false, Err(NotUsed::NoCarrier)),
        ];
        for (change, expected) in cases {
            let mut changed = link("eth0");
            change(&mut changed);
            let links = Links::from([(2, changed), (3, link("bond0"))]);
            assert_eq!(qualify(2, &links, &default_excludes()), expected);
        }
    }

    #[test]
    fn an_exact_pattern_excludes_only_that_name() {
        assert!(matches("lo", "lo") && !matches("lo", "lowlatency0"));
        assert!(matches("veth*", "veth") && !matches("veth*", "eth0"));
    }

    #[test]
    fn an_epoch_starts_when_an_interface_comes_back() {
        let down = Link {
            carrier: false,
            ..link("eth0")
        };
        let cases = [
            ("new", Links::new(), link("eth0"), false, 1),
            (
                "unchanged",
                Links::from([(2, link("eth0"))]),
                link("eth0"),
                false,
                0,
            ),
            (
                "back from down",
                Links::from([(2, down.clone())]),
                link("eth0"),
                false,
                1,
            ),
            (
                "went down",
                Links::from([(2, link("eth0"))]),
                down,
                false,
                0,
            ),
            (
                "flapped unseen",
                Links::from([(2, link("eth0"))]),
                link("eth0"),
                true,
                1,
            ),
            (
                "another interface",
                Links::from([(2, link("eth1"))]),
                link("eth0"),
                false,
                1,
            ),
        ];
        for (what, before, after, flapped, epoch) in cases {
            let interrupted = if flapped {
                BTreeSet::from([2])
            } else {
                BTreeSet::new()
            };
            let mut after = Links::from([(2, after)]);
            carry_epochs(&before, &mut after, &interrupted);
            assert_eq!(after[&2].epoch, epoch, "{what}");
        }
    }
}
