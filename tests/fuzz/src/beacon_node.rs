//! The door [`Node`]: datagrams of members and of anybody, what its shell says, and time.
//!
//! A script. First one octet: the policy (bits 0 and 1), and whether the members are more than vote
//! (bit 2). Then steps, by the octet modulo 16:
//!
//! ```text
//! 0, 1   a member proves its life: who, which life
//! 2–5    a beacon of a member: who, its life, fields as `beacon` reads them
//! 6      any body, sealed, of a member: who, its life, kind, flags, a long chunk
//! 7      an unsealed datagram: a long chunk
//! 8      a datagram that was heard before: which
//! 9      time: milliseconds u8
//! 10     time until the node has something to do
//! 11     the wish: a bit for each of four addresses, rank
//! 12     an address is handed over: which
//! 13     a view is adopted: by how much later, a bit for each of eight members more
//! 14     the LAN: a gateway answered, or somebody for an address; what holds the tie
//! 15     a copy, sealed, of a member: who, its life, link, count; the links of this node
//! ```
//!
//! Without a seal nothing changes. A majority means at least one other member that has proved its life:
//! before that nothing is owned but by the witness path. What is sent is sealed, fits, and ends; what is
//! remembered is no more than was said; the node never asks to be woken for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use herald_beacon::{
    Beacon, Body, Claim, Config, Discard, Entry, Event, Heard, LinkWord, MAX_DATAGRAM, Message,
    Node, NodeId, Policy, Tie, Time, Timers, View, Wish, decode, encode,
};

use crate::Script;
use crate::beacon_message::{headed, keys, sealed};

const ME: NodeId = 1;
const LIFE: u64 = 3;
/// Stands for what the node knows: its own vote, or the number of its newest beacon.
const KNOWN: u64 = 252;
const STEPS: usize = 100;
/// Members of the largest view, and so datagrams of one moment with room for answers.
const AT_ONCE: usize = 64;
const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];

struct Scene {
    node: Node,
    now: Time,
    view: View,
    heard: Vec<Vec<u8>>,
    /// Peers that answered a question of the node.
    proven: BTreeSet<NodeId>,
    /// Votes that anybody told.
    told: usize,
    seq: u64,
    /// The node's newest beacon.
    sent: u64,
    available: bool,
}

fn address(number: u8) -> IpAddr {
    let text = ADDRESSES[usize::from(number) % ADDRESSES.len()];
    text.parse().expect("an address")
}

/// Small numbers, zero, and the ends of what there is.
fn number(script: &mut Script<'_>) -> u64 {
    match script.u8() {
        255 => u64::MAX,
        254 => u64::MAX - 1,
        253 => script.u64(),
        small => small.into(),
    }
}

impl Scene {
    fn new(how: u8) -> Self {
        let policy = match how & 3 {
            0 => Policy::Available,
            1 => Policy::Witnessed,
            _ => Policy::Exclusive,
        };
        let members: BTreeSet<NodeId> = (1..=if how & 4 == 0 { 3 } else { 12 }).collect();
        let view = View {
            number: 5,
            voters: members.iter().copied().take(7).collect(),
            members,
        };
        let config = Config {
            cluster: 1,
            me: ME,
            life: LIFE,
            keys: keys(),
            timers: Timers::default(),
            policy,
        };
        let mut node = Node::new(config, Time::ZERO).expect("a sound configuration");
        let home = |id: u8| (id.into(), SocketAddr::from(([10, 0, 0, id], 7948)));
        node.set_peers(&(1..=20).map(home).collect());
        assert!(node.set_view(view.clone(), Time::ZERO));
        Self {
            node,
            now: Time::ZERO,
            view,
            heard: Vec::new(),
            proven: BTreeSet::new(),
            told: 0,
            seq: 0,
            sent: 0,
            available: policy != Policy::Exclusive,
        }
    }

    fn hear(&mut self, datagram: Vec<u8>) -> Result<(), Discard> {
        if let Ok(message) = decode(&datagram, &keys())
            && let Body::Beacon(beacon) = message.body
        {
            self.told += beacon.entries.len();
        }
        let heard = self.node.handle_datagram(&datagram, [9; 16], self.now);
        self.heard.push(datagram);
        heard
    }

    fn say(&mut self, from: NodeId, life: u64, body: Body) -> Result<(), Discard> {
        let message = Message {
            cluster: 1,
            from,
            to: ME,
            life,
            body,
        };
        self.hear(encode(&message, &keys()))
    }

    /// It is asked, and answers.
    fn prove(&mut self, from: NodeId, life: u64) {
        self.seq += 1;
        let hello = Beacon {
            seq: self.seq,
            view: self.view.number,
            ..Beacon::default()
        };
        let asked = self.say(from, life, Body::Beacon(hello)) == Err(Discard::Unproven);
        let mut nonce = None;
        self.poll(&mut |body| {
            if let Body::Challenge(asked) = body {
                nonce = Some(asked);
            }
        });
        if let Some(nonce) = nonce.filter(|_| asked)
            && self.say(from, life, Body::Answer(nonce)).is_ok()
        {
            self.proven.insert(from);
        }
    }

    /// Any claim, or the one the node itself votes for.
    fn claim(&self, address: IpAddr, script: &mut Script<'_>) -> Claim {
        match number(script) {
            KNOWN => self.node.record(address).unwrap_or_default(),
            epoch => Claim {
                epoch,
                owner: number(script),
                life: number(script),
            },
        }
    }

    fn beacon(&mut self, script: &mut Script<'_>) -> Beacon {
        let (bits, seqs) = (script.u8(), script.u8());
        self.seq += u64::from(seqs & 3);
        let version = number(script);
        let mut entries = Vec::new();
        for _ in 0..bits & 3 {
            let address = address(script.u8());
            entries.push(Entry {
                address,
                record: self.claim(address, script),
                released: if bits & 4 == 0 {
                    Claim::default()
                } else {
                    self.claim(address, script)
                },
            });
        }
        let mut heard = Vec::new();
        for _ in 0..bits >> 3 & 3 {
            let (node, life) = (number(script), number(script));
            let seq = match number(script) {
                KNOWN => self.sent,
                other => other,
            };
            heard.push(Heard { node, life, seq });
        }
        let link = LinkWord {
            mine: u32::from(script.u8() & 3),
            yours: u32::from(script.u8() & 3),
            others: bits & 0x20 != 0,
            gateway: seqs & 4 != 0,
            unheard: seqs & 8 != 0,
        };
        Beacon {
            quiet: bits & 0x40 != 0,
            settled: bits & 0x80 != 0,
            grant: Duration::from_millis(u64::from(seqs >> 4) * 20).min(Duration::from_millis(200)),
            seq: self.seq,
            view: match seqs & 0x0f {
                15 => self.view.number.saturating_add(1),
                14 => self.view.number.saturating_sub(1),
                _ => self.view.number,
            },
            table: version,
            base: if seqs & 4 == 0 { 0 } else { version.min(1) },
            complete: version,
            mirrored: number(script),
            heard,
            sounding: script.take(usize::from(seqs & 1)).to_vec(),
            links: vec![link],
            entries,
        }
    }

    /// Everything that wants out; what is said is sealed and fits.
    fn poll(&mut self, told: &mut dyn FnMut(Body)) {
        for count in 0.. {
            assert!(count < AT_ONCE, "datagrams without end");
            let Some(transmit) = self.node.poll_transmit(self.now) else {
                break;
            };
            assert!(transmit.bytes.len() <= MAX_DATAGRAM);
            let message = decode(&transmit.bytes, &keys()).expect("what is sent can be read");
            assert_eq!((message.from, message.life), (ME, LIFE));
            if let Body::Beacon(beacon) = &message.body {
                self.sent = beacon.seq;
            }
            told(message.body);
        }
        for count in 0.. {
            assert!(count < 8, "copies without end");
            let Some((_, bytes)) = self.node.poll_copy(self.now) else {
                break;
            };
            assert!(decode(&bytes, &keys()).is_ok());
        }
        while let Some(event) = self.node.poll_event() {
            if let Event::View(view) = event {
                assert!(view.number > self.view.number);
            }
        }
        let questions = std::iter::from_fn(|| self.node.poll_question());
        assert!(questions.count() <= 16);
        assert!(self.node.poll_timeout() > self.now, "woken for nothing");
    }

    fn assert_sound(&self) {
        for number in 0..4 {
            let Some(hold) = self.node.owns(address(number), self.now) else {
                continue;
            };
            assert!(hold.until > self.now && hold.until <= self.now + Duration::from_secs(2));
            assert!(self.available || !hold.degraded);
            assert!(
                hold.degraded || !self.proven.is_empty(),
                "owned by nobody's leave"
            );
        }
        let own = ADDRESSES.len();
        assert!(self.node.records().count() <= self.told + own);
    }
}

/// Plays the script.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let mut script = Script::new(octets);
    let mut scene = Scene::new(script.u8());
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        let now = scene.now;
        let who = |script: &mut Script<'_>| NodeId::from(script.u8() % 16);
        match step % 16 {
            0 | 1 => {
                let (from, life) = (who(&mut script), number(&mut script));
                scene.prove(from, life);
            }
            2..=5 => {
                let (from, life) = (who(&mut script), number(&mut script));
                let beacon = scene.beacon(&mut script);
                let _ = scene.say(from, life, Body::Beacon(beacon));
            }
            6 => {
                let (from, life) = (who(&mut script), number(&mut script));
                let (kind, flags) = (script.u8(), script.u8());
                let head = [1, from, ME, life].map(u64::to_be_bytes).concat();
                let rest = [&head[..], script.long_chunk()].concat();
                let whole = sealed(headed(kind, flags, &rest));
                if scene.hear(whole).is_ok() && kind == 3 {
                    scene.proven.insert(from);
                }
            }
            7 => {
                let before: Vec<_> = scene.node.records().collect();
                let datagram = script.long_chunk().to_vec();
                assert!(scene.hear(datagram).is_err());
                assert!(scene.node.records().eq(before));
            }
            8 => {
                let which = usize::from(script.u8());
                if let Some(datagram) = scene.heard.get(which).cloned() {
                    let _ = scene.hear(datagram);
                }
            }
            9 => scene.now += Duration::from_millis(script.u8().into()),
            10 => scene.now = scene.node.poll_timeout().max(now),
            11 => {
                let (bits, rank) = (script.u8(), u32::from(script.u8()));
                let wished = (0..4).filter(|at| bits >> at & 1 == 1);
                let wishes = wished.map(|at| (address(at), Wish { rank }));
                scene.node.set_wish(&wishes.collect(), now);
            }
            12 => scene.node.hand_over(address(script.u8()), now),
            13 => {
                let (later, bits) = (u64::from(script.u8() & 3), script.u8());
                let more = (0..8).filter(|at| bits >> at & 1 == 1);
                let members: BTreeSet<NodeId> =
                    [2].into_iter().chain(more.map(|at| at * 2 + 1)).collect();
                let view = View {
                    number: scene.view.number + later,
                    voters: members.iter().copied().take(7).collect(),
                    members,
                };
                if scene.node.set_view(view.clone(), now) {
                    scene.view = view;
                }
            }
            14 => {
                let bits = script.u8();
                if bits & 1 == 1 {
                    scene.node.note_gateway(now);
                }
                if bits & 2 == 2 {
                    scene.node.note_answer(address(bits >> 2), now);
                }
                let tie = Tie {
                    view: scene.view.number,
                    until: now + Duration::from_secs(1),
                };
                scene.node.set_tie((bits & 16 == 16).then_some(tie), now);
            }
            _ => {
                let links: BTreeMap<u32, bool> = [(1, true), (2, false)].into();
                scene.node.set_links(&links, now);
                let (from, life) = (who(&mut script), number(&mut script));
                let (link, count) = (u32::from(script.u8() & 3), number(&mut script));
                let copy = Message {
                    cluster: 1,
                    from,
                    to: 0,
                    life,
                    body: Body::Copy { link, count },
                };
                let _ = scene.node.handle_copy(&encode(&copy, &keys()), 1, now);
                scene.node.note_gateway_on(2, now);
                let _ = scene.node.unheard(now);
            }
        }
        scene.poll(&mut |_| {});
        scene.assert_sound();
    }
    let _ = (scene.node.live(scene.now), scene.node.quorum(scene.now));
    let _ = (
        scene.node.knocking(scene.now),
        scene.node.wants_tie(scene.now),
    );
}

/// Two members prove their lives and acknowledge claims; views, handovers, the witness path.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let known = 252;
    let wake = [9, 255, 9, 255, 0, 2, 1, 0, 3, 1, 11, 15, 0];
    // Agrees with the node about one address and has heard its newest beacon.
    let agrees = |who: u8, at: u8| [2, who, 1, 0x89, 0xa1, 1, at, known, 1, 3, known, 1, 1, 1, 0];
    let disagrees = [2, 2, 1, 0x89, 0xa1, 2, 0, 9, 2, 1, 1, 3, known, 0, 0, 2, 0];
    let round = |at: u8| [&agrees(2, at)[..], &agrees(3, at), &[9, 25]].concat();
    let owned: Vec<u8> = (0..14).flat_map(round).collect();
    let head = [0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    // Nobody but the gateway answers; the tie is broken.
    let asked: Vec<u8> = (0..20).flat_map(|_| [14, 17, 9, 60]).collect();
    let mut seeds = Vec::new();
    for policy in [0, 1, 2, 4, 6] {
        let begin = [&[policy][..], &wake].concat();
        let owner = [&begin[..], &owned].concat();
        seeds.push(
            [
                &begin[..],
                &[9, 255, 10, 10, 14, 1, 10, 10, 14, 17, 10, 9, 200, 14, 3],
            ]
            .concat(),
        );
        seeds.push(
            [
                &owner[..],
                &disagrees,
                &[9, 25],
                &round(0),
                &[12, 0],
                &round(1),
            ]
            .concat(),
        );
        seeds.push(
            [
                &owner[..],
                &[13, 1, 3],
                &round(0),
                &[15, 2, 1, 1, 1, 8, 3],
                &[11, 1, 2],
            ]
            .concat(),
        );
        seeds.push([&owner[..], &asked].concat());
        seeds.push([&begin[..], &[13, 1, 1], &owned, &asked].concat());
        seeds.push(
            [
                &begin[..],
                &[6, 2, 1, 4, 0, 0, 18],
                &head,
                &[7, 0, 4, 1, 2, 3, 4],
            ]
            .concat(),
        );
    }
    seeds
}
