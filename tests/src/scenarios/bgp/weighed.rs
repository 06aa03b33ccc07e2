//! Nodes get traffic in proportion to their endpoints: FRR reads the link bandwidth that they tell, and gives
//! the kernel's next hops their weights.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    ADDRESSES, PATIENCE, POOL, announced, established, establishments, peer, prefix, present,
};
use crate::capture::{self, Capture};
use crate::lab::Lab;
use crate::netns::run;
use crate::pod;
use crate::routers::{Kind, Neighbour, Router};
use crate::scenarios::tool::heraldctl;
use crate::scenarios::{Stage, expect_same, linger, needs};
use crate::services::Wanted;
use crate::telling::tell;
use crate::topology::NodeNumber;

const ONE: NodeNumber = NodeNumber(1);
const TWO: NodeNumber = NodeNumber(2);
const THREE: NodeNumber = NodeNumber(3);

/// The pods of this scenario, and its Service.
const APP: &str = "weighed";

/// One megabit, in octets.
const MEGABIT: u64 = 125_000;

/// Of 300 pages that come from one node with probability 2/3, 200 are expected, and as many as these are had
/// in all but one of a million tries.
const PAGES: usize = 300;
const MOST: std::ops::RangeInclusive<usize> = 160..=240;

/// So many may not come on a busy machine: here it matters who sends those that do.
const LOST: usize = 3;

/// How long a page may take.
const LIMIT: Duration = Duration::from_secs(2);

/// FRR tells when a path was told, and may be wrong by a second. What is told later than this is told anew.
const LATER: Duration = Duration::from_secs(3);

/// What the nodes tell, in megabits.
type Shares = BTreeMap<NodeNumber, u64>;

/// With policy Local two endpoints get twice the traffic of one, and a node without gets none. As they come and
/// go, only the node concerned tells something new, and neither a session nor a route is lost. With policy
/// Cluster all nodes are the same.
pub(in crate::scenarios) fn weighed(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Frr)?;
    if lab.topology.nodes.len() < 3 {
        bail!("this needs three nodes");
    }
    let path = lab.files.state.join("weighed.pcap");
    let capture = Capture::start(&lab.topology.router, &path)?;
    let nodes = lab.topology.nodes.iter();
    let neighbours = nodes.map(|node| Neighbour {
        both: true,
        ..Neighbour::plain(node.number, 0)
    });
    let mut router = Router::start(lab, Kind::Frr, neighbours.collect())?;
    let outcome = weighed_by(lab, &router);
    capture.finish()?;
    router.stop();
    lab.delete_pods(APP)?;
    outcome?;
    dissected(&path)
}

fn weighed_by(lab: &mut Lab, router: &Router) -> Result<()> {
    let both = "dualStackAddressFamily: true";
    lab.apply(&(advertised("{}") + &peer("tor", None, ADDRESSES[0], both)))?;
    for node in [ONE, ONE, TWO] {
        lab.run_pod(APP, node)?;
    }
    established(lab, &[ONE, TWO, THREE].map(|node| (node, "tor")))?;
    let wanted = Wanted {
        app: APP,
        ..Wanted::dual(APP)
            .annotated("heraldlb.io/address-pool", "routed")
            .local()
    };
    lab.create_service(&wanted)?;
    let addresses = lab.wait_for_addresses(&wanted)?;
    let four = *addresses.first().context("a Service has no address")?;
    let mut told = Told {
        router,
        addresses,
        shares: Shares::new(),
    };
    told.becomes(lab, &[(ONE, 2), (TWO, 1)])?;
    pages(lab, four)?;
    let words = "node-1 (link bandwidth 2 Mbit/s), node-2 (link bandwidth 1 Mbit/s)";
    let (_, said) = heraldctl(lab, &["explain", "svc", "default/weighed"])?;
    if !said.contains(words) {
        bail!("heraldctl explain does not say {words:?}: {said}");
    }

    let sessions = establishments(lab)?;
    let before = told_at(router, four, ONE)?;
    linger(LATER);
    let grown = lab.run_pod(APP, TWO)?;
    told.becomes(lab, &[(ONE, 2), (TWO, 2)])?;
    lab.run_pod(APP, THREE)?;
    told.becomes(lab, &[(ONE, 2), (TWO, 2), (THREE, 1)])?;
    lab.delete_pod(&grown)?;
    told.becomes(lab, &[(ONE, 2), (TWO, 1), (THREE, 1)])?;
    if told_at(router, four, ONE)?.abs_diff(before) > 1 {
        bail!("node-1 told its path anew, and nothing had changed there");
    }

    // What is not transitive is taken from whoever has attached it, of another AS or not.
    lab.apply(&advertised("{megabitsPerSecond: 100, transitive: false}"))?;
    let hundredfold = [(ONE, 200), (TWO, 100), (THREE, 100)];
    told.becomes(lab, &hundredfold)?;
    let policy = |policy: &str| json!({"spec": {"externalTrafficPolicy": policy}});
    lab.change_service(APP, &policy("Cluster"))?;
    told.becomes(lab, &[(ONE, 100), (TWO, 100), (THREE, 100)])?;
    lab.change_service(APP, &policy("Local"))?;
    told.becomes(lab, &hundredfold)?;

    // A node that is drained tells its share to the end.
    lab.kubectl(&["cordon", &ONE.name()])?;
    let leaving = lab.wait("a cordoned node does not say so", PATIENCE, |_| {
        let path = path(router, four, ONE)?;
        let leaving = path.to_string().contains("gracefulShutdown");
        Ok(leaving && bandwidth(&path) == Some(200 * MEGABIT))
    });
    lab.kubectl(&["uncordon", &ONE.name()])?;
    leaving?;
    told.becomes(lab, &hundredfold)?;
    expect_same(
        "how often sessions came up",
        &establishments(lab)?,
        &sessions,
    )
}

/// The pool and its advertisement, with this `linkBandwidth`.
fn advertised(link_bandwidth: &str) -> String {
    let spec = "spec: {ipAddressPools: [routed], ";
    announced().replace(spec, &format!("{spec}linkBandwidth: {link_bandwidth}, "))
}

/// What FRR was last seen to know of the Service.
struct Told<'a> {
    router: &'a Router,
    addresses: Vec<IpAddr>,
    shares: Shares,
}

impl Told<'_> {
    /// Waits until FRR knows these shares, and the kernel weights in proportion. A path that is there before and
    /// after is never seen missing on the way.
    fn becomes(&mut self, lab: &Lab, wanted: &[(NodeNumber, u64)]) -> Result<()> {
        let wanted: Shares = wanted.iter().copied().collect();
        let staying = self.shares.keys().filter(|node| wanted.contains_key(node));
        let staying: Vec<NodeNumber> = staying.copied().collect();
        let (seen, lost) = (RefCell::new(Vec::new()), Cell::new(None));
        let waited = lab.wait("shares are not as wanted", PATIENCE, |_| {
            let mut is_same = true;
            seen.borrow_mut().clear();
            for address in &self.addresses {
                let told = shares(lab, self.router, *address)?;
                let gone = staying.iter().find(|node| !told.contains_key(node));
                lost.set(lost.get().or(gone.map(|node| (*node, *address))));
                let weights = weights(lab, *address)?;
                is_same &= told == wanted && is_in_proportion(&weights, &wanted);
                seen.borrow_mut().push((told, weights));
            }
            Ok(is_same)
        });
        if let Some((node, address)) = lost.get() {
            bail!("the path to {address} by {} was lost", node.name());
        }
        waited.with_context(|| format!("seen {:?}, wanted {wanted:?}", seen.take()))?;
        self.shares = wanted;
        Ok(())
    }
}

/// The paths to an address that FRR knows, and the bandwidth of each in megabits; 0 where none is told.
fn shares(lab: &Lab, router: &Router, address: IpAddr) -> Result<Shares> {
    let mut shares = Shares::new();
    for (hop, said) in router.paths(&prefix(address))? {
        let said: Value = serde_json::from_str(&said)?;
        let octets = bandwidth(&said).unwrap_or_default();
        shares.insert(node_at(lab, &hop)?, octets / MEGABIT);
    }
    Ok(shares)
}

/// The link bandwidth of a path in octets per second: FRR writes `LB:64512:250000 (2.000 Mbps)`.
fn bandwidth(path: &Value) -> Option<u64> {
    let said = path["extendedCommunity"]["string"].as_str()?;
    let mut words = said.split_whitespace();
    let (asn, octets) = words.find_map(|word| word.strip_prefix("LB:")?.split_once(':'))?;
    (asn == super::NODE_AS.to_string()).then(|| octets.parse().ok())?
}

/// What FRR says of the path to an address by a node.
fn path(router: &Router, address: IpAddr, node: NodeNumber) -> Result<Value> {
    let paths = router.paths(&prefix(address))?;
    let said = paths.get(&node.lan()[0].to_string());
    Ok(serde_json::from_str(
        said.context("there is no such path")?,
    )?)
}

/// When FRR was last told of the path to an address by a node, in seconds.
fn told_at(router: &Router, address: IpAddr, node: NodeNumber) -> Result<u64> {
    let path = path(router, address, node)?;
    let time = path["lastUpdate"]["epoch"].as_u64();
    time.context("FRR does not say when a path was told")
}

/// The weights of the kernel's next hops for an address; none where there is one hop alone.
fn weights(lab: &Lab, address: IpAddr) -> Result<Shares> {
    let family = if address.is_ipv4() { "-4" } else { "-6" };
    let mut show = lab.topology.router.command("ip");
    let said = run(show.args([family, "-json", "route", "show", &address.to_string()]))?;
    let said: Value = serde_json::from_str(&said).context("ip does not answer in JSON")?;
    let mut weights = Shares::new();
    for hop in said[0]["nexthops"].as_array().into_iter().flatten() {
        let gateway = hop["gateway"]
            .as_str()
            .context("a next hop has no gateway")?;
        let weight = hop["weight"].as_u64().context("a next hop has no weight")?;
        weights.insert(node_at(lab, gateway)?, weight);
    }
    Ok(weights)
}

fn node_at(lab: &Lab, address: &str) -> Result<NodeNumber> {
    let mut nodes = lab.topology.nodes.iter().map(|node| node.number);
    let here = |node: &NodeNumber| node.lan().iter().any(|one| one.to_string() == address);
    nodes
        .find(here)
        .with_context(|| format!("{address} is no node"))
}

/// Whether weights are the shares but for what rounding to hundredths takes.
fn is_in_proportion(weights: &Shares, shares: &Shares) -> bool {
    let part = |of: &Shares, node| -> Option<f64> {
        let sum = of.values().sum::<u64>() as f64;
        of.get(node).map(|one| *one as f64 / sum)
    };
    weights.len() == shares.len()
        && shares.keys().all(|node| {
            let parts = part(weights, node).zip(part(shares, node));
            parts.is_some_and(|(one, other)| (one - other).abs() < 0.02)
        })
}

/// Pages come from node-1 and node-2 as two to one, each connection for itself.
fn pages(lab: &Lab, address: IpAddr) -> Result<()> {
    let (client, router) = (&lab.topology.client, &lab.topology.router);
    // Flows by their ports; and the client is not to learn of the way behind the router.
    router.sysctl(&[
        ("ipv4/fib_multipath_hash_policy", "1"),
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/eth0/send_redirects", "0"),
    ])?;
    run(client
        .command("ip")
        .args(["route", "replace", POOL[0], "via", ADDRESSES[0]]))?;
    let count = |pages: usize| -> (BTreeMap<String, usize>, Vec<String>) {
        let (mut counts, mut lost) = (BTreeMap::new(), Vec::new());
        for _ in 0..pages {
            match pod::fetch(client, SocketAddr::new(address, 80), LIMIT) {
                Ok(page) => *counts.entry(page.node).or_default() += 1,
                Err(error) => lost.push(error.to_string()),
            }
        }
        (counts, lost)
    };
    // So many in a row are had when both kube-proxies know of the Service.
    let ready = lab.wait("pages do not come", PATIENCE, |_| {
        let (counts, lost) = count(20);
        Ok(counts.len() == 2 && lost.is_empty())
    });
    let counted = ready.map(|_| count(PAGES));
    router.sysctl(&[("ipv4/fib_multipath_hash_policy", "0")])?;
    run(client.command("ip").args(["route", "del", POOL[0]]))?;
    let (counts, lost) = counted?;
    tell(&format!("    {PAGES} pages: {counts:?} {lost:?}"));
    if lost.len() > LOST {
        bail!("{} of {PAGES} pages did not come: {lost:?}", lost.len());
    }
    let most = counts.get(&ONE.name()).copied().unwrap_or_default();
    if counts.len() != 2 || !MOST.contains(&most) {
        bail!("{PAGES} pages come from {counts:?}, not two to one from node-1 and node-2");
    }
    Ok(())
}

/// Nobody withdrew a prefix, and nothing was malformed.
fn dissected(path: &std::path::Path) -> Result<()> {
    if needs("tshark", "tshark").is_err() {
        tell("    tshark is missing: messages are not dissected");
        return Ok(());
    }
    let updates = capture::matching(path, "bgp.type == 2")?;
    let bad = capture::matching(
        path,
        "bgp.update.withdrawn_routes.length > 0 || bgp.mp_unreach_nlri_ipv6_prefix || \
         (bgp && (_ws.malformed || _ws.expert.severity == error))",
    )?;
    if let Some(first) = bad.first() {
        bail!(
            "{} of {} messages withdraw something or are malformed, the first: {first}",
            bad.len(),
            updates.len()
        );
    }
    Ok(())
}
