//! The datagrams between speakers: codec only. All numbers are in network byte order.
//!
//! ```text
//! magic u32 · version u8 · kind u8 · flags u8 · key u8 · cluster u64 · from u64 · to u64 · life u64
//! beacon:    grant u32 µs · seq u64 · view u64 · table u64 · base u64 · complete u64 · mirrored u64
//!            · peers u8 · links u8 · bits u8 · claims u8 · entries u8
//!            · peers × {node u64, life u64, seq u64} · links × {mine u32, yours u32, flags u8}
//!            · bits × u8 · page
//! challenge, answer:  nonce, 16 bytes
//! view:      number u64 · members u8 · members × node u64, ascending · a bit for each that votes
//! copy:      link u32 · count u64, to 0
//! tag, 16 bytes
//! ```

mod page;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) use page::Space;

use crate::seal::TAG;
use crate::{
    Claim, Discard, Keys, LONGEST_GRANT, Life, LinkId, LinkWord, MAX_MEMBERS, MAX_VOTERS, NodeId,
    View,
};

/// The longest datagram: fits an Ethernet frame with room for a tunnel.
pub const MAX_DATAGRAM: usize = 1200;

const MAGIC: u32 = u32::from_be_bytes(*b"HBCN");
const VERSION: u8 = 2;
const HEADER: usize = 40;
const FIXED: usize = 57;
const PEER: usize = 24;
const LINK: usize = 9;
const QUIET: u8 = 1;
const SETTLED: u8 = 2;
const OTHERS: u8 = 1;
const GATEWAY: u8 = 2;
const UNHEARD: u8 = 4;

/// What proves a life: chosen afresh by the one who asks.
pub type Nonce = [u8; 16];

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The cluster it belongs to.
    pub cluster: u64,
    /// Its sender.
    pub from: NodeId,
    /// Whom it is for.
    pub to: NodeId,
    /// The sender's life.
    pub life: Life,
    /// What it says.
    pub body: Body,
}

/// What a datagram says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// I am alive, and these are my votes.
    Beacon(Beacon),
    /// Prove that this life of yours is not a recording.
    Challenge(Nonce),
    /// The proof: the nonce, under this life.
    Answer(Nonce),
    /// A view that the receiver does not know yet. A fact, whoever says it and whenever.
    View(View),
    /// I am on this network: for everybody there.
    Copy {
        /// The sender's link.
        link: LinkId,
        /// Grows with every copy of this life.
        count: u64,
    },
}

/// A sign of life, with acknowledgements and a page of the sender's table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Beacon {
    /// The sender started so recently that it acknowledges and accepts nothing (R5).
    pub quiet: bool,
    /// The sender adopted its view at least SUSPECT ago.
    pub settled: bool,
    /// How long an acknowledgement of this beacon holds up its sender's ownership, to the microsecond.
    pub grant: Duration,
    /// Grows with every beacon of this life.
    pub seq: u64,
    /// Number of the view the sender is in.
    pub view: u64,
    /// Version of the sender's table.
    pub table: u64,
    /// The page holds every change after this version,
    pub base: u64,
    /// up to and including this version.
    pub complete: u64,
    /// Version up to which the sender knows the receiver's table.
    pub mirrored: u64,
    /// The newest beacon the sender heard of each peer.
    pub heard: Vec<Heard>,
    /// The members of the view that are not silent to the sender, a bit for each in their order, the
    /// first in the highest bit; empty where everybody hears everybody.
    pub sounding: Vec<u8>,
    /// Who is heard on the sender's links.
    pub links: Vec<LinkWord>,
    /// The page.
    pub entries: Vec<Entry>,
}

/// The newest beacon that was heard of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Whose.
    pub node: NodeId,
    /// Of which life.
    pub life: Life,
    /// Its number.
    pub seq: u64,
}

/// A node's vote on one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// Who owns it, says the voter.
    pub record: Claim,
    /// The newest release the voter knows of.
    pub released: Claim,
}

/// The space for a page in a beacon that tells of `peers` peers and `links` links, with so many octets
/// of bits.
pub(crate) fn space(peers: usize, links: usize, bits: usize) -> Space {
    let taken = HEADER + FIXED + TAG + peers * PEER + links * LINK + bits;
    Space::new(MAX_DATAGRAM.saturating_sub(taken))
}

/// The datagram, sealed. The caller keeps within [`MAX_DATAGRAM`] and 255 peers; what exceeds a count
/// is left out.
#[must_use]
pub fn encode(message: &Message, keys: &Keys) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_DATAGRAM);
    let (kind, flags) = match &message.body {
        Body::Beacon(beacon) => {
            let flag = |set: bool, flag| if set { flag } else { 0 };
            (1, flag(beacon.quiet, QUIET) | flag(beacon.settled, SETTLED))
        }
        Body::Challenge(_) => (2, 0),
        Body::Answer(_) => (3, 0),
        Body::View(_) => (4, 0),
        Body::Copy { .. } => (5, 0),
    };
    out.extend(MAGIC.to_be_bytes());
    out.extend([VERSION, kind, flags, keys.number()]);
    for field in [message.cluster, message.from, message.to, message.life] {
        out.extend(field.to_be_bytes());
    }
    match &message.body {
        Body::Beacon(beacon) => encode_beacon(beacon, &mut out),
        Body::Challenge(nonce) | Body::Answer(nonce) => out.extend(nonce),
        Body::View(view) => {
            out.extend(view.number.to_be_bytes());
            out.push(count(view.members.len()));
            let members = view.members.iter().take(usize::from(u8::MAX));
            members.for_each(|member| out.extend(member.to_be_bytes()));
            let members: Vec<&NodeId> = view.members.iter().collect();
            for eight in members.chunks(8) {
                let bit =
                    |(at, id): (usize, &&NodeId)| u8::from(view.voters.contains(id)) << (7 - at);
                out.push(eight.iter().enumerate().map(bit).sum());
            }
        }
        Body::Copy { link, count } => {
            out.extend(link.to_be_bytes());
            out.extend(count.to_be_bytes());
        }
    }
    keys.seal(&mut out);
    out
}

fn encode_beacon(beacon: &Beacon, out: &mut Vec<u8>) {
    let grant = u32::try_from(beacon.grant.as_micros()).unwrap_or(u32::MAX);
    out.extend(grant.to_be_bytes());
    for field in [
        beacon.seq,
        beacon.view,
        beacon.table,
        beacon.base,
        beacon.complete,
        beacon.mirrored,
    ] {
        out.extend(field.to_be_bytes());
    }
    let peers = count(beacon.heard.len());
    let links = count(beacon.links.len());
    let (claims, entries, page) = page::encode(&beacon.entries);
    let bits = count(beacon.sounding.len());
    out.extend([peers, links, bits, claims, entries]);
    for heard in beacon.heard.iter().take(usize::from(peers)) {
        for field in [heard.node, heard.life, heard.seq] {
            out.extend(field.to_be_bytes());
        }
    }
    for word in beacon.links.iter().take(usize::from(links)) {
        out.extend(word.mine.to_be_bytes());
        out.extend(word.yours.to_be_bytes());
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let flags = flag(word.others, OTHERS) | flag(word.gateway, GATEWAY);
        out.push(flags | flag(word.unheard, UNHEARD));
    }
    out.extend(beacon.sounding.iter().take(usize::from(bits)));
    out.extend(page);
}

fn count(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// Checks the seal, then reads. Nothing but magic, version and key number is looked at before.
///
/// # Errors
/// Why the datagram is to be dropped.
pub fn decode(bytes: &[u8], keys: &Keys) -> Result<Message, Discard> {
    if bytes.len() > MAX_DATAGRAM || bytes.len() < HEADER + TAG {
        return Err(Discard::NotABeacon);
    }
    let (sealed, tag) = bytes.split_at(bytes.len() - TAG);
    let mut reader = Reader(sealed);
    if reader.array()? != MAGIC.to_be_bytes() {
        return Err(Discard::NotABeacon);
    }
    let [version, kind, flags, key] = reader.array()?;
    if version != VERSION {
        return Err(Discard::OtherVersion);
    }
    keys.check(key, sealed, tag)?;
    let (cluster, from, to, life) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
    let body = match (kind, flags) {
        (1, flags) if flags & !(QUIET | SETTLED) == 0 => Body::Beacon(reader.beacon(flags)?),
        (2, 0) => Body::Challenge(reader.array()?),
        (3, 0) => Body::Answer(reader.array()?),
        (4, 0) => Body::View(reader.view()?),
        (5, 0) => Body::Copy {
            link: reader.u32()?,
            count: reader.u64()?,
        },
        _ => return Err(Discard::Malformed),
    };
    if !reader.0.is_empty() {
        return Err(Discard::Malformed);
    }
    Ok(Message {
        cluster,
        from,
        to,
        life,
        body,
    })
}

/// Who says to have sent this; nothing is known yet of whether it is true.
pub(crate) fn claimed_sender(bytes: &[u8]) -> Option<NodeId> {
    let (_, rest) = bytes.split_at_checked(16)?;
    rest.first_chunk().map(|from| u64::from_be_bytes(*from))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Discard> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Discard::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Discard> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Discard> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn view(&mut self) -> Result<View, Discard> {
        let number = self.u64()?;
        let [count] = self.array()?;
        if usize::from(count) > MAX_MEMBERS {
            return Err(Discard::Malformed);
        }
        let mut members = BTreeSet::new();
        for _ in 0..count {
            let member = self.u64()?;
            if members.last().is_some_and(|last| *last >= member) {
                return Err(Discard::Malformed);
            }
            members.insert(member);
        }
        let mut voters = BTreeSet::new();
        let ordered: Vec<NodeId> = members.iter().copied().collect();
        for eight in ordered.chunks(8) {
            let [mut bits] = self.array()?;
            for member in eight {
                if bits & 0x80 != 0 {
                    voters.insert(*member);
                }
                bits <<= 1;
            }
            if bits != 0 {
                return Err(Discard::Malformed);
            }
        }
        if voters.len() > MAX_VOTERS {
            return Err(Discard::Malformed);
        }
        Ok(View {
            number,
            members,
            voters,
        })
    }

    fn beacon(&mut self, flags: u8) -> Result<Beacon, Discard> {
        let mut beacon = Beacon {
            quiet: flags & QUIET != 0,
            settled: flags & SETTLED != 0,
            grant: Duration::from_micros(self.u32()?.into()),
            seq: self.u64()?,
            view: self.u64()?,
            table: self.u64()?,
            base: self.u64()?,
            complete: self.u64()?,
            mirrored: self.u64()?,
            heard: Vec::new(),
            sounding: Vec::new(),
            links: Vec::new(),
            entries: Vec::new(),
        };
        let [peers, links, bits, claims, entries] = self.array()?;
        let versions = [beacon.base, beacon.complete, beacon.table];
        if !versions.is_sorted() || beacon.grant > LONGEST_GRANT {
            return Err(Discard::Malformed);
        }
        for _ in 0..peers {
            let (node, life, seq) = (self.u64()?, self.u64()?, self.u64()?);
            beacon.heard.push(Heard { node, life, seq });
        }
        for _ in 0..links {
            let (mine, yours) = (self.u32()?, self.u32()?);
            let [flags] = self.array()?;
            if flags & !(OTHERS | GATEWAY | UNHEARD) != 0 {
                return Err(Discard::Malformed);
            }
            beacon.links.push(LinkWord {
                mine,
                yours,
                others: flags & OTHERS != 0,
                gateway: flags & GATEWAY != 0,
                unheard: flags & UNHEARD != 0,
            });
        }
        for _ in 0..bits {
            let [octet] = self.array()?;
            beacon.sounding.push(octet);
        }
        beacon.entries = self.page(claims, entries)?;
        Ok(beacon)
    }
}

#[cfg(test)]
pub(crate) mod tests;
