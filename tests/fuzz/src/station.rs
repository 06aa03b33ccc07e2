//! The door [`Station`]: frames of anybody on the LAN, and time.
//!
//! A script. Steps, by the octet modulo 12:
//!
//! ```text
//! 0–3  a frame of a known form: which, who sends it, changes, whether it is made right, how it came
//! 4    any frame: a chunk, how it came
//! 5    time: milliseconds u16
//! 6    time until the station has something to do
//! 7    what is owned: a bit for each of two addresses on each of two interfaces, until when, probed first
//! 8    renew: which address, milliseconds u8
//! 9    ask: which address, and the gateways
//! 10   interfaces: their epoch
//! 11   announce again: which address; limits
//! ```
//!
//! A frame is answered only about an address that is owned there and then (A3), with the station's own
//! hardware address. What is said unasked is bounded, and the station never asks to be woken for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use herald_l2::arp::{Arp, Operation};
use herald_l2::ndp::Message;
use herald_l2::{Addressed, Frame, Interface, Limits, Mac, Owned, Received, Station};

use crate::Script;
use crate::frames::{
    ETHERNET, GATEWAY, GATEWAY6, LINK_LOCAL, OTHER, OURS, PEER, addresses, every_form, repair,
};

const LANS: [u32; 2] = [2, 3];
/// Frames that leave an interface in one moment: the burst of `Limits`, with room.
const AT_ONCE: usize = 1000;
/// Steps that mean something; a longer script would only be slower.
const STEPS: usize = 200;

struct Scene {
    station: Station,
    owned: BTreeMap<IpAddr, Owned>,
    now: Instant,
}

fn interfaces(epoch: u64) -> BTreeMap<u32, Interface> {
    let interface = |index: u32| Interface {
        name: format!("lan{index}"),
        mac: OURS,
        link_local: (index == 2).then_some(LINK_LOCAL),
        gateways: vec![GATEWAY.into(), GATEWAY6.into()],
        epoch,
    };
    LANS.map(|index| (index, interface(index))).into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin for virtual time"
)]
fn origin() -> Instant {
    Instant::now()
}

impl Scene {
    fn new() -> Self {
        let mut station = Station::new();
        station.set_interfaces(interfaces(1));
        station.set_watched(addresses().into());
        station.set_peers([PEER].into());
        Self {
            station,
            owned: BTreeMap::new(),
            now: origin(),
        }
    }

    fn hear(&mut self, bytes: &[u8], how: u8) {
        let interface = LANS[usize::from(how & 1)];
        let addressed = match how >> 1 & 3 {
            0 | 1 => Addressed::Host,
            2 => Addressed::Group,
            _ => Addressed::OtherHost,
        };
        let received = Received {
            interface,
            addressed,
            tagged: how & 8 != 0,
            age: Duration::from_millis(u64::from(how >> 4) * 10),
            bytes,
        };
        let Ok(answer) = self.station.handle_frame(&received, self.now) else {
            return;
        };
        let sound = addressed != Addressed::OtherHost && !received.tagged;
        assert!(sound && answer.interface == interface);
        let (address, mac) = said(&answer.frame);
        assert_eq!(mac, Some(OURS));
        let owned = self
            .owned
            .get(&address)
            .expect("answered for what is owned");
        assert!(owned.interfaces.contains(&interface));
        // Whoever lives may tell another node so, which changes no cache.
        let lasts = owned.until.is_none_or(|until| self.now < until);
        assert!(lasts || bytes[6..12] == PEER.0 || sender(bytes) == PEER);
    }

    /// Everything that wants out.
    fn poll(&mut self) {
        for count in 0.. {
            assert!(count < AT_ONCE * LANS.len(), "frames without end");
            if self.station.poll_transmit(self.now).is_none() {
                break;
            }
        }
        let due = self.station.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "woken for nothing");
        let events = std::iter::from_fn(|| self.station.poll_event());
        assert!(events.count() <= 4096);
    }
}

/// Whose address an answer is about, and where it says that is.
fn said(frame: &Frame) -> (IpAddr, Option<Mac>) {
    let payload = &frame.bytes()[ETHERNET..];
    if let Ok(arp) = Arp::parse(payload) {
        assert_eq!(arp.operation, Operation::Reply);
        return (arp.sender_ip.into(), Some(arp.sender_mac));
    }
    match Message::parse(payload) {
        Ok(Message::Advertisement(said)) => (said.target.into(), said.target_mac),
        other => panic!("{other:?} is no answer"),
    }
}

/// Who asks, as the message has it.
fn sender(bytes: &[u8]) -> Mac {
    let payload = &bytes[ETHERNET..];
    let asked = match Message::parse(payload) {
        Ok(Message::Solicitation(asked)) => asked.source_mac,
        _ => None,
    };
    let arp = Arp::parse(payload).ok().map(|arp| arp.sender_mac);
    arp.or(asked).unwrap_or(Mac::ZERO)
}

fn which(script: &mut Script<'_>) -> IpAddr {
    addresses()[usize::from(script.u8() & 1)]
}

/// Plays the script.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let mut script = Script::new(octets);
    let mut scene = Scene::new();
    for _ in 0..STEPS {
        let Some(step) = script.step() else {
            break;
        };
        let now = scene.now;
        match step % 12 {
            0..=3 => {
                let (form, who) = (usize::from(script.u8()), script.u8());
                let forms = every_form([OTHER, PEER, Mac([2, 0, 0, 0, 0, who])][who as usize % 3]);
                let mut bytes = forms[form % forms.len()].bytes().to_vec();
                script.change(&mut bytes);
                let how = script.u8();
                if script.u8() & 1 == 1 {
                    repair(&mut bytes);
                }
                scene.hear(&bytes, how);
            }
            4 => {
                let bytes = script.chunk();
                scene.hear(bytes, script.u8());
            }
            5 => scene.now += Duration::from_millis(script.u16().into()),
            6 => scene.now = scene.station.poll_timeout().unwrap_or(now).max(now),
            7 => {
                let (bits, until, probe) = (script.u8(), script.u8(), script.u8());
                let owned = |at: usize| Owned {
                    interfaces: (LANS.into_iter().enumerate())
                        .filter(|(lan, _)| bits >> (at * 2 + lan) & 1 == 1)
                        .map(|(_, index)| index)
                        .collect::<BTreeSet<u32>>(),
                    until: (until != 0).then(|| now + Duration::from_millis(until.into())),
                    probe_first: probe & 1 == 1,
                };
                let every = addresses().into_iter().enumerate();
                scene.owned = every
                    .map(|(at, address)| (address, owned(at)))
                    .filter(|(_, owned)| !owned.interfaces.is_empty())
                    .collect();
                scene.station.set_owned(scene.owned.clone());
            }
            8 => {
                let (address, time) = (which(&mut script), script.u8());
                let until = now + Duration::from_millis(time.into());
                scene.station.renew(address, until);
                if let Some(owned) = scene.owned.get_mut(&address) {
                    owned.until = Some(until);
                }
            }
            9 => {
                let address = which(&mut script);
                scene.station.ask(address, LANS[0]);
                scene.station.ask_gateways(LANS[1]);
            }
            10 => scene.station.set_interfaces(interfaces(script.u8().into())),
            _ => {
                scene.station.announce_again(which(&mut script));
                let limits = [Limits::default(), Limits::cautious()];
                scene
                    .station
                    .set_limits(limits[usize::from(script.u8() & 1)]);
            }
        }
        scene.poll();
    }
}

/// Each form of frame while both addresses are owned, proven and not, and a few takeovers.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let own = [7, 0x0f, 0, 0];
    let probe = [7, 0x0f, 200, 1];
    let mut seeds = Vec::new();
    for form in 0..11 {
        for who in 0..2 {
            let frame = [0, form, who, 0, 0, 0];
            let time = [5, 0x10, 0, 6, 6];
            seeds.push([&own[..], &frame, &time].concat());
            seeds.push([&probe[..], &frame, &time, &[8, 0, 100, 9, 0, 6], &frame].concat());
        }
    }
    seeds
}
