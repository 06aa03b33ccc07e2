use serde_json::json;

use super::*;
use crate::fixture::{facts, node, object, routed, speaker, working};

fn shown(cluster: crate::cluster::Cluster, nodes: &[&str]) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    text(&sessions(&facts(cluster), &nodes).unwrap())
}

#[test]
fn every_session_of_every_node_is_one_line() {
    assert_eq!(
        shown(routed(), &[]),
        "\
NODE  PEER   ROUTER     STATE        SINCE                 OPENED BY  SENT    BFD  LAST ERROR
n1    tor-a  192.0.2.1  Established  2026-01-01T00:00:00Z  Node       1 of 1  -    -
n2    tor-a  192.0.2.1  Active       2026-01-01T00:01:00Z  -          0 of 1  -    192.0.2.1 refuses connections to port 179: is BGP running there?
"
    );
}

#[test]
fn a_router_that_was_found_is_shown_where_it_is() {
    let mut cluster = routed();
    let mut first = speaker("n1");
    first["status"]["bgpSessions"] = json!([
        {"peer": "tor-a", "router": "fe80::1%eth1", "state": "Established"},
    ]);
    cluster.speakers[0] = object(first);
    let lines = shown(cluster, &["n1"]);
    assert!(
        lines.contains("n1    tor-a  fe80::1%eth1  Established"),
        "{lines}"
    );
}

#[test]
fn nodes_are_chosen_by_name_and_must_exist() {
    let one = shown(routed(), &["n1"]);
    assert!(one.contains("n1    tor-a") && !one.contains("n2"), "{one}");
    let error = sessions(&facts(routed()), &["n9".to_owned()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no node n9: the nodes are n1, n2"
    );
}

#[test]
fn without_bgp_there_is_nothing_to_show() {
    assert_eq!(
        shown(working(), &[]),
        "NODE  none: a BGPPeer makes sessions\n"
    );
}

#[test]
fn a_session_that_nobody_reports_is_told_apart_from_one_that_is_down() {
    let mut cluster = routed();
    cluster.nodes.push(object(node("n3")));
    cluster.speakers[1] = object(speaker("n2"));
    let lines = shown(cluster, &["n2", "n3"]);
    assert!(
        lines.contains("n2    tor-a  192.0.2.1  Unreported  -      -          -     -    the speaker of n2 does not report it yet"),
        "{lines}"
    );
    assert!(
        lines.contains(
            "n3    tor-a  192.0.2.1  Unreported  -      -          -     -    there is no Speaker for n3"
        ),
        "{lines}"
    );
}

#[test]
fn the_last_word_of_a_node_that_nobody_hears_is_doubted() {
    let heard = |state: &str, ready: &str| {
        let mut cluster = routed();
        let mut other = speaker("n2");
        other["status"]["peers"] = json!([{"node": "n1", "state": state}]);
        cluster.speakers[1] = object(other);
        let mut first = node("n1");
        first["status"] = json!({"conditions": [{"type": "Ready", "status": ready}]});
        cluster.nodes[0] = object(first);
        of_node(&facts(cluster), "n1").remove(0)
    };
    for (state, ready, established, doubt) in [
        ("Alive", "True", true, ""),
        ("Alive", "Unknown", true, ""),
        // Something stands in the way of beacons, and of nothing else.
        ("Silent", "True", true, ""),
        (
            "Refusing",
            "True",
            true,
            "other speakers say that none runs on n1",
        ),
        ("Silent", "Unknown", false, "no other speaker hears n1"),
    ] {
        let session = heard(state, ready);
        assert_eq!(session.is_established(), established, "{state} {ready}");
        assert_eq!(session.is_doubted(), !doubt.is_empty(), "{state} {ready}");
        assert!(session.trouble().contains(doubt), "{}", session.trouble());
    }
}

#[test]
fn bfd_is_told_with_how_soon_it_notices() {
    let told = |bfd_session| bfd(&serde_json::from_value(bfd_session).unwrap());
    let up = json!({"state": "Up", "detectionTime": 150_000});
    assert_eq!(told(up), "Up 150 ms");
    assert_eq!(told(json!({"state": "Down"})), "Down");
}

/// Nothing is wrong yet with a session that the router is to open.
#[test]
fn a_session_that_waits_for_its_router_says_so() {
    let trouble = |mode: &str, session: serde_json::Value| {
        let mut cluster = routed();
        cluster.bgp_peers[0] = object(json!({
            "metadata": {"name": "tor-a"},
            "spec": {
                "myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "connectionMode": mode,
            },
        }));
        let mut reported = speaker("n1");
        reported["status"]["bgpSessions"] = json!([session]);
        cluster.speakers[0] = object(reported);
        of_node(&facts(cluster), "n1").remove(0).trouble()
    };
    let waiting = json!({"peer": "tor-a", "state": "Active"});
    let awaited = "the router is to open the connection";
    assert_eq!(trouble("Passive", waiting.clone()), awaited);
    assert_eq!(trouble("Both", waiting), "");
    let up = json!({"peer": "tor-a", "state": "Established", "openedBy": "Router"});
    assert_eq!(trouble("Passive", up), "");
    let taken = json!({"peer": "tor-a", "state": "Active", "lastError": "port 179 is taken"});
    assert_eq!(trouble("Passive", taken), "port 179 is taken");
}

#[test]
fn what_the_operator_there_said_is_shown_once() {
    let said = |error: &str| {
        let mut cluster = routed();
        let mut closed = speaker("n1");
        closed["status"]["bgpSessions"] = json!([{
            "peer": "tor-a", "state": "Idle", "lastError": error, "shutdownText": "until noon",
            "bfd": {"state": "Down"},
        }]);
        cluster.speakers[0] = object(closed);
        of_node(&facts(cluster), "n1").remove(0)
    };
    let session = said("the peer said: Cease (6/2)");
    assert_eq!(
        session.trouble(),
        "the peer said: Cease (6/2); the router said \"until noon\""
    );
    assert_eq!(session.bfd.as_ref().map(bfd).as_deref(), Some("Down"));
    let error = "the peer said: Cease (6/2): \"until noon\"";
    assert_eq!(said(error).trouble(), error);
}

/// Why the session ended stands first for as long as nothing newer is known, and what attempts come to
/// beside it.
#[test]
fn the_end_of_a_session_is_told_before_the_attempts_since() {
    let mut cluster = routed();
    let mut closed = speaker("n1");
    let ended = "the peer said: Cease, Administrative Shutdown (6/2): \"until noon\"";
    closed["status"]["bgpSessions"] = json!([{
        "peer": "tor-a", "state": "Active", "shutdownText": "until noon",
        "lastError": ended, "lastErrorTime": "2026-01-01T00:00:00Z",
        "lastAttempt": "192.0.2.1 refuses connections to port 179: is BGP running there?",
    }]);
    cluster.speakers[0] = object(closed);
    let session = of_node(&facts(cluster), "n1").remove(0);
    let refused = "192.0.2.1 refuses connections to port 179: is BGP running there?";
    assert_eq!(
        session.trouble(),
        format!("{ended} (at 2026-01-01T00:00:00Z); since then: {refused}")
    );
    let value = serde_json::to_value(session).unwrap();
    assert_eq!(value["lastError"], ended);
    assert_eq!(value["lastErrorTime"], "2026-01-01T00:00:00Z");
    assert_eq!(value["lastAttempt"], refused);
}

#[test]
fn programs_read_the_same_as_people() {
    let value = serde_json::to_value(sessions(&facts(routed()), &[]).unwrap()).unwrap();
    assert_eq!(
        value["sessions"][0],
        json!({
            "node": "n1", "peer": "tor-a", "router": "192.0.2.1", "state": "Established",
            "since": "2026-01-01T00:00:00Z", "openedBy": "Node", "prefixesSent": 1, "prefixesWished": 1,
        })
    );
}
