use super::*;
use crate::manifests::parse;

fn checked(text: &str) -> Report {
    check(&parse("f.yaml", text))
}

const GOOD: &str = "
apiVersion: heraldlb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan}
spec: {addresses: [192.0.2.0/24]}
---
apiVersion: heraldlb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
spec: {ipAddressPools: [lan]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
";

#[test]
fn good_manifests_have_nothing_to_say() {
    let report = checked(GOOD);
    assert!(report.ok);
    assert_eq!(
        text(&report),
        "2 objects, 1 of kinds Herald does not read: 0 problems, 0 notices\n"
    );
}

#[test]
fn every_kind_of_mistake_is_one_sentence() {
    let pool = |spec: &str| {
        format!(
            "apiVersion: heraldlb.io/v1beta1\nkind: IPAddressPool\nmetadata: {{name: lan}}\nspec: {spec}\n"
        )
    };
    let cases = [
        (pool("{addresses: [192.0.2.1/24]}"), "IPAddressPool lan, spec.addresses[0]: 192.0.2.1/24 has host bits set"),
        (pool("{addresses: [192.0.2.1], adresses: []}"), "f.yaml, IPAddressPool lan: there is no field spec.adresses"),
        (
            pool("{addresses: [192.0.2.1], serviceAllocation: {prio: 1}}"),
            "there is no field spec.serviceAllocation.prio",
        ),
        (pool("{}"), "f.yaml, IPAddressPool lan: missing field `addresses`"),
        (
            "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: lan}".to_owned(),
            "this is an object of MetalLB; write apiVersion heraldlb.io/v1beta1",
        ),
        ("apiVersion: heraldlb.io/v1\nkind: IPAddressPool".to_owned(), "apiVersion heraldlb.io/v1 does not exist"),
        ("apiVersion: heraldlb.io/v1beta1\nkind: Pool".to_owned(), "there is no kind Pool"),
        ("apiVersion: heraldlb.io/v1beta1\nkind: Speaker".to_owned(), "is written by Herald"),
        ("a: [1\nb: }".to_owned(), "f.yaml: "),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop, annotations: {metallb.io/loadBalancerIPs: x}}\nspec: {type: LoadBalancer}".to_owned(),
            "Service shop/web, metadata.annotations[metallb.io/loadBalancerIPs]: \"x\" is not an IP address",
        ),
    ];
    for (text, words) in cases {
        let report = checked(&text);
        assert!(!report.ok, "{text}");
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.problems[0].contains(words), "{}", report.problems[0]);
    }
}

#[test]
fn addresses_that_no_host_can_have_are_refused_as_the_api_server_does_and_told_once() {
    let with = |addresses: &str| checked(&GOOD.replace("[192.0.2.0/24]", addresses));
    for (addresses, problem) in [
        ("['127.0.0.5']", "127.0.0.5 is a loopback address"),
        (
            "['ff02::77', 192.0.2.0/24]",
            "ff02::77 is a multicast address",
        ),
        (
            "[192.0.2.1, 224.0.0.0/8]",
            "224.0.0.0 is a multicast address",
        ),
    ] {
        let report = with(addresses);
        assert!(!report.ok && report.notices.is_empty(), "{report:?}");
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert!(report.problems[0].contains(problem), "{report:?}");
    }
    let wide = with("['0.0.0.0/0']");
    assert!(wide.ok);
    assert!(
        wide.notices[0]
            .starts_with("IPAddressPool lan, spec.addresses: no Service is given 0.0.0.0/8"),
        "{wide:?}"
    );
}

#[test]
fn fields_of_metallb_that_herald_does_not_have_are_told_with_what_to_write() {
    let peer = |field: &str| {
        format!(
            "apiVersion: heraldlb.io/v1beta1\nkind: BGPPeer\nmetadata: {{name: tor}}\nspec: {{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, {field}}}\n"
        )
    };
    for (field, words) in [
        (
            "password: hunter2",
            "there is no field spec.password; put it into a Secret",
        ),
        (
            "disableMP: true",
            "there is no field spec.disableMP; remove it",
        ),
        (
            "passwort: x",
            "there is no field spec.passwort; see kubectl explain",
        ),
    ] {
        let report = checked(&peer(field));
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert!(report.problems[0].contains(words), "{}", report.problems[0]);
        assert!(
            !report.problems[0].contains("hunter2"),
            "a password is not repeated"
        );
    }
}

#[test]
fn bgp_objects_are_one_configuration() {
    let text = "
apiVersion: heraldlb.io/v1beta1
kind: IPAddressPool
metadata: {name: routed}
spec: {addresses: [198.51.100.0/28]}
---
apiVersion: heraldlb.io/v1beta1
kind: BGPPeer
metadata: {name: tor-a}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, interface: eth0}
---
apiVersion: heraldlb.io/v1beta1
kind: BGPPeer
metadata: {name: tor-b}
spec: {myASN: 64512, peerASN: 64513, interface: eth0}
---
apiVersion: heraldlb.io/v1beta1
kind: BGPPeer
metadata: {name: tor-d}
spec: {myASN: 64512, dynamicASN: external, interface: eth0}
---
apiVersion: heraldlb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: routed}
spec: {peers: [tor-c], communities: [blue, no-export]}
";
    let report = checked(text);
    assert_eq!(
        report.problems,
        [
            "BGPAdvertisement routed, spec.peers[0]: there is no BGPPeer tor-c; create it or correct the name",
            "BGPAdvertisement routed, spec.communities[0]: no Community defines blue; define it or write its numbers",
            "BGPPeer tor-a, spec.peerAddress: write exactly one of peerAddress and interface",
            "BGPPeer tor-d, spec.interface: BGPPeer tor-b finds its router on this interface of the same nodes; an interface has one router: write other nodeSelectors, or the peerAddress of both",
        ]
    );
    assert!(report.notices.is_empty());
}

#[test]
fn notices_do_not_fail_the_check() {
    let text = GOOD.replace(
        "[192.0.2.0/24]",
        "[192.0.2.0/24], excludedAddresses: [192.0.3.1]",
    );
    let report = checked(&text);
    assert!(report.ok);
    assert_eq!(
        report.notices,
        [
            "IPAddressPool lan, spec.excludedAddresses[0]: 192.0.3.1 is not wholly in spec.addresses; only what the pool holds can be excluded"
        ]
    );
}

#[test]
fn objects_of_all_files_are_one_cluster() {
    let other = GOOD.replace("name: lan", "name: other");
    let mut documents = parse("a.yaml", GOOD);
    documents.extend(parse("b.yaml", &other));
    let report = check(&documents);
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.contains("belongs to older pools")),
        "{report:?}"
    );
}
