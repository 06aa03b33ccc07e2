//! Router discovery on one link (RFC 4861 §6, RFC 7559): who routes there, and that this node is there.
//!
//! Unnumbered BGP finds its peer by it. Both ends send router advertisements; this one says that it is
//! no default router (lifetime 0) and gives no prefix.
//!
//! ```text
//! set_own, handle_message, handle_timeout ──► Discovery ──► router, rivals, poll_transmit, poll_timeout
//! ```
//!
//! A router that was heard stays the router however long it is silent: whether it lives is for the
//! session with it to notice. Another one takes its place when it is heard and the first is not.
//!
//! Not here: the IPv6 header and the checksum, which are the socket's; what is done with the router.

mod chance;
mod message;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use chance::Chance;
pub use message::{Advertisement, Message, Solicitation};

use crate::ndp::ALL_NODES;
use crate::{Discard, Mac};

/// All routers on the link: where solicitations go, and what to join to hear those of others.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A first solicitation waits for up to this time (MAX_RTR_SOLICITATION_DELAY).
const SOLICITATION_DELAY: Duration = Duration::from_secs(1);
/// The second follows after this, each later one after twice the time before (RFC 7559 §2: IRT, MRT).
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const SOLICITATION_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// Between unsolicited advertisements (MinRtrAdvInterval, MaxRtrAdvInterval).
const ADVERTISEMENT_INTERVAL: [Duration; 2] =
    [Duration::from_millis(7500), Duration::from_secs(10)];
/// An answer waits for up to this time (MAX_RA_DELAY_TIME).
const ANSWER_DELAY: Duration = Duration::from_millis(500);
/// Between advertisements to everybody (MIN_DELAY_BETWEEN_RAS).
const ADVERTISEMENT_DISTANCE: Duration = Duration::from_secs(3);
/// Above this many askers at a time, everybody is told instead.
const ASKERS: usize = 8;
/// A router that was not heard for this time, or for its lifetime, is silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a router is given to be heard beside another: it answers two solicitations by then.
const DOUBT: Duration = Duration::from_secs(8);
/// One that was is not doubted again so soon.
const TRUST: Duration = Duration::from_secs(60);
/// Other routers that are remembered.
const RIVALS: usize = 8;

/// Who this node is on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// Its link-local address, which everything is sent from.
    pub address: Ipv6Addr,
    /// Its hardware address; none where the link has none.
    pub mac: Option<Mac>,
}

/// A router, as its last advertisement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// When it was heard last.
    pub heard: Instant,
    /// For how long it is a default router; zero says that it is none.
    pub lifetime: Duration,
}

impl Router {
    fn is_silent(&self, now: Instant) -> bool {
        self.silent_at() <= now
    }

    fn silent_at(&self) -> Instant {
        self.heard + self.lifetime.max(SILENCE)
    }
}

/// An ICMPv6 message to send, with hop limit 255 and from the own link-local address. Its checksum is
/// zero: a raw socket fills it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Whom to.
    pub to: Ipv6Addr,
    /// From the type on.
    pub octets: Vec<u8>,
}

/// When to ask next, and how long to wait after that.
#[derive(Debug, Clone, Copy)]
struct Asking {
    at: Instant,
    interval: Duration,
}

/// Discovery on one link.
#[derive(Debug)]
pub struct Discovery {
    chance: Chance,
    own: Option<Own>,
    asking: Option<Asking>,
    advertise_at: Option<Instant>,
    advertised: Option<Instant>,
    /// Who is to be answered, and when.
    askers: BTreeMap<Ipv6Addr, Instant>,
    router: Option<Router>,
    /// The link was away since the router was heard.
    is_stale: bool,
    rivals: Vec<Router>,
    /// Another router was heard: this one is to be heard, too, since then.
    doubted: Option<Instant>,
    trusted_until: Option<Instant>,
    out: VecDeque<Datagram>,
}

impl Discovery {
    /// Discovery on a link that is not there yet; `seed` is for delays, which differ between nodes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            own: None,
            asking: None,
            advertise_at: None,
            advertised: None,
            askers: BTreeMap::new(),
            router: None,
            is_stale: false,
            rivals: Vec::new(),
            doubted: None,
            trusted_until: None,
            out: VecDeque::new(),
        }
    }

    /// The link is there, with this node as said; none: it is away, or has no link-local address.
    /// After a change, routers are asked and told anew.
    pub fn set_own(&mut self, own: Option<Own>, now: Instant) {
        if own == self.own {
            return;
        }
        self.own = own;
        self.askers.clear();
        self.out.clear();
        self.doubted = None;
        if own.is_some() {
            let delay = self.chance.up_to(SOLICITATION_DELAY);
            self.ask_from(now + delay);
            self.advertise_at = Some(now + self.chance.up_to(ANSWER_DELAY));
        } else {
            self.is_stale = true;
            self.rivals.clear();
            self.asking = None;
            self.advertise_at = None;
        }
    }

    /// Hears an ICMPv6 message that came with this hop limit. Its checksum is right.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn handle_message(
        &mut self,
        octets: &[u8],
        source: Ipv6Addr,
        hop_limit: u8,
        now: Instant,
    ) -> Result<(), Discard> {
        let own = self.own.ok_or(Discard::UnknownInterface)?;
        let message = Message::parse(octets, source, hop_limit)?;
        if source == own.address {
            return Err(Discard::BadSender);
        }
        match message {
            Message::Solicitation(_) => self.answer(source, now),
            Message::Advertisement(advertisement) => {
                let router = Router {
                    address: source,
                    heard: now,
                    lifetime: advertisement.lifetime,
                };
                self.hear(router, now);
            }
        }
        Ok(())
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(own) = self.own else { return };
        if let Some(since) = self.doubted
            && since + DOUBT <= now
        {
            self.doubted = None;
            let latest = self.rivals.iter().max_by_key(|rival| rival.heard).copied();
            if let Some(latest) = latest {
                self.take(latest);
            }
        }
        if self.asking.is_none() && self.router.is_some_and(|router| router.is_silent(now)) {
            self.ask_from(now);
        }
        if let Some(Asking { at, interval }) = self.asking
            && at <= now
        {
            let wait = self.chance.around(interval);
            self.asking = Some(Asking {
                at: now + wait,
                interval: (interval * 2).min(SOLICITATION_INTERVAL_MAX),
            });
            let octets = Solicitation { mac: own.mac }.octets();
            let to = ALL_ROUTERS;
            self.out.push_back(Datagram { to, octets });
        }
        let told = Advertisement {
            lifetime: Duration::ZERO,
            mac: own.mac,
        };
        if self.advertise_at.is_some_and(|at| at <= now) {
            let [least, most] = ADVERTISEMENT_INTERVAL;
            let interval = least + self.chance.up_to(most.saturating_sub(least));
            self.advertise_at = Some(now + interval);
            self.advertised = Some(now);
            // Everybody is told, those who asked among them.
            self.askers.clear();
            let octets = told.octets();
            let to = ALL_NODES;
            self.out.push_back(Datagram { to, octets });
        }
        let due = self.askers.iter().filter(|(_, at)| **at <= now);
        let due: Vec<Ipv6Addr> = due.map(|(asker, _)| *asker).collect();
        for to in due {
            self.askers.remove(&to);
            let octets = told.octets();
            self.out.push_back(Datagram { to, octets });
        }
    }

    /// When [`Discovery::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.own?;
        let silent = self.router.filter(|_| self.asking.is_none());
        let asking = self.asking.map(|asking| asking.at);
        let doubted = self.doubted.map(|since| since + DOUBT);
        let answers = self.askers.values().copied();
        let single = [
            asking,
            self.advertise_at,
            doubted,
            silent.map(|router| router.silent_at()),
        ];
        single.into_iter().flatten().chain(answers).min()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Datagram> {
        self.out.pop_front()
    }

    /// The router of the link, once one was heard.
    #[must_use]
    pub const fn router(&self) -> Option<Router> {
        self.router
    }

    /// Other routers of the link that are not silent, in the order they were heard first.
    pub fn rivals(&self, now: Instant) -> impl Iterator<Item = Router> {
        let rivals = self.rivals.iter().copied();
        rivals.filter(move |rival| !rival.is_silent(now))
    }

    fn ask_from(&mut self, at: Instant) {
        self.asking = Some(Asking {
            at,
            interval: SOLICITATION_INTERVAL,
        });
    }

    /// Answers a solicitation (RFC 4861 §6.2.6).
    fn answer(&mut self, source: Ipv6Addr, now: Instant) {
        let at = now + self.chance.up_to(ANSWER_DELAY);
        let many = self.askers.len() >= ASKERS && !self.askers.contains_key(&source);
        if source.is_unspecified() || many {
            let allowed = self.advertised.map(|told| told + ADVERTISEMENT_DISTANCE);
            let at = allowed.map_or(at, |allowed| at.max(allowed));
            self.advertise_at = Some(self.advertise_at.map_or(at, |planned| planned.min(at)));
        } else {
            self.askers.entry(source).or_insert(at);
        }
    }

    fn hear(&mut self, router: Router, now: Instant) {
        match self.router {
            Some(known) if known.address == router.address => {
                self.router = Some(router);
                self.is_stale = false;
                self.asking = None;
                if self.doubted.take().is_some() {
                    self.trusted_until = Some(now + TRUST);
                }
            }
            Some(known) if !self.is_stale && !known.is_silent(now) => {
                self.rivals
                    .retain(|rival| rival.address != router.address && !rival.is_silent(now));
                if self.rivals.len() < RIVALS {
                    self.rivals.push(router);
                }
                let trusted = self.trusted_until.is_some_and(|until| until > now);
                if self.doubted.is_none() && !trusted {
                    self.doubted = Some(now);
                    self.ask_from(now);
                }
            }
            Some(_) | None => self.take(router),
        }
    }

    fn take(&mut self, router: Router) {
        self.rivals.retain(|rival| rival.address != router.address);
        self.router = Some(router);
        self.is_stale = false;
        self.asking = None;
        self.doubted = None;
        self.trusted_until = None;
    }
}

#[cfg(test)]
mod tests;
