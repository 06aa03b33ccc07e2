//! Open sockets for every interface that qualifies, and a reason for every other.
//!
//! An interface that came up again gets new sockets. One that cannot be opened, for want of
//! CAP_NET_RAW for example, is reported like any other that is not used, and tried again with the
//! next change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use herald_l2::Interface;

use crate::io::Port;
use crate::links::{Link, Links, NotUsed, qualify};

/// Above this many groups on one interface, every multicast frame is taken instead (N4).
pub(crate) const GROUPS_PER_INTERFACE: usize = 4096;

#[derive(Debug)]
struct Open {
    port: Arc<Port>,
    epoch: u64,
    hears_all_groups: bool,
}

/// The sockets of this node.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    open: BTreeMap<u32, Open>,
    refused: BTreeMap<u32, String>,
    /// Interfaces that were announced on since they exist.
    served: BTreeSet<u32>,
    /// UDP port of copies of beacons.
    beacons: u16,
}

/// One interface and whether it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    pub link: Link,
    pub index: u32,
    pub used: Result<(), NotUsed>,
    /// It was announced on, and is down or without a carrier since.
    pub lost: bool,
}

impl Ports {
    /// None open yet.
    pub(crate) fn new(beacons: u16) -> Self {
        Self {
            beacons,
            ..Self::default()
        }
    }

    /// Opens and closes until what qualifies is open; says what became of every interface.
    pub(crate) fn update(&mut self, links: &Links, excluded: &[String]) -> Vec<Usage> {
        self.open.retain(|index, open| {
            links
                .get(index)
                .is_some_and(|link| link.epoch == open.epoch)
        });
        self.refused.retain(|index, _| links.contains_key(index));
        self.served.retain(|index| links.contains_key(index));
        links
            .iter()
            .map(|(index, link)| {
                let used = qualify(*index, links, excluded)
                    .and_then(|()| self.ensure_open(*index, link))
                    .inspect_err(|_| drop(self.open.remove(index)));
                if used.is_ok() {
                    self.served.insert(*index);
                }
                let down = matches!(used, Err(NotUsed::Down | NotUsed::NoCarrier));
                Usage {
                    lost: down && self.served.contains(index),
                    link: link.clone(),
                    index: *index,
                    used,
                }
            })
            .collect()
    }

    /// The open sockets, by interface index.
    pub(crate) fn sockets(&self) -> BTreeMap<u32, Arc<Port>> {
        self.open
            .iter()
            .map(|(index, open)| (*index, Arc::clone(&open.port)))
            .collect()
    }

    /// Makes an interface take every multicast frame. Logged once.
    pub(crate) fn hear_all_groups(&mut self, index: u32, name: &str) {
        let Some(open) = self.open.get_mut(&index) else {
            return;
        };
        if open.hears_all_groups {
            return;
        }
        open.hears_all_groups = true;
        match open.port.hear_all_groups() {
            Ok(()) => tracing::warn!(
                interface = name,
                "more than {GROUPS_PER_INTERFACE} solicited-node groups: taking every multicast \
                 frame; switches with MLD snooping need static entries"
            ),
            Err(error) => tracing::warn!(interface = name, %error, "all-multicast refused"),
        }
    }

    fn ensure_open(&mut self, index: u32, link: &Link) -> Result<(), NotUsed> {
        if self.open.contains_key(&index) {
            return Ok(());
        }
        match Port::open(&link.name, index, self.beacons) {
            Ok(port) => {
                self.refused.remove(&index);
                tracing::info!(interface = link.name, index, "announcing on this interface");
                let open = Open {
                    port: Arc::new(port),
                    epoch: link.epoch,
                    hears_all_groups: false,
                };
                self.open.insert(index, open);
                Ok(())
            }
            Err(error) => {
                let error = explain(&error);
                if self.refused.insert(index, error.clone()).as_ref() != Some(&error) {
                    tracing::error!(interface = link.name, "{error}");
                }
                Err(NotUsed::NoSocket { error })
            }
        }
    }
}

/// The interface as the station sees it; None without a hardware address.
pub(crate) fn interface(link: &Link) -> Option<Interface> {
    let mut gateways: Vec<_> = link.gateways.clone();
    let own: BTreeSet<_> = link.addresses.iter().map(|(address, _)| *address).collect();
    gateways.retain(|gateway| !own.contains(gateway));
    Some(Interface {
        name: link.name.clone(),
        mac: link.mac?,
        link_local: link.link_local,
        gateways,
        epoch: link.epoch,
    })
}

fn explain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "the speaker may not open packet sockets: add NET_RAW to its container's \
         securityContext.capabilities.add"
            .to_owned()
    } else {
        format!("no packet socket could be opened on it: {error}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_is_one_sentence_with_its_fix() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(explain(&error).contains("add NET_RAW"));
    }

    #[test]
    fn interfaces_that_do_not_qualify_are_listed_with_their_reason() {
        let lo = Link {
            name: "lo".to_owned(),
            loopback: true,
            up: true,
            ..Link::default()
        };
        let usages = Ports::default().update(&Links::from([(1, lo)]), &[]);
        assert_eq!(usages.len(), 1);
        assert_eq!(usages[0].used, Err(NotUsed::Loopback));
    }
}
