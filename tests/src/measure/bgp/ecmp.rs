//! What a client sees through a router that spreads flows over nodes when one of them dies or is drained.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::clock::Stopwatch;
use crate::faults::Fault;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::netns::run;
use crate::probe::fast::FastProbe;
use crate::routers::{ADDRESSES, Kind, NODE_AS, Neighbour, ROUTER_AS, Router};
use crate::services::Wanted;
use crate::telling::tell;
use crate::topology::NodeNumber;

const NET: &str = "198.51.100.0/28";
const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const DEAD: NodeNumber = NodeNumber(1);
const PODS: NodeNumber = NodeNumber(2);

/// The hold time, and what the router may take beyond it.
const HOLD: Duration = Duration::from_secs(3);
const SLACK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(1);
/// Of two or three flows in a thousand milliseconds some are lost as long as a node is in the way.
const CALM: Duration = Duration::from_millis(100);

/// Drains a node so many times, lets it fall silent as often, and then with BFD, beside BIRD.
pub(super) fn measure(lab: &mut Lab, losses: usize, watched: usize) -> Result<Vec<Figure>> {
    let scene = Scene::set(lab)?;
    let mut figures = Vec::new();
    if losses > 0 {
        figures.extend(scene.held(lab, losses)?);
    }
    if watched > 0 {
        figures.extend(super::watched::measure(lab, &scene, watched)?);
    }
    lab.delete_service("routed")?;
    Ok(figures)
}

/// The router for every node; `more` goes into the spec.
pub(super) fn peer(more: &str) -> String {
    format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: four}}\n\
         spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: {}, connectTime: 1s, {more}}}\n",
        ADDRESSES[0]
    )
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// A Service behind the router.
pub(super) struct Scene {
    pub(super) address: IpAddr,
}

impl Scene {
    /// Makes the Service, or finds it made.
    pub(super) fn set(lab: &Lab) -> Result<Self> {
        // Each flow by its ports, as routers of a data centre do; and the client, on the same link here,
        // is not to learn of the way behind the router.
        lab.topology.router.sysctl(&[
            ("ipv4/fib_multipath_hash_policy", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/eth0/send_redirects", "0"),
        ])?;
        lab.apply(&format!(
            "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: routed}}\n\
             spec: {{addresses: [{NET}], autoAssign: false}}\n---\n\
             apiVersion: heraldlb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: routed}}\n\
             spec: {{ipAddressPools: [routed]}}\n"
        ))?;
        let wanted = Wanted {
            node: Some(PODS),
            ..Wanted::single("routed", "IPv4").annotated("heraldlb.io/address-pool", "routed")
        };
        lab.create_service(&wanted)?;
        let addresses = lab.wait_for_addresses(&wanted)?;
        let address = *addresses.first().context("a Service has no address")?;
        let client = lab.topology.client.clone();
        run(client
            .command("ip")
            .args(["route", "replace", NET, "via", ADDRESSES[0]]))?;
        Ok(Self { address })
    }

    /// Drained and silent, noticed by the hold time.
    fn held(&self, lab: &mut Lab, runs: usize) -> Result<Vec<Figure>> {
        let nodes = lab.topology.nodes.iter();
        let neighbours = nodes.map(|node| Neighbour::plain(node.number, 0)).collect();
        let mut router = Router::start(lab, Kind::Frr, neighbours)?;
        lab.apply(&peer("holdTime: 3s, drainTime: 1s"))?;
        self.whole(lab, &router)?;
        lab.wait_for_page(self.address)?;
        let (mut lost, mut share, mut dark) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..runs {
            let (probes, losses) = self.drain(lab, &router)?;
            tell(&format!("drained: {losses} of {probes} probes lost"));
            lost.push(count(losses));
        }
        for _ in 0..runs {
            let (outage, losses) = self.silence(lab, &router)?;
            tell(&format!(
                "silent: {:.1} % of the probes lost for {:.0} ms",
                losses * 100.0,
                outage.as_secs_f64() * 1e3
            ));
            dark.push(outage);
            share.push(losses * 100.0);
        }
        router.stop();
        Ok(vec![
            Figure::new("drained node: lost probes", "", &lost, Some(0.0)),
            Figure::milliseconds(
                "silent node, hold time 3 s: losses for",
                &dark,
                Some(HOLD + SLACK),
            ),
            Figure::new("silent node: lost probes meanwhile", "%", &share, None),
        ])
    }

    fn known_by(&self, lab: &Lab, router: &Router, nodes: &[NodeNumber]) -> Result<()> {
        let hops = nodes.iter().map(|node| node.lan()[0].to_string()).collect();
        let prefix = format!("{}/32", self.address);
        router.wait_for(lab, &prefix, &hops).map(drop)
    }

    /// Waits until the router knows the way by every node.
    pub(super) fn whole(&self, lab: &Lab, router: &Router) -> Result<()> {
        let all: Vec<NodeNumber> = lab.topology.nodes.iter().map(|node| node.number).collect();
        self.known_by(lab, router, &all)
    }

    fn left(lab: &Lab) -> Vec<NodeNumber> {
        let nodes = lab.topology.nodes.iter().map(|node| node.number);
        nodes.filter(|node| *node != DEAD).collect()
    }

    fn probe(&self, lab: &Lab, watch: Stopwatch) -> Result<FastProbe> {
        let target = SocketAddr::new(self.address, 80);
        let probe = FastProbe::start(&lab.topology.client, watch, target)?;
        lab.wait("the Service is not answered", PATIENCE, |_| {
            Ok(probe.answered_within(Duration::from_millis(100)))
        })?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(probe)
    }

    /// How many probes were sent, and how many lost, while the node is excluded and comes back.
    fn drain(&self, lab: &Lab, router: &Router) -> Result<(usize, usize)> {
        let watch = Stopwatch::start();
        let probe = self.probe(lab, watch)?;
        let begun = watch.elapsed();
        lab.kubectl(&["label", "node", &DEAD.name(), &format!("{EXCLUDE}=")])?;
        self.known_by(lab, router, &Self::left(lab))?;
        std::thread::sleep(DRAIN);
        lab.kubectl(&["label", "node", &DEAD.name(), &format!("{EXCLUDE}-")])?;
        self.whole(lab, router)?;
        std::thread::sleep(DRAIN);
        let seen = probe.finish()?.udp.since(begun);
        Ok((seen.probes.len(), seen.lost()))
    }

    /// How long probes are lost when the node falls silent, and which share of them.
    pub(super) fn silence(&self, lab: &mut Lab, router: &Router) -> Result<(Duration, f64)> {
        let watch = Stopwatch::start();
        let probe = self.probe(lab, watch)?;
        let struck = watch.elapsed();
        lab.strike(Fault::BlackHole, DEAD)?;
        self.known_by(lab, router, &Self::left(lab))?;
        std::thread::sleep(DRAIN);
        let seen = probe.finish()?.udp.since(struck);
        lab.mend(Fault::BlackHole, DEAD)?;
        self.whole(lab, router)?;
        let (first, last) = seen.spell(CALM).context("a silent node lost nothing")?;
        let until = seen.probes.iter();
        let until = until.filter(|(at, _)| (first..=last).contains(at));
        let (lost, sent) = until.fold((0, 0), |(lost, sent), (_, answered)| {
            (lost + usize::from(!answered), sent + 1)
        });
        if seen.lost() > lost {
            tell(&format!(
                "{} probes were lost at another time",
                seen.lost() - lost
            ));
        }
        Ok((last - first, count(lost) / count(sent)))
    }
}
