//! What the API server itself says to objects of Herald's kinds: schemas and CEL rules, nothing of
//! Herald's programs.
//!
//! The tables hold every kind at its smallest and at its fullest, and one mistake a row. All of it is
//! sent as `kubectl create --dry-run=server` sends it, so nothing is stored.

use anyhow::{Context, Result, bail};

use super::Stage;
use crate::lab::Lab;

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
           retain: 24h, reuseDelay: 1m30s, sharing: Automatic,
           ports: [{port: 1}, {protocol: SCTP, port: 80, endPort: 65535}], draining: true}",
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
    ("BFDProfile", ""),
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

/// Kind, the object's fields, and what the refusal must name: the field, and where a sentence of ours
/// stands behind it, words of that.
type Bad = (&'static str, &'static str, &'static [&'static str]);

const BAD: &[Bad] = &[
    ("IPAddressPool", "", &["spec: Required"]),
    ("IPAddressPool", "spec: {}", &["spec.addresses: Required"]),
    (
        "IPAddressPool",
        "spec: {addresses: []}",
        &["spec.addresses"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.9, 192.0.2.5/24]}",
        &["spec.addresses[1]", "has host bits set; write 192.0.2.0/24"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: ['2001:db8::1/64']}",
        &[
            "spec.addresses[0]",
            "has host bits set; write 2001:db8::/64",
        ],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: ['192.0.2.1-2001:db8::1']}",
        &["spec.addresses[0]", "a range has one family"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.300]}",
        &["spec.addresses[0]", "write a network (192.0.2.0/24)"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/33]}",
        &["spec.addresses[0]", "write a network (192.0.2.0/24)"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.1-5]}",
        &["spec.addresses[0]", "write a range as first-last"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.1-192.0.2.2-192.0.2.3]}",
        &["spec.addresses[0]", "write a range as first-last"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], excludedAddresses: [192.0.2.1/28]}",
        &["spec.excludedAddresses[0]", "has host bits set"],
    ),
    (
        "IPAddressPool",
        "spec: {adresses: [192.0.2.0/28]}",
        &["unknown field \"spec.adresses\""],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: 192.0.2.0/28}",
        &["spec.addresses"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], quotas: [{maxAddresses: 0}]}",
        &["spec.quotas[0].maxAddresses"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], retain: a day}",
        &["spec.retain"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], sharing: Sometimes}",
        &["spec.sharing", "ByKey"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [{port: 0}]}",
        &["spec.ports[0].port"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [{port: 65536}]}",
        &["spec.ports[0].port"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [{port: 80, endPort: 79}]}",
        &["spec.ports[0]", "endPort must not be below port"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [{port: 80, protocol: ICMP}]}",
        &["spec.ports[0].protocol", "TCP"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], serviceAllocation: {priority: -1}}",
        &["spec.serviceAllocation.priority"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: Near}]}]}}",
        &[
            "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0].operator",
            "NotIn",
        ],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In}]}]}}",
        &[
            "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0]",
            "In and NotIn need values",
        ],
    ),
    (
        "IPReservation",
        "spec: {service: {namespace: shop, name: web}}",
        &["spec.addresses: Required"],
    ),
    (
        "IPReservation",
        "spec: {addresses: [192.0.2.9], service: {name: web}}",
        &["spec.service.namespace"],
    ),
    (
        "IPReservation",
        "spec: {addresses: [nine]}",
        &["spec.addresses[0]", "write a network"],
    ),
    (
        "L2Advertisement",
        "spec: {preferredNodeSelectors: [{weight: 0, preference: {}}]}",
        &["spec.preferredNodeSelectors[0].weight"],
    ),
    (
        "L2Advertisement",
        "spec: {preferredNodeSelectors: [{weight: 101, preference: {}}]}",
        &["spec.preferredNodeSelectors[0].weight"],
    ),
    (
        "L2Advertisement",
        "spec: {preferredNodeSelectors: [{weight: 1}]}",
        &["spec.preferredNodeSelectors[0].preference: Required"],
    ),
    (
        "L2Advertisement",
        "spec: {interfaces: [eth0 eth1]}",
        &[
            "spec.interfaces[0]",
            "write an interface's name (eth0) or a pattern (bond*)",
        ],
    ),
    (
        "L2Advertisement",
        "spec: {ipAddressPools: [lan, lan]}",
        &["spec.ipAddressPools[1]: Duplicate"],
    ),
    (
        "BGPAdvertisement",
        "spec: {aggregationLength: 33}",
        &["spec.aggregationLength"],
    ),
    (
        "BGPAdvertisement",
        "spec: {aggregationLengthV6: 0}",
        &["spec.aggregationLengthV6"],
    ),
    (
        "BGPAdvertisement",
        "spec: {aggregationLength: 24, serviceSelectors: [{matchLabels: {a: b}}]}",
        &["spec", "serviceSelectors need aggregationLength 32"],
    ),
    (
        "BGPAdvertisement",
        "spec: {localPref: -1}",
        &["spec.localPref"],
    ),
    ("BGPAdvertisement", "spec: {med: 4294967296}", &["spec.med"]),
    ("BGPAdvertisement", "spec: {prepend: 0}", &["spec.prepend"]),
    (
        "BGPAdvertisement",
        "spec: {communities: ['64512:1:2']}",
        &["spec.communities[0]", "write numbers (64512:100"],
    ),
    (
        "BGPPeer",
        "spec: {peerASN: 64513, peerAddress: 192.0.2.1}",
        &["spec.myASN: Required"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 0, peerASN: 64513, peerAddress: 192.0.2.1}",
        &["spec.myASN"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 4294967296, peerAddress: 192.0.2.1}",
        &["spec.peerASN"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, dynamicASN: external, peerAddress: 192.0.2.1}",
        &["spec", "set exactly one of peerASN and dynamicASN"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerAddress: 192.0.2.1}",
        &["spec", "set exactly one of peerASN and dynamicASN"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, dynamicASN: both, peerAddress: 192.0.2.1}",
        &["spec.dynamicASN", "internal"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, interface: eth0}",
        &["spec", "set exactly one of peerAddress and interface"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513}",
        &["spec", "set exactly one of peerAddress and interface"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: tor.example.com}",
        &["spec.peerAddress", "write one IP address"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, routerID: '2001:db8::1'}",
        &["spec.routerID", "write an IPv4 address"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, peerPort: 0}",
        &["spec.peerPort"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, peerPort: 65536}",
        &["spec.peerPort"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 1s}",
        &[
            "spec.holdTime",
            "must be 0s (no hold timer) or between 3s and 65535s",
        ],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 90}",
        &["spec.holdTime"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 9s, keepaliveTime: 10s}",
        &["spec", "keepaliveTime must not be longer than holdTime"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, connectTime: 0s}",
        &["spec.connectTime", "must be between 1s and 65535s"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64512, peerAddress: 192.0.2.1, ebgpMultiHop: true}",
        &["spec", "peerASN must differ from myASN"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, dynamicASN: internal, peerAddress: 192.0.2.1, ebgpMultiHop: true}",
        &["spec", "dynamicASN must not be internal"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, ebgpMultiHop: true, ttlSecurity: 2}",
        &["spec", "set only one of ebgpMultiHop and ttlSecurity"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, ttlSecurity: 255}",
        &["spec.ttlSecurity"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, passwordSecret: {name: a},
           tcpAO: {keys: [{sendID: 1, receiveID: 1, secret: {name: a}}]}}",
        &["spec", "set only one of passwordSecret and tcpAO"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1,
           tcpAO: {keys: [{sendID: 256, receiveID: 1, algorithm: MD5, secret: {name: a}}]}}",
        &[
            "spec.tcpAO.keys[0].sendID",
            "spec.tcpAO.keys[0].algorithm",
            "HMAC-SHA-1-96",
        ],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, bfdStrict: true}",
        &["spec", "bfdStrict needs a bfdProfile"],
    ),
    (
        "BFDProfile",
        "spec: {receiveInterval: 9}",
        &["spec.receiveInterval"],
    ),
    (
        "BFDProfile",
        "spec: {detectMultiplier: 1}",
        &["spec.detectMultiplier"],
    ),
    (
        "BFDProfile",
        "spec: {minimumTtl: 255}",
        &["spec.minimumTtl"],
    ),
    (
        "Community",
        "spec: {communities: [{name: a, value: ours}]}",
        &["spec.communities[0].value", "write numbers (64512:100"],
    ),
    (
        "Community",
        "spec: {communities: [{name: a, value: '1:1'}, {name: a, value: '1:2'}]}",
        &["spec.communities[1]: Duplicate"],
    ),
    (
        "Community",
        "spec: {communities: [{name: a b, value: '1:1'}]}",
        &["spec.communities[0].name"],
    ),
    ("Speaker", "spec: {node: a}", &["unknown field \"spec\""]),
    (
        "ServiceAnnouncement",
        "spec: {addresses: []}",
        &["unknown field \"spec\""],
    ),
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
    let output = lab
        .programs
        .command("kubectl")
        .env("KUBECONFIG", lab.files.kubeconfig("admin"))
        .args(["create", "--dry-run=server", "-f"])
        .arg(&path)
        .output()
        .context("cannot start kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((output.status.success(), said))
}
