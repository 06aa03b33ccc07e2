//! What the API server itself says to objects of Herald's kinds: schemas and CEL rules, and nothing of
//! Herald's programs but what they say to the samples.
//!
//! The tables hold every kind at its smallest and at its fullest, and one mistake a row. All of it is
//! sent as `kubectl create --dry-run=server` sends it, so nothing is stored.

mod refused;

use anyhow::{Context, Result, bail};

use self::refused::BAD;
use super::tool::heraldctl;
use super::{Stage, expect_same};
use crate::lab::Lab;
use crate::services::PATIENCE;

/// Kind, and the object's fields besides kind and metadata.
type Good = (&'static str, &'static str);

const GOOD: &[Good] = &[
    ("IPAddressPool", "spec: {addresses: [192.0.2.0/28]}"),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.9, 192.0.2.10-192.0.2.20, 192.0.2.30 - 192.0.2.40, 0.0.0.0/0,
           '2001:db8::1', '2001:db8::10-2001:db8::20', '2001:db8:1::/48', '::/0']}",
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], excludedAddresses: [192.0.2.1, 192.0.2.4/30], autoAssign: false,
           avoidBuggyIPs: true, serviceAllocation: {priority: 1, namespaces: [shop],
             namespaceSelectors: [{matchLabels: {tier: gold}}],
             serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [b]}, {key: c, operator: Exists}]}]},
           quotas: [{namespaces: [shop], namespaceSelectors: [{}], maxAddresses: 1}],
           retain: 24h, reuseDelay: 1m30s, sharing: Automatic, sharingScope: Cluster,
           ports: ['1', 443/TCP, 80-65535/SCTP], draining: true}",
    ),
    ("IPReservation", "spec: {addresses: [192.0.2.9]}"),
    (
        "IPReservation",
        "spec: {addresses: [192.0.2.8/30, '2001:db8::1-2001:db8::2'], service: {namespace: shop, name: web}}",
    ),
    ("L2Advertisement", ""),
    (
        "L2Advertisement",
        "spec: {ipAddressPools: [lan], ipAddressPoolSelectors: [{matchLabels: {zone: a}}], nodeSelectors: [{}],
           preferredNodeSelectors: [{weight: 1, preference: {}}, {weight: 100, preference: {matchLabels: {rack: r1}}}],
           interfaces: [eth0, 'bond*', eth0.100], serviceSelectors: [{matchLabels: {public: 'yes'}}]}",
    ),
    ("BGPAdvertisement", ""),
    (
        "BGPAdvertisement",
        "spec: {aggregationLength: 24, aggregationLengthV6: 64, localPref: 0, med: 4294967295, prepend: 10,
           communities: ['64512:100', 'large:64512:1:2', 'rt:64512:100', 'soo:192.0.2.1:100', no-export, ours],
           ipAddressPools: [lan], ipAddressPoolSelectors: [{}], nodeSelectors: [{}], peers: [tor]}",
    ),
    (
        "BGPAdvertisement",
        "spec: {serviceSelectors: [{matchLabels: {a: b}}]}",
    ),
    ("BGPAdvertisement", "spec: {linkBandwidth: {}}"),
    (
        "BGPAdvertisement",
        "spec: {linkBandwidth: {per: Node, megabitsPerSecond: 1000000, transitive: false}}",
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}",
    ),
    (
        "BGPPeer",
        "spec: {myASN: 4294967295, dynamicASN: external, interface: eth0}",
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, localASN: 64514, peerAddress: '2001:db8::1', peerPort: 1790,
           sourceAddress: '2001:db8::2', holdTime: 9s, keepaliveTime: 3s, connectTime: 10s, routerID: 192.0.2.2,
           nodeSelectors: [{}], passwordSecret: {name: md5, namespace: shop}, bfdProfile: fast, bfdStrict: true,
           enableGracefulRestart: true, ttlSecurity: 1, drainTime: 5s, vrf: red, dualStackAddressFamily: true}",
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, dynamicASN: internal, peerAddress: 192.0.2.1, holdTime: 0s, tcpAO: {keys: [
           {sendID: 0, receiveID: 255, secret: {name: a}},
           {sendID: 1, receiveID: 1, algorithm: AES-128-CMAC-96, secret: {name: b}}]}}",
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 'FE80::1%bond0.100'}",
    ),
    ("BFDProfile", ""),
    (
        "BFDProfile",
        "spec: {authentication: {type: MeticulousKeyedSHA1, keyID: 0, passwordSecret: {name: bfd}}}",
    ),
    (
        "BFDProfile",
        "spec: {receiveInterval: 10, transmitInterval: 60000, detectMultiplier: 2, echoInterval: 10, echoMode: true,
           passiveMode: true, minimumTtl: 1}",
    ),
    ("Community", ""),
    (
        "Community",
        "spec: {communities: [{name: a, value: '64512:100'}, {name: b.c, value: 'large:64512:1:2'},
           {name: d, value: 'rt:64512:100'}, {name: e, value: no-export}]}",
    ),
    ("Speaker", ""),
    ("ServiceAnnouncement", ""),
];

/// The kinds that samples are of.
const SAMPLED: [&str; 6] = [
    "IPAddressPool",
    "L2Advertisement",
    "BGPAdvertisement",
    "BGPPeer",
    "BFDProfile",
    "Community",
];

/// Good ones are taken without a remark; each bad one is refused with its field and our sentence.
pub(super) fn judged(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let good: Vec<String> = (1..)
        .zip(GOOD)
        .map(|(number, (kind, fields))| document(kind, number, fields))
        .collect();
    let (taken, said) = create(lab, &good.join("---\n"))?;
    if !taken || said.contains("Warning") {
        bail!("not every good object is taken without a remark: {said}");
    }
    let mut wrong = Vec::new();
    for (number, (kind, fields, names)) in (1..).zip(BAD) {
        match lab
            .api
            .refusal(&collection(kind), &document(kind, number, fields))?
        {
            None => wrong.push(format!("{kind} with {fields} is taken")),
            Some(said) => {
                if let Some(name) = names.iter().find(|name| !said.contains(**name)) {
                    wrong.push(format!(
                        "{kind} with {fields} is refused without {name:?}: {said}"
                    ));
                }
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// The shipped samples are taken without a remark, `heraldctl check` finds nothing in them, and Herald
/// accepts every object.
pub(super) fn samples(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let directory = lab.programs.manifests.join("samples");
    let lan = directory.display().to_string();
    let bgp = directory.join("bgp").display().to_string();
    let (code, said) = heraldctl(lab, &["check", &lan, &bgp])?;
    if code != Some(0) || !said.contains(" 0 problems, 0 notices") {
        bail!("heraldctl check of the samples ends with {code:?} and says: {said}");
    }
    for samples in [&lan, &bgp] {
        let (taken, said) = kubectl(lab, &["apply", "-k", samples])?;
        if !taken || !said.is_empty() {
            bail!("{samples} is not taken without a remark: {said}");
        }
    }
    let accepted = lab.wait("a sample is not accepted", PATIENCE, |lab| {
        let mut seen = 0;
        for kind in SAMPLED {
            for object in lab.api.list(&collection(kind))? {
                let (name, status) = (&object["metadata"]["name"], &object["status"]);
                let conditions = status["conditions"].as_array().into_iter().flatten();
                let mut accepted = conditions.filter(|one| one["type"] == "Accepted");
                if !accepted.any(|one| one["status"] == "True") {
                    bail!("{kind} {name}: {status}");
                }
                seen += 1;
            }
        }
        // The lab has a pool and an advertisement of its own.
        expect_same("how many objects there are", &seen, &9).map(|()| true)
    });
    for samples in [&lan, &bgp] {
        kubectl(lab, &["delete", "--wait=false", "-k", samples])?;
    }
    accepted.map(drop)
}

/// Where objects of a kind are created.
fn collection(kind: &str) -> String {
    let plural = match kind {
        "Community" => "communities".to_owned(),
        "ServiceAnnouncement" => "namespaces/default/serviceannouncements".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    format!("/apis/heraldlb.io/v1beta1/{plural}")
}

fn document(kind: &str, number: usize, fields: &str) -> String {
    format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: {kind}\nmetadata: {{name: row-{number}}}\n{fields}\n"
    )
}

/// Whether the API server would store every one of the documents, and what kubectl says besides.
fn create(lab: &Lab, documents: &str) -> Result<(bool, String)> {
    let path = lab.files.state.join("judged.yaml");
    std::fs::write(&path, documents)?;
    let path = path.display().to_string();
    kubectl(lab, &["create", "--dry-run=server", "-f", &path])
}

/// Whether it succeeds, and what it remarks.
fn kubectl(lab: &Lab, arguments: &[&str]) -> Result<(bool, String)> {
    let output = lab
        .programs
        .command("kubectl")
        .env("KUBECONFIG", lab.files.kubeconfig("admin"))
        .args(arguments)
        .output()
        .context("cannot start kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((output.status.success(), said))
}
