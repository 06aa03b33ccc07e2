//! heraldctl against a real cluster.

use anyhow::{Result, bail};

use super::{Stage, expect_same};
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};

/// `status` names the Service; `explain` is content with one that is served, and names what is wrong
/// with one that is not.
pub(super) fn explains(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    lab.serve(&Wanted::dual("plain"))?;
    let refused =
        Wanted::single("wishful", "IPv4").annotated("heraldlb.io/loadBalancerIPs", "192.0.2.1");
    lab.create_service(&refused)?;
    lab.wait(
        "heraldctl explain is not content with a Service that works",
        PATIENCE,
        |lab| {
            let (code, said) = heraldctl(lab, &["explain", "svc", "default/plain"])?;
            if code != Some(0) {
                bail!("it ends with {code:?} and says: {said}");
            }
            Ok(true)
        },
    )?;
    let (code, said) = heraldctl(lab, &["explain", "svc", "default/wishful"])?;
    expect_same(
        "the exit status of explain for a refused Service",
        &code,
        &Some(1),
    )?;
    if !said.contains("192.0.2.1") {
        bail!("heraldctl explain does not name the address: {said}");
    }
    let (_, said) = heraldctl(lab, &["status"])?;
    for name in ["plain", "wishful", "lab", "node-1"] {
        if !said.contains(name) {
            bail!("heraldctl status does not name {name}: {said}");
        }
    }
    Ok(())
}

/// How it ends as an administrator's, and all it says.
pub(super) fn heraldctl(lab: &Lab, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = lab
        .topology
        .control
        .command(lab.programs.herald("heraldctl")?)
        .args(arguments)
        .env("KUBECONFIG", lab.files.kubeconfig("admin"))
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}
