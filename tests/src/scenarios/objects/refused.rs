//! Objects the API server refuses.

/// Kind, the object's fields, and what the refusal must name: the field, and where a sentence of ours
/// stands behind it, words of that.
pub(super) type Bad = (&'static str, &'static str, &'static [&'static str]);

/// One mistake a row.
pub(super) const BAD: &[Bad] = &[
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
        "spec: {addresses: [192.0.2.0/28], ports: ['0']}",
        &["spec.ports[0]", "between 1 and 65535"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: ['65536']}",
        &["spec.ports[0]", "between 1 and 65535"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [80-79/TCP]}",
        &["spec.ports[0]", "must not start after it ends"],
    ),
    (
        "IPAddressPool",
        "spec: {addresses: [192.0.2.0/28], ports: [80/ICMP]}",
        &["spec.ports[0]", "TCP"],
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
        "spec: {linkBandwidth: {megabitsPerSecond: 0}}",
        &["spec.linkBandwidth.megabitsPerSecond"],
    ),
    (
        "BGPAdvertisement",
        "spec: {linkBandwidth: {per: Rack}}",
        &["spec.linkBandwidth.per"],
    ),
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
        "spec: {myASN: 64512, peerASN: 64513, peerAddress: '2001:db8::1%eth0'}",
        &["spec.peerAddress", "a link-local one with its interface"],
    ),
    (
        "BGPPeer",
        "spec: {myASN: 64512, peerASN: 64513, interface: eth0, ebgpMultiHop: true}",
        &["spec", "set only one of ebgpMultiHop and interface"],
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
        "BFDProfile",
        "spec: {authentication: {type: MD5, keyID: 256, passwordSecret: {name: bfd}}}",
        &["spec.authentication.type", "spec.authentication.keyID"],
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
