//! One watched path: the session, and the socket it sends from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use herald_bfd::{
    Cause, Config, Discard, Discriminator, ECHO_PORT, Event, Hops, MULTIHOP_PORT, Packets, Path,
    SINGLE_HOP_PORT, Session, Time, Transmit,
};
use prometheus_client::metrics::gauge::Gauge;

use super::echoes::Wire;
use super::frame::{self, Road, Said};
use crate::io::{BfdSender, EchoSocket, Echoed, From};
use crate::routers::bfd::Seen;
use crate::routers::bfd::wish::Route;
use crate::routers::metrics::{BfdCounters, BfdMetrics};

/// Echo packets come from a port from here on (RFC 5881 section 4).
const FIRST_PORT: u16 = 49_152;

#[derive(Debug)]
pub(super) struct Watched {
    session: Session,
    route: Route,
    /// The interval of echo packets that is wished for.
    echo_wished: Option<Duration>,
    sender: Option<BfdSender>,
    /// The BGPPeers it is watched for.
    peers: BTreeMap<String, BfdCounters>,
    counted: Packets,
    /// The interface that the last control packet came in on.
    interface: Option<u32>,
    /// What echo packets leave by, and where they go.
    echo: Option<Arc<EchoSocket>>,
    road: Option<Road>,
    /// Why packets do not arrive here, do not leave, or do not count.
    deaf: Option<String>,
    dumb: Option<String>,
    far: Option<String>,
    /// Why nothing of the router's can be sent back to it.
    dull: Option<String>,
}

impl Watched {
    /// None where the session cannot be as it is configured.
    pub(super) fn new(
        route: Route,
        config: Config,
        number: Discriminator,
        seed: u64,
        now: Time,
    ) -> Option<Self> {
        let echo_wished = config.echo;
        let session = Session::new(config, number, seed, now).ok()?;
        Some(Self {
            session,
            route,
            echo_wished,
            sender: None,
            peers: BTreeMap::new(),
            counted: Packets::default(),
            interface: None,
            echo: None,
            road: None,
            deaf: None,
            dumb: None,
            far: None,
            dull: None,
        })
    }

    pub(super) const fn route(&self) -> &Route {
        &self.route
    }

    pub(super) const fn discriminator(&self) -> Discriminator {
        self.session.discriminator()
    }

    /// The peers it is watched for, with what shows for each whether it is up.
    pub(super) fn peers(&self) -> impl Iterator<Item = (&String, &Gauge)> {
        self.peers
            .iter()
            .map(|(peer, counters)| (peer, &counters.up))
    }

    pub(super) fn seen(&self) -> Seen {
        let trouble = self.deaf.as_ref().or(self.dumb.as_ref());
        let trouble = trouble.or(self.far.as_ref()).or(self.dull.as_ref());
        Seen::of(&self.session, trouble.cloned())
    }

    pub(super) const fn is_troubled(&self) -> bool {
        self.deaf.is_some() || self.dull.is_some() || self.sender.is_none()
    }

    pub(super) fn is_heeded(&self) -> bool {
        self.session.is_heeded()
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Time> {
        self.session.poll_timeout()
    }

    /// It is watched for these peers from now on.
    pub(super) fn name(&mut self, peers: BTreeSet<String>, metrics: &BfdMetrics) {
        self.peers.retain(|peer, _| {
            let stays = peers.contains(peer);
            if !stays {
                metrics.forget(peer);
            }
            stays
        });
        for peer in peers {
            let counters = metrics.of(&peer);
            self.peers.insert(peer, counters);
        }
    }

    pub(super) fn follow(
        &mut self,
        config: Config,
        peers: BTreeSet<String>,
        metrics: &BfdMetrics,
        now: Time,
    ) {
        self.echo_wished = config.echo;
        self.configure(config, now);
        self.name(peers, metrics);
    }

    /// Echo is offered only where what the router sends can be sent back.
    fn configure(&mut self, config: Config, now: Time) {
        let echo = self.echo_wished.filter(|_| self.dull.is_none());
        if let Err(error) = self.session.set_config(Config { echo, ..config }, now) {
            tracing::warn!(router = %self.route.place, %error, "BFD goes on with its old configuration");
        }
    }

    /// Tells the router that this end goes.
    pub(super) fn leave(&mut self, now: Time, metrics: &BfdMetrics) {
        self.session.admin_down(now);
        for peer in self.peers.keys() {
            metrics.forget(peer);
        }
    }

    /// Opens its socket if it has none; `deaf` is why nothing can arrive.
    pub(super) fn equip(&mut self, deaf: Option<String>) {
        if deaf != self.deaf {
            if let Some(trouble) = &deaf {
                tracing::warn!(router = %self.route.place, trouble, "BFD hears nothing");
            }
            self.deaf = deaf;
        }
        if self.sender.is_some() {
            return;
        }
        let Route {
            place,
            source,
            device,
            ..
        } = &self.route;
        let seed = self.session.discriminator().get();
        match BfdSender::open(place.router, *source, device.as_deref(), seed) {
            Ok(sender) => self.sender = Some(sender),
            Err(error) => {
                let source =
                    source.map_or(String::new(), |source| format!(" from {}", source.ip()));
                self.dumb = Some(format!("BFD packets cannot be sent{source}: {error}"));
            }
        }
    }

    /// What echo packets go over, once it is known.
    pub(super) fn echo_on(&self) -> Option<Wire> {
        let interface = self.interface?;
        let ipv6 = self.route.place.router.is_ipv6();
        let echoes = self.session.config().echo.is_some();
        echoes.then_some(Wire { interface, ipv6 })
    }

    /// The router may send its echo packets to this node, not through it.
    pub(super) fn wants_mirror(&self) -> bool {
        self.echo_wished.is_some() && self.route.place.router.is_ipv6()
    }

    /// `dull` is why they cannot be sent back, if so.
    pub(super) fn mirror(&mut self, dull: Option<String>, now: Time) {
        if dull == self.dull {
            return;
        }
        if let Some(trouble) = &dull {
            tracing::warn!(router = %self.route.place, trouble, "BFD echo is not offered");
        }
        self.dull = dull;
        self.configure(self.session.config().clone(), now);
    }

    /// The packet is an echo of this router's.
    pub(super) fn is_echoed(&self, echoed: &Echoed) -> bool {
        let on = self.echo_on().map(|wire| wire.interface);
        on == Some(echoed.interface) && self.route.place.router == IpAddr::V6(echoed.source)
    }

    /// Whether it is to be sent back.
    pub(super) fn loops_back(&mut self, echoed: &Echoed, now: Time) -> bool {
        let outcome = self.session.loop_back(echoed.ttl, now);
        if let Err(reason) = &outcome {
            tracing::trace!(router = %self.route.place, %reason, "a BFD echo packet is not sent back");
        }
        outcome.is_ok()
    }

    /// Echo packets leave by this.
    pub(super) fn echo_by(&mut self, socket: Option<Arc<EchoSocket>>) {
        self.echo = socket;
    }

    /// It is to be watched by echo packets, and there is nothing they could leave by.
    pub(super) fn lacks_echo(&self) -> bool {
        self.echo_on().is_some() && self.echo.is_none()
    }

    /// Hears a frame: an echo packet of its own that came back, or a control packet of the router, which
    /// says where echo packets are to go.
    pub(super) fn hear_frame(&mut self, wire: Wire, said: &Said<'_>, now: Time) {
        if self.echo_on() != Some(wire) {
            return;
        }
        if said.port == ECHO_PORT {
            let own = self.road.is_some_and(|road| road.address == said.source);
            if own && let Err(reason) = self.session.handle_echo(said.payload, now) {
                tracing::trace!(router = %self.route.place, %reason, "BFD echo packet dropped");
            }
        } else if said.source == self.route.place.router && said.ttl == 255 {
            // A frame proves nothing: where packets have to, one does not turn a path that is up.
            let open = self.session.config().authentication.is_none();
            if open || self.road.is_none() || self.session.path() != Path::Up {
                self.road = Some(said.back);
            }
        }
    }

    pub(super) fn hear(&mut self, datagram: &[u8], from: &From, now: Time) {
        let ttl = from.ttl;
        match self.session.handle_packet(datagram, ttl, now) {
            Ok(()) => {
                self.far = None;
                self.interface = from.interface.or(self.interface);
            }
            Err(Discard::Ttl) if self.session.path() == Path::Down => {
                self.far = Some(too_far(self.session.config().hops, ttl));
            }
            Err(reason) => {
                tracing::trace!(router = %self.route.place, %reason, "BFD packet dropped");
                if self.session.path() == Path::Down {
                    self.far = unproved(reason).or(self.far.take());
                }
            }
        }
    }

    /// Does what is due.
    pub(super) fn step(&mut self, now: Time) {
        self.session.handle_timeout(now);
        while let Some(transmit) = self.session.poll_transmit(now) {
            match transmit {
                Transmit::Control(octets) => self.send(&octets),
                Transmit::Echo(octets) => self.send_echo(&octets),
            }
        }
        while let Some(event) = self.session.poll_event() {
            self.pass(&event);
        }
        self.count();
    }

    fn send(&mut self, octets: &[u8]) {
        let Some(sender) = &self.sender else { return };
        let port = if self.route.multihop {
            MULTIHOP_PORT
        } else {
            SINGLE_HOP_PORT
        };
        let sent = sender.send(octets, self.route.place.port(port));
        let trouble = |error| format!("BFD packets cannot be sent: {error}");
        self.dumb = sent.err().map(trouble);
    }

    /// An echo packet that cannot be sent, because nobody knows yet where to, is one that does not come
    /// back: that is a failure only where one came back before.
    fn send_echo(&self, octets: &[u8]) {
        if let (Some(socket), Some(road)) = (&self.echo, &self.road) {
            let port = FIRST_PORT | u16::try_from(self.discriminator().get() & 0x3fff).unwrap_or(0);
            if let Err(error) = socket.send(&frame::echo(road, port, octets)) {
                tracing::debug!(router = %self.route.place, %error, "a BFD echo packet did not leave");
            }
        }
    }

    fn pass(&self, event: &Event) {
        let router = &self.route.place;
        for counters in self.peers.values() {
            match event {
                Event::Up => counters.ups.inc(),
                Event::Down(_) => counters.downs.inc(),
                Event::Negotiated(_) => 0,
            };
        }
        match event {
            Event::Up => tracing::info!(%router, "BFD: the path is up"),
            Event::Down(cause @ (Cause::AdminDown | Cause::NeighborAdminDown)) => {
                tracing::info!(%router, %cause, "BFD: the path is not watched");
            }
            Event::Down(cause) => tracing::warn!(%router, %cause, "BFD: the path is down"),
            Event::Negotiated(negotiated) => {
                tracing::debug!(%router, ?negotiated, "BFD: intervals are agreed on");
            }
        }
    }

    /// Adds what was sent and received since the last time.
    fn count(&mut self) {
        let packets = self.session.snapshot().packets;
        let before = std::mem::replace(&mut self.counted, packets);
        for counters in self.peers.values() {
            counters.sent.inc_by(packets.sent - before.sent);
            counters.received.inc_by(packets.received - before.received);
            counters
                .discarded
                .inc_by(packets.discarded - before.discarded);
        }
    }
}

/// Why a packet is not proved to be the router's; none where it was dropped for another reason.
fn unproved(reason: Discard) -> Option<String> {
    let what = if reason == Discard::AuthenticationKind {
        "are authenticated in another way, or not at all,"
    } else if reason == Discard::AuthenticationKey {
        "have another password or keyID"
    } else if reason == Discard::AuthenticationSequence {
        "are older, by their sequence number,"
    } else {
        return None;
    };
    Some(format!(
        "the router's BFD packets {what} than the BFDProfile says"
    ))
}

fn too_far(hops: Hops, ttl: u8) -> String {
    match hops {
        Hops::Single => format!(
            "the router's BFD packets arrive with TTL {ttl} and not 255: it is not on this link, or uses multihop BFD"
        ),
        Hops::Multi { minimum_ttl } => format!(
            "the router's BFD packets arrive with TTL {ttl}, less than minimumTtl {minimum_ttl} of the BFDProfile"
        ),
    }
}

#[cfg(test)]
mod tests;
