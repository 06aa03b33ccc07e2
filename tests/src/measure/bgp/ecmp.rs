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

/// Drains a node `runs` times, then lets it fall silent as often.
pub(super) fn measure(lab: &mut Lab, runs: usize) -> Result<Vec<Figure>> {
    let nodes = lab.topology.nodes.iter();
    let neighbours = nodes.map(|node| Neighbour::plain(node.number, 0)).collect();
    // Each flow by its ports, as routers of a data centre do; and the client, on the same link here, is
    // not to learn of the way behind the router.
    lab.topology.router.sysctl(&[
        ("ipv4/fib_multipath_hash_policy", "1"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/eth0/send_redirects", "0"),
    ])?;
    let mut router = Router::start(lab, Kind::Frr, neighbours)?;
    lab.apply(&format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: routed}}\n\
         spec: {{addresses: [{NET}], autoAssign: false}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {{name: routed}}\n\
         spec: {{ipAddressPools: [routed]}}\n---\n\
         apiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: four}}\n\
         spec: {{myASN: {NODE_AS}, peerASN: {ROUTER_AS}, peerAddress: {}, holdTime: 3s, \
         connectTime: 1s, drainTime: 1s}}\n",
        ADDRESSES[0]
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
    let scene = Scene { address };
    scene.whole(lab, &router)?;
    lab.wait_for_page(address)?;
    let (mut lost, mut share, mut dark) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let (probes, losses) = scene.drain(lab, &router)?;
        tell(&format!("drained: {losses} of {probes} probes lost"));
        lost.push(count(losses));
    }
    for _ in 0..runs {
        let (outage, losses) = scene.silence(lab, &router)?;
        tell(&format!(
            "silent: the last of {:.1} % lost probes after {:.0} ms",
            losses * 100.0,
            outage.as_secs_f64() * 1e3
        ));
        dark.push(outage);
        share.push(losses * 100.0);
    }
    router.stop();
    lab.delete_service("routed")?;
    Ok(vec![
        Figure::new("drained node: lost probes", "", &lost, Some(0.0)),
        Figure::milliseconds(
            "silent node, hold time 3 s: until the last loss",
            &dark,
            Some(HOLD + SLACK),
        ),
        Figure::new("silent node: lost probes until then", "%", &share, None),
    ])
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

struct Scene {
    address: IpAddr,
}

impl Scene {
    fn known_by(&self, lab: &Lab, router: &Router, nodes: &[NodeNumber]) -> Result<()> {
        let hops = nodes.iter().map(|node| node.lan()[0].to_string()).collect();
        let prefix = format!("{}/32", self.address);
        router.wait_for(lab, &prefix, &hops).map(drop)
    }

    fn whole(&self, lab: &Lab, router: &Router) -> Result<()> {
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

    /// How long probes are lost after the node falls silent, and which share of them until then.
    fn silence(&self, lab: &mut Lab, router: &Router) -> Result<(Duration, f64)> {
        let watch = Stopwatch::start();
        let probe = self.probe(lab, watch)?;
        let struck = watch.elapsed();
        lab.strike(Fault::BlackHole, DEAD)?;
        self.known_by(lab, router, &Self::left(lab))?;
        std::thread::sleep(DRAIN);
        let seen = probe.finish()?.udp.since(struck);
        lab.mend(Fault::BlackHole, DEAD)?;
        self.whole(lab, router)?;
        let last = seen.last_lost().context("a silent node lost nothing")?;
        let until = seen.probes.iter().filter(|(at, _)| *at <= last).count();
        Ok((
            last.saturating_sub(struck),
            count(seen.lost()) / count(until),
        ))
    }
}
