//! Witness sets as they were written, as a finite system: why they are not built (ADR 10).
//!
//! Each node has a set of its own. A claim is accepted by a majority of the set of the recorded owner
//! (of the address's, when nobody owned it), and held up by a majority of the set of its author. So
//! those who hold up an owner need not be those whom the next candidate asks.

use stateright::{Model, Property};

use crate::lease::ONE_OWNER;

const NODES: usize = 5;
/// The set of an address that nobody owned, and of each node, as bits.
const OF_ADDRESS: u8 = 0b00111;
const OF_NODE: [u8; NODES] = [0b00111, 0b00111, 0b00111, 0b11100, 0b11100];
/// The nodes that claim, and the one that may restart.
const CANDIDATES: [u8; 2] = [0, 3];
const RESTARTING: u8 = 1;

/// One address, one epoch: who owns it, says a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Node {
    record: Option<u8>,
    /// Its record is its own claim, and it stands by it.
    stands: bool,
    /// It has started anew, and is quiet (R5) until a tick.
    restarts: u8,
    quiet: bool,
    /// Who recorded its claim at some time, as bits.
    accepted: u8,
    /// Who acknowledged it since the last tick, with the identical record, as bits.
    granted: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Every grant ends, every silence is long enough.
    Tick,
    /// A beacon and its acknowledgement: the candidate and the other.
    Round(u8, u8),
    Claim(u8),
    Restart,
}

#[derive(Debug, Clone)]
pub(crate) struct Sets {
    /// How often the one node may restart.
    pub(crate) restarts: u8,
}

fn majority(set: u8, some: u8) -> bool {
    (set & some).count_ones() > set.count_ones() / 2
}

fn owns(me: usize, node: &Node) -> bool {
    let own = 1 << me;
    node.stands
        && majority(OF_ADDRESS, node.accepted | own)
        && majority(OF_NODE[me], node.granted | own)
}

impl Model for Sets {
    type State = [Node; NODES];
    type Action = Step;

    fn init_states(&self) -> Vec<Self::State> {
        vec![[Node::default(); NODES]]
    }

    fn actions(&self, nodes: &Self::State, steps: &mut Vec<Step>) {
        steps.push(Step::Tick);
        for me in CANDIDATES {
            let node = nodes[usize::from(me)];
            if node.record.is_none() {
                steps.push(Step::Claim(me));
            }
            if node.stands {
                let peers = (0..NODES as u8).filter(|peer| *peer != me);
                steps.extend(peers.map(|peer| Step::Round(me, peer)));
            }
        }
        if nodes[usize::from(RESTARTING)].restarts < self.restarts {
            steps.push(Step::Restart);
        }
    }

    fn next_state(&self, before: &Self::State, step: Step) -> Option<Self::State> {
        let mut nodes = *before;
        match step {
            Step::Tick => {
                for node in &mut nodes {
                    node.granted = 0;
                    node.quiet = false;
                }
            }
            Step::Claim(me) => {
                let node = &mut nodes[usize::from(me)];
                node.record = Some(me);
                node.stands = true;
            }
            Step::Round(me, peer) => {
                let other = &mut nodes[usize::from(peer)];
                if other.quiet {
                    return None;
                }
                // Of one epoch, the first claim is recorded and stays.
                let record = *other.record.get_or_insert(me);
                if record == me {
                    nodes[usize::from(me)].accepted |= 1 << peer;
                    nodes[usize::from(me)].granted |= 1 << peer;
                }
            }
            Step::Restart => {
                let node = &mut nodes[usize::from(RESTARTING)];
                *node = Node {
                    restarts: node.restarts + 1,
                    quiet: true,
                    ..Node::default()
                };
            }
        }
        (nodes != *before).then_some(nodes)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_OWNER, |_, nodes: &Self::State| {
                let owners = nodes.iter().enumerate();
                owners.filter(|(me, node)| owns(*me, node)).count() <= 1
            }),
            Property::sometimes("an owner", |_, nodes: &Self::State| {
                nodes.iter().enumerate().any(|(me, node)| owns(me, node))
            }),
        ]
    }
}
