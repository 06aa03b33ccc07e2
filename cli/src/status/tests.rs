use serde_json::json;

use super::*;
use crate::fixture::{facts, node, object, pool, routed, service, working};

#[test]
fn one_screen_says_how_everything_is() {
    let mut cluster = working();
    cluster.nodes.push(object(node("n3")));
    cluster
        .pools
        .push(object(pool("bad", &["203.0.113.9-203.0.113.1"])));
    let mut pending = service();
    pending["metadata"]["name"] = json!("wish");
    pending["metadata"]["annotations"] = json!({"metallb.io/address-pool": "none"});
    pending["status"] = json!({});
    cluster.services.push(object(pending));
    assert_eq!(
        text(&status(&facts(cluster))),
        "\
CONTROLLER  herald-controller-a

POOL  ADDRESSES                IPV4             IPV6  ACCEPTED  REASON
bad   203.0.113.9-203.0.113.1  -                -     False     StartAfterEnd
lan   192.0.2.240-192.0.2.250  1 used, 10 free  -     True      Accepted

L2ADVERTISEMENT  POOLS  ACCEPTED  REASON
lan              all    True      Accepted

SPEAKER  READY    HEARS   INTERFACES  OWNS         SESSIONS  VERSION
n1       True     2 of 3  eth0        192.0.2.240  -         v0.1.0
n2       True     2 of 3  eth0        -            -         v0.1.0
n3       Missing  -       -           -            -         -

SERVICE    ADDRESSES    NODE  STATE      WHY
shop/web   192.0.2.240  n1    Announced  -
shop/wish  -            -     Pending    Service shop/wish requests pool none, which does not exist: the pools are lan

✗ IPAddressPool bad, spec.addresses[0]: 203.0.113.9-203.0.113.1 starts after it ends: write 203.0.113.1-203.0.113.9
"
    );
}

#[test]
fn an_empty_cluster_says_what_is_missing() {
    assert_eq!(
        text(&status(&facts(crate::cluster::Cluster::default()))),
        "CONTROLLER  no replica leads: no address is given or changed\n\nPOOL  none\n\nL2ADVERTISEMENT  none\n\nSPEAKER  none\n\nSERVICE  none\n\n"
    );
}

#[test]
fn a_service_is_announced_waiting_or_not_announced() {
    let state = |change: fn(&mut crate::cluster::Cluster)| {
        let mut cluster = working();
        change(&mut cluster);
        status(&facts(cluster)).services.remove(0).state
    };
    assert_eq!(state(|_| {}), State::Announced);
    assert_eq!(state(|c| c.announcements.clear()), State::Waiting);
    assert_eq!(state(|c| c.l2_advertisements.clear()), State::NotAnnounced);
}

#[test]
fn programs_read_the_same_as_people() {
    let value = serde_json::to_value(status(&facts(working()))).unwrap();
    assert_eq!(value["services"][0]["state"], "Announced");
    assert_eq!(value["pools"][0]["counts"]["assignedIPv4"], 1);
    assert_eq!(value["leader"], "herald-controller-a");
}

#[test]
fn what_is_told_to_routers_is_on_the_screen_too() {
    assert_eq!(
        text(&status(&facts(routed()))),
        "\
CONTROLLER  herald-controller-a

POOL    ADDRESSES        IPV4             IPV6  ACCEPTED  REASON
routed  198.51.100.0/28  1 used, 15 free  -     True      Accepted

L2ADVERTISEMENT  none

BGPADVERTISEMENT  POOLS  PEERS  ACCEPTED  REASON
routed            all    all    True      Accepted

BGPPEER  ROUTER     ACCEPTED  REASON
tor-a    192.0.2.1  True      Accepted

SPEAKER  READY  HEARS   INTERFACES  OWNS  SESSIONS  VERSION
n1       True   2 of 3  eth0        -     1 of 1    v0.1.0
n2       True   2 of 3  eth0        -     0 of 1    v0.1.0

SERVICE   ADDRESSES     NODE  STATE      WHY
shop/web  198.51.100.1  n1    Announced  -

"
    );
}

#[test]
fn an_address_for_routers_alone_waits_for_a_router() {
    let mut cluster = routed();
    cluster.announcements.clear();
    let line = status(&facts(cluster)).services.remove(0);
    assert_eq!(line.state, State::Waiting);
    assert_eq!(
        line.message,
        "no router knows every address: see heraldctl sessions"
    );
    let mut cluster = routed();
    cluster.slices.clear();
    cluster.announcements.clear();
    let line = status(&facts(cluster)).services.remove(0);
    assert_eq!(line.state, State::NotAnnounced);
    assert_eq!(
        line.message,
        "no node announces 198.51.100.1 to a router: node n1 waits for a ready IPv4 endpoint of the Service"
    );
    let mut cluster = routed();
    cluster.bgp_advertisements.clear();
    let line = status(&facts(cluster)).services.remove(0);
    assert_eq!(line.state, State::NotAnnounced);
}
