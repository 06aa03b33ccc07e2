//! What every measurement sets up: a Service of its own, its owner, and somebody who watches.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::asker::{Asked, Asker, Mac};
use crate::clock::Stopwatch;
use crate::lab::Lab;
use crate::neigh;
use crate::netns::Netns;
use crate::probe::fast::{FastProbe, Seen};
use crate::services::Wanted;
use crate::topology::NodeNumber;

/// The machine that asks by ARP, and the last octet of its first address.
const ASKER: (&str, u8) = ("asker", 60);
/// Another, for the other half of a parted LAN.
const FAR_ASKER: (&str, u8) = ("far-asker", 70);

/// The first of the addresses that are measured with, and how many there are.
const FIRST: u8 = 200;
const COUNT: usize = 40;

/// A Service under measurement.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) service: String,
    pub(super) address: Ipv4Addr,
    pub(super) owner: NodeNumber,
}

/// Which pods are behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Those of every node.
    AllPods,
    /// Those of one node that is not the owner, so that a dead owner's pods spoil nothing.
    PodsElsewhere,
}

impl Scene {
    /// Makes a Service with an address that was not used for as long as possible: one that moved just
    /// now may be held to its place.
    pub(super) fn set(lab: &Lab, number: usize, behind: Behind) -> Result<Self> {
        let address = address(number);
        let service = format!("measured-{number}");
        lab.serve(&Wanted::single(&service, "IPv4").at(address.into()))?;
        let owner = lab.settled_owner(&service, address.into())?;
        if behind == Behind::PodsElsewhere {
            let others = lab.topology.nodes.iter().map(|node| node.number);
            let elsewhere = others
                .filter(|node| *node != owner)
                .min()
                .context("the lab needs two nodes")?;
            lab.serve_from(&service, elsewhere)?;
            if lab.settled_owner(&service, address.into())? != owner {
                bail!("{address} moved when its pods were changed");
            }
        }
        Ok(Self {
            service,
            address,
            owner,
        })
    }

    /// Deletes it.
    pub(super) fn clear(&self, lab: &Lab) -> Result<()> {
        lab.delete_service(&self.service)
    }
}

/// The address a measurement of this number uses.
pub(super) fn address(number: usize) -> Ipv4Addr {
    let last = FIRST + u8::try_from(number % COUNT).unwrap_or_default();
    Ipv4Addr::new(10, 73, 0, last)
}

/// The link-layer address of a node on the LAN.
pub(super) fn mac(lab: &Lab, node: NodeNumber) -> Result<Mac> {
    let text = neigh::own_mac(&lab.node(node.0)?.machine)?;
    let octets: Vec<u8> = text
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect::<Result<_, _>>()?;
    Mac::try_from(octets.as_slice()).with_context(|| format!("{text} is no MAC address"))
}

/// The asker's machine.
pub(super) fn asker(lab: &mut Lab) -> Result<(Netns, Ipv4Addr)> {
    guest(lab, ASKER)
}

/// The other asker's machine.
pub(super) fn far_asker(lab: &mut Lab) -> Result<(Netns, Ipv4Addr)> {
    guest(lab, FAR_ASKER)
}

fn guest(lab: &mut Lab, (name, last): (&str, u8)) -> Result<(Netns, Ipv4Addr)> {
    let machine = lab.topology.guest(name, last)?;
    Ok((machine, Ipv4Addr::new(10, 73, 0, last)))
}

/// A client that is served and a machine that asks who serves, on one clock.
pub(super) struct Watchers {
    pub(super) watch: Stopwatch,
    probe: FastProbe,
    asker: Asker,
}

/// What they saw.
pub(super) struct Watched {
    pub(super) probes: Seen,
    pub(super) asked: Asked,
}

impl Watchers {
    /// Starts both, and waits until both are answered.
    pub(super) fn start(lab: &mut Lab, address: Ipv4Addr) -> Result<Self> {
        let (machine, name) = asker(lab)?;
        let watch = Stopwatch::start();
        let target = SocketAddr::new(IpAddr::V4(address), 80);
        let watchers = Self {
            watch,
            probe: FastProbe::start(&lab.topology.client, watch, target)?,
            asker: Asker::start(&machine, watch, name, &[address])?,
        };
        lab.wait(
            &format!("{address} is not answered"),
            Duration::from_secs(10),
            |_| Ok(watchers.served() && !watchers.answering().is_empty()),
        )?;
        Ok(watchers)
    }

    /// Whether the client is served at this moment.
    pub(super) fn served(&self) -> bool {
        self.probe.answered_within(MOMENT)
    }

    /// Who answers the asker at this moment.
    pub(super) fn answering(&self) -> std::collections::BTreeSet<Mac> {
        self.asker.answering(MOMENT)
    }

    /// How many datagrams the client has sent.
    pub(super) fn sent(&self) -> u64 {
        self.probe.sent()
    }

    /// Ends both.
    pub(super) fn finish(self) -> Result<Watched> {
        let probes = self.probe.finish()?;
        let asked = self.asker.finish()?;
        Ok(Watched { probes, asked })
    }
}

/// What counts as now, on a machine that may be busy.
const MOMENT: Duration = Duration::from_millis(100);

/// Waits for something that is to be seen from outside only.
pub(super) fn linger(time: Duration) {
    std::thread::sleep(time);
}
