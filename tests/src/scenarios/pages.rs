//! Pages through an address, for both external traffic policies.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;

use super::{Stage, expect_same};
use crate::services::Wanted;

/// How long kube-proxy, which looks once a second, may take for a change.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// Over IPv4 and IPv6, from whichever pod.
pub(super) fn cluster(stage: &mut Stage) -> Result<()> {
    stage.lab.serve(&Wanted::dual("cluster")).map(drop)
}

/// Over IPv4 and IPv6, from a pod on the owner, which sees the client's own address.
pub(super) fn local(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let client: [IpAddr; 2] = ["10.73.0.50".parse()?, "fd73::50".parse()?];
    for address in lab.serve(&Wanted::dual("local").local())? {
        // Who had the address before may be in the client's cache until the new owner has announced.
        let owner = lab.settled_owner("local", address)?;
        let own = client[usize::from(address.is_ipv6())];
        // Until kube-proxy has heard of this Service it serves the one that had the address before, with its
        // policy.
        lab.wait("this is not policy Local", FORGOTTEN, |lab| {
            let page = lab.fetch(address)?;
            expect_same("the pod's node", &page.node, &owner.name())?;
            let seen = "the client's address as the pod sees it";
            expect_same(seen, &page.client, &own)?;
            Ok(true)
        })?;
    }
    Ok(())
}
