//! BFD packets that are proved to be the router's (RFC 5880 section 6.7), with BIRD: FRR 8.4 has nothing
//! of it.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use super::{PATIENCE, announced, forget_secret, keep_secret, present, sessions};
use crate::lab::Lab;
use crate::routers::{ADDRESSES, Files, Kind, NODE_AS, ROUTER_AS, bird};
use crate::scenarios::Stage;
use crate::topology::NodeNumber;

/// What a node agrees on with BIRD.
struct Terms {
    node: NodeNumber,
    kind: &'static str,
    key: u8,
    password: &'static str,
    /// The family of the session: 0 is IPv4.
    family: usize,
    /// What else the profile and the peer say.
    profile: &'static str,
    peer: &'static str,
}

/// BIRD has one type for each interface and family, and one for paths of several hops.
const ONE: Terms = Terms {
    node: NodeNumber(1),
    kind: "MeticulousKeyedSHA1",
    key: 7,
    password: "twenty-octets-long!!",
    family: 0,
    profile: "",
    peer: "",
};
const TWO: Terms = Terms {
    node: NodeNumber(2),
    kind: "MeticulousKeyedMD5",
    key: 255,
    password: "sixteen-octets!!",
    family: 1,
    profile: "",
    peer: "",
};
const THREE: Terms = Terms {
    node: NodeNumber(3),
    kind: "Simple",
    key: 1,
    password: "open",
    family: 0,
    // BIRD sends with TTL 64.
    profile: "minimumTtl: 60, ",
    peer: ", ebgpMultiHop: true",
};
const TERMS: [&Terms; 3] = [&ONE, &TWO, &THREE];

/// A Secret that holds what nobody agreed on.
const WRONG: &str = "bfd-wrong";

/// Nodes and BIRD watch each other with proof of three types. A wrong password and one that is not there
/// are told, and mended.
pub(in crate::scenarios) fn proved(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    present(Kind::Bird)?;
    let files = Files::make(lab, "router-proved", Vec::new())?;
    let mut router = bird::launch(lab, &files, &configured(), true)?;
    keep_secret(lab, WRONG, "not-agreed-on")?;
    let outcome = played(lab);
    router.terminate(std::time::Duration::from_secs(3));
    for terms in TERMS {
        forget_secret(lab, &secret(terms))?;
    }
    forget_secret(lab, WRONG)?;
    outcome
}

fn played(lab: &Lab) -> Result<()> {
    for terms in [&ONE, &THREE] {
        keep_secret(lab, &secret(terms), terms.password)?;
    }
    lab.apply(&announced())?;
    for (terms, secret) in [
        (&ONE, WRONG.to_owned()),
        (&TWO, secret(&TWO)),
        (&THREE, secret(&THREE)),
    ] {
        let Terms {
            node, family, peer, ..
        } = terms;
        lab.apply(&profile(terms, &secret))?;
        let more = format!("bfdProfile: {}{peer}", node.name());
        lab.apply(&super::peer(
            &node.name(),
            Some(*node),
            ADDRESSES[*family],
            &more,
        ))?;
    }
    up(lab, &[&THREE])?;
    says(lab, &ONE, "have another password or keyID")?;
    let missing = format!(
        "no BFD with the router: Secret herald-system/{} does not exist",
        secret(&TWO)
    );
    says(lab, &TWO, &missing)?;

    lab.apply(&profile(&ONE, &secret(&ONE)))?;
    keep_secret(lab, &secret(&TWO), TWO.password)?;
    up(lab, &TERMS)
}

/// BIRD's side.
fn configured() -> String {
    let proof = |kind: &str, terms: &Terms| {
        let Terms { key, password, .. } = terms;
        format!("authentication {kind}; password \"{password}\" {{ id {key}; }};")
    };
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{}}\nprotocol direct {{ ipv4; ipv6; }}\n\
         protocol bfd four {{ accept ipv4; interface \"eth0\" {{ {} }}; multihop {{ {} }}; }}\n\
         protocol bfd six {{ accept ipv6; interface \"eth0\" {{ {} }}; }}\n",
        ADDRESSES[0],
        proof("meticulous keyed sha1", &ONE),
        proof("simple", &THREE),
        proof("meticulous keyed md5", &TWO),
    );
    for Terms {
        node, family, peer, ..
    } in TERMS
    {
        let multihop = if peer.is_empty() { "" } else { "multihop 3; " };
        let _ = writeln!(
            text,
            "protocol bgp n{} {{ local {} as {ROUTER_AS}; neighbor {} as {NODE_AS}; {multihop}\
             bfd on; connect retry time 1; error wait time 1, 2; \
             ipv{} {{ import all; export none; }}; }}",
            node.0,
            ADDRESSES[*family],
            node.lan()[*family],
            if *family == 0 { 4 } else { 6 },
        );
    }
    text
}

fn profile(terms: &Terms, secret: &str) -> String {
    let Terms {
        node,
        kind,
        key,
        profile,
        ..
    } = terms;
    format!(
        "apiVersion: heraldlb.io/v1beta1\nkind: BFDProfile\nmetadata: {{name: {}}}\nspec: \
         {{detectMultiplier: 5, {profile}authentication: {{type: {kind}, keyID: {key}, \
         passwordSecret: {{name: {secret}}}}}}}\n",
        node.name()
    )
}

fn secret(terms: &Terms) -> String {
    format!("bfd-{}", terms.node.name())
}

fn session(lab: &Lab, node: NodeNumber) -> Result<Value> {
    let mut sessions = sessions(lab, &node.name())?.into_iter();
    Ok(sessions
        .find(|session| session["peer"] == node.name())
        .unwrap_or_default())
}

/// Waits until these nodes and BIRD are up to each other.
fn up(lab: &Lab, nodes: &[&Terms]) -> Result<()> {
    let told = std::cell::RefCell::new(String::new());
    let waited = lab.wait("BFD is not up", PATIENCE, |lab| {
        for terms in nodes {
            let session = session(lab, terms.node)?;
            if session["bfd"]["state"] != "Up" || session["state"] != "Established" {
                told.replace(session.to_string());
                return Ok(false);
            }
        }
        Ok(true)
    });
    waited
        .map(drop)
        .map_err(|error| anyhow::anyhow!("{error:#}: {}", told.take()))
}

/// Waits until the session of a node says so.
fn says(lab: &Lab, terms: &Terms, words: &str) -> Result<()> {
    let last = std::cell::RefCell::new(Value::Null);
    let waited = lab.wait("a session does not say what is wrong", PATIENCE, |lab| {
        let session = session(lab, terms.node)?;
        let says = session["lastError"]
            .as_str()
            .is_some_and(|error| error.contains(words));
        last.replace(session);
        Ok(says)
    });
    waited
        .map(drop)
        .map_err(|error| anyhow::anyhow!("{error:#}: {words}: {}", last.take()))
}
