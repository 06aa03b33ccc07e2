//! Who loses an address by an edit, and who does not: only the Service that was edited.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::tool::heraldctl;
use super::{Stage, expect_same, linger};
use crate::api::Merge;
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};

const KEY: &str = "heraldlb.io/allow-shared-ip";
const REQUEST: &str = "heraldlb.io/loadBalancerIPs";

/// Two Services share an address, and the older one is edited so that they cannot any more: it moves, and
/// the younger one keeps the address; also when the edit is made while no controller runs.
pub(super) fn the_edited_moves(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let ports =
        |port: u16| json!([{"name": "http", "port": port, "targetPort": 80, "protocol": "TCP"}]);
    let edits = [
        (
            "policy",
            json!({"spec": {"externalTrafficPolicy": "Local"}}),
        ),
        ("port", json!({"spec": {"ports": ports(54)}})),
        (
            "key-gone",
            json!({"metadata": {"annotations": {KEY: null}}}),
        ),
        (
            "other-key",
            json!({"metadata": {"annotations": {KEY: "other"}}}),
        ),
    ];
    for (what, edit) in edits {
        for stopped in [false, true] {
            let (old, young) = (
                format!("old-{what}-{stopped}"),
                format!("young-{what}-{stopped}"),
            );
            let address = shared(lab, &old, &young)?;
            if stopped {
                // What they agreed on is written down behind the addresses.
                written_down(lab, address)?;
                lab.herald()?
                    .controllers
                    .iter_mut()
                    .for_each(|part| part.program.kill());
            }
            lab.change_service(&old, &edit)?;
            if stopped {
                lab.herald()?.restart_controllers()?;
            }
            lab.wait(&format!("{old} keeps the address"), PATIENCE, |lab| {
                let now = lab.addresses(&old)?;
                Ok(!now.is_empty() && now != [address])
            })?;
            linger(Duration::from_millis(300));
            let kept = lab.addresses(&young)?;
            expect_same(&format!("the address of {young}"), &kept, &vec![address])?;
            for event in lab.events("Service", &young)? {
                if event.contains("IPMoved") || event.contains("IPReleased") {
                    bail!("{young}, which nobody touched, was told: {event}");
                }
            }
            lab.delete_service(&old)?;
            lab.delete_service(&young)?;
        }
    }
    Ok(())
}

/// Both hold one address; the first was made a second before the other.
fn shared(lab: &Lab, old: &str, young: &str) -> Result<IpAddr> {
    let wanted = |name: &str, port| {
        Wanted::single(name, "IPv4")
            .on_port(port)
            .annotated(KEY, "dns")
    };
    let first = wanted(old, 53);
    lab.create_service(&first)?;
    let [address] = lab.wait_for_addresses(&first)?[..] else {
        bail!("{old} has no address")
    };
    linger(Duration::from_millis(1_100));
    let young = wanted(young, 54).at(address);
    lab.create_service(&young)?;
    let together = lab.wait_for_addresses(&young)?;
    expect_same("the shared address", &together, &vec![address])?;
    Ok(address)
}

fn written_down(lab: &Lab, address: IpAddr) -> Result<()> {
    lab.wait(
        "who shares the address is not written down",
        PATIENCE,
        |lab| {
            let pages = lab
                .api
                .list("/api/v1/namespaces/herald-system/configmaps")?;
            let key = format!("{address}.sharing");
            Ok(pages.iter().any(|page| page["data"][&key].is_string()))
        },
    )
    .map(drop)
}

/// A status that a foreign hand emptied has the same address again, and so has a Service that was no
/// LoadBalancer for a while, though a lower address is free.
pub(super) fn comes_back(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    let low = lab.serve(&Wanted::single("low", "IPv4"))?;
    let high = lab.serve(&Wanted::single("high", "IPv4"))?;
    lab.delete_service("low")?;
    if low >= high {
        bail!("{low:?} is not below {high:?}");
    }
    let status = format!("{}/status", path("high"));
    let emptied = json!({"status": {"loadBalancer": {"ingress": null}}});
    lab.api.patch(&status, Merge::Json, &emptied)?;
    has_again(lab, "high", &high)?;
    said(lab, "high", "IPRestored")?;

    let inner = json!({"spec": {"type": "ClusterIP", "externalTrafficPolicy": null}});
    lab.change_service("high", &inner)?;
    lab.wait(
        "the addresses of a ClusterIP are not noted",
        PATIENCE,
        |lab| {
            let service = lab.service("high")?;
            let noted = &service["metadata"]["annotations"]["heraldlb.io/last-addresses"];
            Ok(noted.as_str() == high.first().map(ToString::to_string).as_deref())
        },
    )?;
    lab.change_service("high", &json!({"spec": {"type": "LoadBalancer"}}))?;
    has_again(lab, "high", &high)?;
    lab.wait_for_page(*high.first().context("no address")?)
        .map(drop)
}

fn has_again(lab: &Lab, name: &str, addresses: &[IpAddr]) -> Result<()> {
    lab.wait(
        &format!("{name} does not have its address again"),
        PATIENCE,
        |lab| match lab.addresses(name)? {
            found if found == addresses => Ok(true),
            found if found.is_empty() => Ok(false),
            other => bail!("{name} has {other:?}"),
        },
    )
    .map(drop)
}

fn said(lab: &Lab, name: &str, reason: &str) -> Result<()> {
    lab.wait(
        &format!("no Event {reason} about {name}"),
        PATIENCE,
        |lab| {
            let events = lab.events("Service", name)?;
            Ok(events.iter().any(|event| event.contains(reason)))
        },
    )
    .map(drop)
}

/// Two Services that ask for each other's address swap, also where addresses rest before others get them.
pub(super) fn swap(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    lab.apply(
        "{apiVersion: heraldlb.io/v1beta1, kind: IPAddressPool, metadata: {name: resting}, \
          spec: {addresses: [10.73.0.180-10.73.0.181], autoAssign: false, reuseDelay: 5m}}",
    )?;
    for (pool, suffix) in [("lab", "plain"), ("resting", "resting")] {
        let names = [format!("left-{suffix}"), format!("right-{suffix}")];
        let mut had = Vec::new();
        for name in &names {
            let wanted = Wanted::single(name, "IPv4").annotated("heraldlb.io/address-pool", pool);
            lab.create_service(&wanted)?;
            had.push(lab.wait_for_addresses(&wanted)?);
        }
        for (name, wishes) in names.iter().zip(had.iter().rev()) {
            let wish = wishes.first().context("no address")?.to_string();
            lab.change_service(name, &json!({"metadata": {"annotations": {REQUEST: wish}}}))?;
        }
        for (name, wishes) in names.iter().zip(had.iter().rev()) {
            lab.wait(
                &format!("{name} does not get what it asks for"),
                PATIENCE,
                |lab| Ok(lab.addresses(name)? == *wishes),
            )?;
        }
    }
    Ok(())
}

/// `heraldctl uninstall` takes nothing off; with `--release`, and without a controller that works, it takes
/// off everything that Herald left.
pub(super) fn taken_off(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let [address] = lab.serve(&Wanted::single("leaving", "IPv4"))?[..] else {
        bail!("the Service has no address")
    };
    let (code, told) = heraldctl(lab, &["uninstall"])?;
    expect_same("how heraldctl uninstall ends", &code, &Some(0))?;
    if !told.contains(&format!("Service default/leaving keeps {address}")) {
        bail!("heraldctl uninstall does not name the Service: {told}");
    }
    let (code, told) = heraldctl(lab, &["uninstall", "--release"])?;
    if code != Some(2) || !told.contains("still works") {
        bail!("heraldctl uninstall --release ends with {code:?} and says: {told}");
    }
    expect_same("the addresses", &lab.addresses("leaving")?, &vec![address])?;
    for part in &mut lab.herald()?.controllers {
        part.terminate();
    }
    let released = lab.wait("the addresses are not taken off", PATIENCE, |lab| {
        Ok(heraldctl(lab, &["uninstall", "--release"])?.0 == Some(0))
    });
    let service = lab.service("leaving")?;
    lab.herald()?.restart_controllers()?;
    lab.herald()?.wait_ready()?;
    released?;
    expect_same("the status", &service["status"]["loadBalancer"], &json!({}))?;
    let conditions = service["status"].get("conditions");
    expect_same(
        "the conditions",
        &conditions.filter(|all| **all != json!([])),
        &None,
    )?;
    let marks = service["metadata"]["annotations"].as_object();
    let mut marks = marks.into_iter().flatten().map(|(name, _)| name);
    expect_same(
        "a mark",
        &marks.find(|name| name.starts_with("heraldlb.io/")),
        &None,
    )
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/default/services/{name}")
}

/// Beside another load balancer that serves Services without a class: each leaves the other's alone, and a
/// Service moves over, and back, with its address by one edit of its manifest. The API server refuses to
/// change the class of a Service that exists, so the manifest replaces it.
///
/// The other one is stood in for: MetalLB's definitions are installed where Go can fetch them, and the
/// scenario writes the status that MetalLB's controller would write.
pub(super) fn beside_another(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    install_metallb_definitions(lab)?;
    lab.herald()?
        .restart_controllers_with(&["--classless=false".to_owned()])?;
    lab.herald()?
        .restart_speakers_with(&["--classless=false".to_owned()])?;
    let outcome = moves_over_and_back(lab);
    lab.herald()?.restart_controllers_with(&[])?;
    lab.herald()?.restart_speakers_with(&[])?;
    outcome
}

fn moves_over_and_back(lab: &Lab) -> Result<()> {
    let address: IpAddr = "10.73.0.207".parse()?;
    let theirs = Manifest {
        class: None,
        address,
    };
    theirs.replace(lab)?;
    give(lab, address)?;
    // Herald gives the others' address to nobody, and takes no notice of the Service itself.
    let rival = Wanted::single("rival", "IPv4")
        .of_class("heraldlb.io/herald")
        .at(address);
    lab.create_service(&rival)?;
    said(lab, "rival", "AddressUnusable")?;
    untouched(lab)?;
    lab.delete_service("rival")?;
    if !lab.nobody_answers(address)? {
        bail!("Herald answers for {address}, which another load balancer serves");
    }

    Manifest {
        class: Some("heraldlb.io/herald"),
        address,
    }
    .replace(lab)?;
    has_again(lab, "moving", &[address])?;
    lab.wait_for_page(address)?;

    theirs.replace(lab)?;
    give(lab, address)?;
    lab.wait("Herald still answers for the address", PATIENCE, |lab| {
        lab.nobody_answers(address)
    })?;
    untouched(lab)
}

/// Nothing of Herald's stands on the Service, and its address stays.
fn untouched(lab: &Lab) -> Result<()> {
    linger(Duration::from_millis(1_500));
    let service = lab.service("moving")?;
    let ours = service
        .to_string()
        .contains("ip-allocated-from-pool\":\"lab");
    expect_same("whether Herald marked the Service", &ours, &false)?;
    let condition = lab.condition(&service, "heraldlb.io/AddressAllocated");
    expect_same("Herald's condition", &condition, &None)?;
    expect_same(
        "the addresses",
        &lab.addresses("moving")?,
        &vec!["10.73.0.207".parse()?],
    )
}

/// What MetalLB's controller writes.
fn give(lab: &Lab, address: IpAddr) -> Result<()> {
    let status: Value =
        json!({"status": {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}});
    lab.api
        .patch(&format!("{}/status", path("moving")), Merge::Json, &status)?;
    let annotation =
        json!({"metadata": {"annotations": {"metallb.io/ip-allocated-from-pool": "prod"}}});
    lab.change_service("moving", &annotation)
}

/// A Service as its user keeps it.
struct Manifest {
    class: Option<&'static str>,
    address: IpAddr,
}

impl Manifest {
    fn replace(&self, lab: &Lab) -> Result<()> {
        let mut object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "moving", "namespace": "default",
                "annotations": {"metallb.io/loadBalancerIPs": self.address}},
            "spec": {"type": "LoadBalancer", "selector": {"app": crate::pods::WEB},
                "ports": [{"port": 80}]},
        });
        if let Some(class) = self.class {
            object["spec"]["loadBalancerClass"] = json!(class);
        }
        let file = lab.files.state.join("moving.yaml");
        std::fs::write(&file, object.to_string())?;
        let file = file.display().to_string();
        lab.kubectl(&["replace", "--force", "-f", &file]).map(drop)
    }
}

/// The released module of MetalLB holds its definitions.
const METALLB: &str = "go.universe.tf/metallb@v0.15.2";

fn install_metallb_definitions(lab: &Lab) -> Result<()> {
    super::needs("go", "golang, 1.26")?;
    let output = std::process::Command::new("go")
        .args(["mod", "download", "-json", METALLB])
        .current_dir(&lab.files.state)
        .output()?;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(directory) = answer["Dir"].as_str() else {
        bail!("{METALLB} cannot be fetched: {}", answer["Error"]);
    };
    let definitions = format!("{directory}/config/crd/bases");
    lab.kubectl(&["apply", "--server-side", "-f", &definitions])
        .map(drop)
}
