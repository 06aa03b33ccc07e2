//! What a frame that came in means to a station: a question to answer, a claim to notice, an answer
//! that was waited for.

use std::net::IpAddr;
use std::time::Instant;

use super::Station;
use crate::conflict::{Claim, ClaimKind};
use crate::requesters::Requester;
use crate::responder::{self, Meaning};
use crate::{Discard, Event, Mac, Received, Transmit};

/// Where, when and from whom something was heard.
#[derive(Debug, Clone, Copy)]
struct Heard {
    interface: u32,
    mac: Mac,
    /// The sender is another node of this cluster.
    peer: bool,
    /// When the kernel took the frame from the wire.
    at: Instant,
    now: Instant,
}

impl Station {
    /// A frame arrived: the answer to send, or why there is none.
    ///
    /// # Errors
    /// The one reason why the frame gets no answer.
    pub fn handle_frame(
        &mut self,
        received: &Received<'_>,
        now: Instant,
    ) -> Result<Transmit, Discard> {
        let interface = self
            .interfaces
            .get(&received.interface)
            .ok_or(Discard::UnknownInterface)?;
        let meaning = responder::read(received, interface)?;
        let (Meaning::Claim { mac, .. } | Meaning::Question { asker_mac: mac, .. }) = meaning;
        if self.interfaces.values().any(|known| known.mac == mac) {
            return Err(Discard::BadSender);
        }
        let heard = Heard {
            interface: received.interface,
            mac,
            peer: self.peers.contains(&mac),
            at: now.checked_sub(received.age).unwrap_or(now),
            now,
        };
        match meaning {
            Meaning::Claim { address, to, .. } => {
                self.hear_gateway(address, to, heard);
                Err(self.handle_claim(address, heard))
            }
            Meaning::Question {
                address,
                asker,
                answer,
                ..
            } => {
                match asker {
                    Some(asker) => self.learn(address, asker, heard)?,
                    None => self.hear_probe(address, heard)?,
                }
                self.may_answer(address, asker, received, heard)?;
                if asker.is_none() && !heard.peer {
                    self.report(address, ClaimKind::Probed, heard);
                }
                Ok(Transmit {
                    interface: received.interface,
                    frame: answer,
                })
            }
        }
    }

    /// An owner answers. One whose ownership ran out answers another node that asks whether anybody
    /// has the address: that changes nobody's cache, and says that this node lives.
    fn may_answer(
        &self,
        address: IpAddr,
        asker: Option<IpAddr>,
        received: &Received<'_>,
        heard: Heard,
    ) -> Result<(), Discard> {
        let owned = self.owned.get(&address).ok_or(Discard::NotOwned)?;
        if !owned.interfaces.contains(&heard.interface) {
            return Err(Discard::WrongInterface);
        }
        if self.announcer.is_unproven((address, heard.interface)) {
            return Err(Discard::Unproven);
        }
        let asked_by_peer = asker.is_none() && heard.peer;
        if !responder::holds(owned.until, heard.now) && !asked_by_peer {
            return Err(Discard::OwnershipExpired);
        }
        if !responder::is_fresh(received) {
            return Err(Discard::Stale);
        }
        Ok(())
    }

    /// Remembers who asks, answered or not. Whoever asks *from* an address claims it.
    fn learn(&mut self, address: IpAddr, asker: IpAddr, heard: Heard) -> Result<(), Discard> {
        if self.owned.contains_key(&asker) {
            return Err(self.handle_claim(asker, heard));
        }
        self.hear_answer(asker, heard);
        if self.watched.contains(&address) || self.owned.contains_key(&address) {
            let requester = Requester {
                ip: asker,
                mac: heard.mac,
                interface: heard.interface,
            };
            self.requesters.remember(address, requester, heard.now);
        }
        Ok(())
    }

    /// Somebody wants to take an address that this node is about to announce for the first time:
    /// as good as having it (RFC 5227 §2.1.1, RFC 4862 §5.4.3). Another node of the cluster that
    /// asks wants to know only.
    fn hear_probe(&mut self, address: IpAddr, heard: Heard) -> Result<(), Discard> {
        let unproven = self.announcer.is_unproven((address, heard.interface));
        if unproven && !heard.peer {
            return Err(self.handle_use(address, heard));
        }
        Ok(())
    }

    /// A gateway speaks: the answer to a question of its own, or on behalf of an owned address.
    fn hear_gateway(&mut self, gateway: IpAddr, to: Option<IpAddr>, heard: Heard) {
        let Heard { interface, at, .. } = heard;
        if self.announcer.has_asked_gateway((gateway, interface), at) {
            self.events.push(Event::GatewayAnswered {
                interface,
                gateway,
                at,
            });
        }
        if let Some(address) = to
            && let Some(after) = self
                .announcer
                .acknowledge((address, interface), gateway, at)
        {
            self.events.push(Event::Acknowledged {
                address,
                interface,
                gateway,
                after,
            });
        }
    }

    /// Somebody else says where an address is that was asked for.
    fn hear_answer(&mut self, address: IpAddr, heard: Heard) {
        let Heard {
            interface,
            mac,
            peer,
            at,
            ..
        } = heard;
        if self.announcer.has_asked((address, interface), at) {
            self.events.push(Event::Answered {
                address,
                interface,
                mac,
                peer,
                at,
            });
        }
    }

    fn handle_claim(&mut self, address: IpAddr, heard: Heard) -> Discard {
        self.hear_answer(address, heard);
        let Some(owned) = self.owned.get(&address) else {
            return Discard::NotARequest;
        };
        if !heard.peer && self.announcer.is_unproven((address, heard.interface)) {
            return self.handle_use(address, heard);
        }
        if !owned.interfaces.contains(&heard.interface) || !responder::holds(owned.until, heard.now)
        {
            return Discard::NotARequest;
        }
        self.report(address, ClaimKind::Announced, heard);
        Discard::Conflict
    }

    /// Somebody else uses an address that was not announced yet: it is left to them.
    fn handle_use(&mut self, address: IpAddr, heard: Heard) -> Discard {
        self.announcer.refuse((address, heard.interface), heard.now);
        self.report(address, ClaimKind::InUse, heard);
        Discard::Conflict
    }

    fn report(&mut self, address: IpAddr, kind: ClaimKind, heard: Heard) {
        let Heard {
            interface,
            mac,
            peer,
            now,
            ..
        } = heard;
        let claim = Claim {
            address,
            interface,
            mac,
            kind,
            peer,
        };
        let verdict = self.guard.judge(&claim, now);
        if verdict.defend
            && let Some(known) = self.interfaces.get(&interface)
        {
            self.announcer.defend((address, interface), known);
        }
        if verdict.report {
            self.events.push(Event::Claimed(claim));
        }
    }
}
