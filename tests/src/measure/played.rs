//! The situations of a partition: what is done, and what is wished under each policy.
//!
//! One table, so that whoever changes what is wished finds it in one place. A situation names how many
//! nodes it is played with; `near` is the side of client, gateway and first asker, `far` the other one
//! where the LAN is parted, and the same where it is not.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::topology::NodeNumber;

/// What one side is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    /// The owner goes on, silent at most so long.
    Kept { silent: Duration },
    /// Another answers in the end, after at most so long.
    Taken { silent: Duration },
    /// One of them answers in the end, nobody for at most so long.
    Served { silent: Duration },
    /// Nobody answers.
    Nobody,
    /// Not promised.
    Anyhow,
}

impl Serving {
    pub(super) fn text(self) -> String {
        match self {
            Self::Kept { silent } => format!("the owner, silent <= {} ms", silent.as_millis()),
            Self::Taken { silent } => format!("another, silent <= {} ms", silent.as_millis()),
            Self::Served { silent } => format!("either, silent <= {} ms", silent.as_millis()),
            Self::Nobody => "nobody".to_owned(),
            Self::Anyhow => "anything".to_owned(),
        }
    }
}

/// What is wished of one situation under one policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) near: Serving,
    pub(super) far: Serving,
    /// Time in which one client is answered by two.
    pub(super) doubled: Option<Duration>,
    /// Time in which the sides are answered by different nodes.
    pub(super) doubled_anywhere: Option<Duration>,
    /// Time in which one client is answered by two after the situation's end.
    pub(super) doubled_after: Duration,
}

/// Who is on the far side of a LAN that is to part: with the far asker, these nodes.
type FarSide = fn(&Lab, NodeNumber) -> Vec<NodeNumber>;
/// Strikes or mends, given the owner.
type Act = fn(&mut Lab, NodeNumber) -> Result<()>;

/// One situation.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) nodes: u8,
    /// None where the LAN stays whole; the far asker is then not on another side.
    pub(super) far_side: Option<FarSide>,
    pub(super) strike: Act,
    pub(super) mend: Act,
    pub(super) available: Wish,
    pub(super) exclusive: Wish,
    /// With `--lease-witness`, where there are two nodes.
    pub(super) witnessed: Option<Wish>,
}

const ZERO: Option<Duration> = Some(Duration::ZERO);
/// A hiccup of a busy machine.
const UNNOTICED: Duration = Duration::from_millis(50);
/// Suspicion, a round, an answer.
const TAKEOVER: Duration = Duration::from_millis(300);
/// A pause of 350 ms after a lapse, and the answer of the gateway.
const RESUMED: Duration = Duration::from_millis(600);
/// Suspicion, three probes, 400 ms since the last beacon.
const WITNESSED: Duration = Duration::from_millis(600);
/// 300 ms since the last acknowledgement, and the API server's answers.
const LEASED: Duration = Duration::from_millis(1000);
/// Two that could not hear each other hear each other again.
const MERGED: Duration = Duration::from_millis(500);

const KEPT: Serving = Serving::Kept { silent: UNNOTICED };
const PAUSED: Serving = Serving::Kept { silent: RESUMED };
const TAKEN: Serving = Serving::Taken { silent: TAKEOVER };
const BY_LEASE: Serving = Serving::Served { silent: LEASED };
const BY_WITNESS: Serving = Serving::Taken { silent: WITNESSED };

/// One owner, wherever one looks, before and after.
const fn one(near: Serving, far: Serving) -> Wish {
    Wish {
        near,
        far,
        doubled: ZERO,
        doubled_anywhere: ZERO,
        doubled_after: Duration::ZERO,
    }
}

/// All situations.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "the owner is cut off",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| lab.topology.black_hole(&owner.ports()[0]),
        mend: mend_network,
        available: one(TAKEN, TAKEN),
        exclusive: one(TAKEN, TAKEN),
        witnessed: None,
    },
    Row {
        name: "the LAN parts, the gateway with the majority",
        nodes: 3,
        far_side: Some(|_, owner| vec![owner]),
        strike: cut_trunk,
        mend: mend_network,
        available: one(TAKEN, Serving::Nobody),
        exclusive: one(TAKEN, Serving::Nobody),
        witnessed: None,
    },
    Row {
        name: "the LAN parts, the gateway with the owner",
        nodes: 3,
        far_side: Some(others),
        strike: cut_trunk,
        mend: mend_network,
        available: Wish {
            doubled_anywhere: None,
            doubled_after: MERGED,
            ..one(PAUSED, Serving::Anyhow)
        },
        exclusive: one(Serving::Nobody, Serving::Anyhow),
        witnessed: None,
    },
    Row {
        name: "beacons are lost from the owner to one",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| lab.topology.deafen(owner, other(lab, owner)?),
        mend: mend_network,
        available: one(KEPT, KEPT),
        exclusive: one(KEPT, KEPT),
        witnessed: None,
    },
    Row {
        name: "beacons are lost from one to the owner",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| lab.topology.deafen(other(lab, owner)?, owner),
        mend: mend_network,
        available: one(KEPT, KEPT),
        exclusive: one(KEPT, KEPT),
        witnessed: None,
    },
    Row {
        name: "beacons are blocked, the LAN is fine",
        nodes: 3,
        far_side: None,
        strike: |lab, _| lab.topology.block_beacons(),
        mend: mend_network,
        available: one(PAUSED, PAUSED),
        exclusive: one(Serving::Nobody, Serving::Nobody),
        witnessed: None,
    },
    Row {
        name: "the majority dies, the owner with it",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| {
            let with = other(lab, owner)?;
            lab.kill(owner)?;
            lab.kill(with)
        },
        mend: revive_two,
        available: one(BY_WITNESS, BY_WITNESS),
        exclusive: one(Serving::Nobody, Serving::Nobody),
        witnessed: None,
    },
    Row {
        name: "the majority dies, the owner lives",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| {
            for node in others(lab, owner) {
                lab.kill(node)?;
            }
            Ok(())
        },
        mend: |lab, owner| {
            for node in others(lab, owner) {
                lab.revive(node)?;
            }
            mend_network(lab, owner)
        },
        available: one(PAUSED, PAUSED),
        exclusive: one(Serving::Nobody, Serving::Nobody),
        witnessed: None,
    },
    Row {
        name: "the owner pauses and wakes",
        nodes: 3,
        far_side: None,
        strike: |lab, owner| {
            lab.herald()?.speaker(owner)?.freeze(true);
            Ok(())
        },
        mend: |lab, owner| {
            lab.herald()?.speaker(owner)?.freeze(false);
            Ok(())
        },
        available: one(TAKEN, TAKEN),
        exclusive: one(TAKEN, TAKEN),
        witnessed: None,
    },
    Row {
        name: "of two nodes the owner dies",
        nodes: 2,
        far_side: None,
        strike: |lab, owner| lab.kill(owner),
        mend: |lab, owner| {
            lab.revive(owner)?;
            mend_network(lab, owner)
        },
        available: one(BY_WITNESS, BY_WITNESS),
        exclusive: one(Serving::Anyhow, Serving::Anyhow),
        witnessed: Some(one(
            Serving::Taken { silent: LEASED },
            Serving::Taken { silent: LEASED },
        )),
    },
    Row {
        name: "of two nodes the other one dies",
        nodes: 2,
        far_side: None,
        strike: |lab, owner| {
            let other = other(lab, owner)?;
            lab.kill(other)
        },
        mend: |lab, owner| {
            let other = other(lab, owner)?;
            lab.revive(other)?;
            mend_network(lab, owner)
        },
        available: one(PAUSED, PAUSED),
        exclusive: one(Serving::Anyhow, Serving::Anyhow),
        witnessed: Some(one(
            Serving::Kept { silent: LEASED },
            Serving::Kept { silent: LEASED },
        )),
    },
    Row {
        name: "between two nodes beacons are blocked, ARP passes",
        nodes: 2,
        far_side: None,
        strike: |lab, _| lab.topology.block_beacons(),
        mend: mend_network,
        available: one(PAUSED, PAUSED),
        exclusive: one(Serving::Anyhow, Serving::Anyhow),
        witnessed: Some(one(BY_LEASE, BY_LEASE)),
    },
    Row {
        name: "two nodes are isolated from each other alone",
        nodes: 2,
        far_side: None,
        strike: |lab, owner| {
            let ports = [owner, other(lab, owner)?].map(|node| node.name());
            lab.topology.isolate(&ports)
        },
        mend: mend_network,
        // Not to be seen by either: both answer the gateway.
        available: Wish {
            doubled: None,
            doubled_anywhere: None,
            doubled_after: MERGED,
            ..one(Serving::Anyhow, Serving::Anyhow)
        },
        exclusive: one(Serving::Anyhow, Serving::Anyhow),
        witnessed: Some(one(BY_LEASE, BY_LEASE)),
    },
];

fn others(lab: &Lab, owner: NodeNumber) -> Vec<NodeNumber> {
    let all = lab.topology.nodes.iter().map(|node| node.number);
    all.filter(|node| *node != owner).collect()
}

fn other(lab: &Lab, owner: NodeNumber) -> Result<NodeNumber> {
    others(lab, owner)
        .first()
        .copied()
        .context("the lab has one node only")
}

fn mend_network(lab: &mut Lab, _owner: NodeNumber) -> Result<()> {
    lab.topology.mend()
}

fn revive_two(lab: &mut Lab, owner: NodeNumber) -> Result<()> {
    let with = other(lab, owner)?;
    lab.revive(owner)?;
    lab.revive(with)?;
    mend_network(lab, owner)
}

/// Cuts the cable between the two halves of a LAN that is parted already.
fn cut_trunk(lab: &mut Lab, _owner: NodeNumber) -> Result<()> {
    lab.topology.trunk(false)
}
