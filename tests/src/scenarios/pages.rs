//! Pages through an address, for both external traffic policies.

use std::net::IpAddr;

use anyhow::Result;

use super::{Stage, expect_same};
use crate::services::Wanted;

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
        let page = lab.fetch(address)?;
        expect_same("the pod's node", &page.node, &owner.name())?;
        let own = client[usize::from(address.is_ipv6())];
        expect_same(
            "the client's address as the pod sees it",
            &page.client,
            &own,
        )?;
    }
    Ok(())
}
