//! Services that have addresses when Herald comes, and while its objects come and go: all of them keep what
//! they have, in each situation once undisturbed and once with the leading controller killed in its middle.
//!
//! MetalLB is stood in for: its annotation and the status it writes are written by the scenario, since its
//! programs are not part of the lab.

use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::tool::heraldctl;
use super::{Stage, expect_same, linger};
use crate::api::Merge;
use crate::herald::{self, Herald, NAMESPACE};
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};
use crate::telling::tell;

const SERVICES: u8 = 40;
const FIRST: u8 = 100;
const POOLS: &str = "/apis/heraldlb.io/v1beta1/ipaddresspools";
const OURS: &str = "heraldlb.io/ip-allocated-from-pool";
const THEIRS: &str = "metallb.io/ip-allocated-from-pool";

/// Long enough to see a move: the first comes at once, and the others a second apart.
const MOMENT: Duration = Duration::from_millis(1_500);

/// What is done in the middle of a situation.
type Disturb<'d> = &'d mut dyn FnMut(&mut Lab) -> Result<()>;

/// What happens to the cluster, from a state in which every Service has its address.
struct Situation {
    name: &'static str,
    /// Whether the Services have their addresses from somebody else at first.
    moves_in: bool,
    play: fn(&mut Lab, Disturb<'_>) -> Result<()>,
}

const SITUATIONS: [Situation; 8] = [
    Situation {
        name: "moving in, in README's order",
        moves_in: true,
        play: in_order,
    },
    Situation {
        name: "moving in, pools late",
        moves_in: true,
        play: pools_late,
    },
    Situation {
        name: "controllers stopped and resumed",
        moves_in: false,
        play: stopped,
    },
    Situation {
        name: "pool deleted and made again",
        moves_in: false,
        play: pool_remade,
    },
    Situation {
        name: "definition of pools deleted and made again",
        moves_in: false,
        play: definition_remade,
    },
    Situation {
        name: "definitions applied again",
        moves_in: false,
        play: definitions_applied,
    },
    Situation {
        name: "uninstalled step by step, and installed again",
        moves_in: false,
        play: reinstalled,
    },
    Situation {
        name: "deleted in one stroke, and installed again",
        moves_in: false,
        play: deleted_at_once,
    },
];

/// Forty Services keep their addresses.
pub(super) fn keeps_all(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let short_lease = ["--lease-duration=3".to_owned()];
    lab.herald()?.restart_controllers_with(&short_lease)?;
    let outcome = play_all(lab);
    lab.herald()?.restart_controllers_with(&[])?;
    outcome
}

fn play_all(lab: &mut Lab) -> Result<()> {
    let mut short = Vec::new();
    for situation in &SITUATIONS {
        for killed in [false, true] {
            if situation.moves_in {
                move_out(lab)?;
            }
            let mut disturb = |lab: &mut Lab| match killed {
                true => kill_leader(lab),
                false => Ok(()),
            };
            (situation.play)(lab, &mut disturb)
                .with_context(|| format!("{} (leader killed: {killed})", situation.name))?;
            settle(lab)?;
            let kept = kept(lab)?;
            let disturbed = if killed {
                ", leader killed meanwhile"
            } else {
                ""
            };
            tell(&format!(
                "    {kept} of {SERVICES} keep their addresses: {}{disturbed}",
                situation.name
            ));
            if kept != usize::from(SERVICES) {
                short.push(situation.name);
            }
        }
    }
    expect_same(
        "situations in which Services lost addresses",
        &short,
        &Vec::new(),
    )?;
    for number in 0..SERVICES {
        for event in lab.events("Service", &name(number))? {
            if event.contains("IPReleased") || event.contains("IPMoved") {
                bail!("{} was told: {event}", name(number));
            }
        }
    }
    Ok(())
}

fn name(number: u8) -> String {
    format!("settled-{number}")
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 73, 0, FIRST + number).into()
}

fn path(number: u8) -> String {
    format!("/api/v1/namespaces/default/services/{}", name(number))
}

/// How many Services have exactly their own address.
fn kept(lab: &Lab) -> Result<usize> {
    let mut kept = 0;
    for number in 0..SERVICES {
        kept += usize::from(lab.addresses(&name(number))? == [address(number)]);
    }
    Ok(kept)
}

/// Waits until Herald says of each that it is its own.
fn settle(lab: &Lab) -> Result<()> {
    lab.wait(
        "Herald does not say that every address is its own",
        PATIENCE,
        |lab| {
            let services = lab.api.list("/api/v1/namespaces/default/services")?;
            let mine = services.iter().filter(|service| {
                service["metadata"]["annotations"][OURS] == "prod"
                    && lab
                        .condition(service, "heraldlb.io/AddressAllocated")
                        .is_some_and(|(status, _, _)| status == "True")
            });
            Ok(mine.count() == usize::from(SERVICES))
        },
    )
    .map(drop)
}

fn apply_pools(lab: &Lab) -> Result<()> {
    lab.apply(&pool_manifest())
}

fn pool_manifest() -> String {
    let last = FIRST + SERVICES - 1;
    format!(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {{name: prod}}\n\
         spec: {{addresses: [10.73.0.{FIRST}-10.73.0.{last}]}}\n\
         ---\n\
         apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {{name: other}}\n\
         spec: {{addresses: [10.73.0.150-10.73.0.199]}}\n\
         ---\n\
         apiVersion: heraldlb.io/v1beta1\n\
         kind: L2Advertisement\n\
         metadata: {{name: everything}}\n\
         spec: {{}}\n"
    )
}

/// No controller runs, there is no pool, and the Services are as MetalLB left them.
fn move_out(lab: &mut Lab) -> Result<()> {
    stop_controllers(lab)?;
    for pool in ["lab", "prod", "other"] {
        lab.api.delete(&format!("{POOLS}/{pool}"))?;
    }
    let announcements = "/apis/heraldlb.io/v1beta1/namespaces/default/serviceannouncements";
    for number in 0..SERVICES {
        lab.api
            .delete(&format!("{announcements}/{}", name(number)))?;
        lab.api.delete(&path(number))?;
        lab.create_service(&Wanted::single(&name(number), "IPv4").annotated(THEIRS, "prod"))?;
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address(number)}]}}});
        let path = format!("{}/status", path(number));
        lab.api.patch(&path, Merge::Json, &status)?;
    }
    Ok(())
}

fn stop_controllers(lab: &mut Lab) -> Result<()> {
    for part in &mut lab.herald()?.controllers {
        part.program.kill();
    }
    Ok(())
}

fn start_controllers(lab: &mut Lab) -> Result<()> {
    lab.herald()?.restart_controllers()
}

/// Kills the replica that holds the Lease, once there is one, and starts it again.
fn kill_leader(lab: &mut Lab) -> Result<()> {
    let path =
        format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/herald-controller");
    let lease = lab.api.get(&path)?.unwrap_or(Value::Null);
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let holder = holder.to_owned();
    for part in &mut lab.herald()?.controllers {
        if part.program.name() == holder {
            part.restart()?;
        }
    }
    Ok(())
}

fn in_order(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    apply_pools(lab)?;
    let file = lab.files.state.join("pools.yaml");
    std::fs::write(&file, pool_manifest())?;
    let (code, said) = heraldctl(lab, &["check", "--live", &file.display().to_string()])?;
    if code != Some(0) || said.contains("loses") || said.contains("moves") {
        bail!("heraldctl check --live ends with {code:?} and says: {said}");
    }
    start_controllers(lab)?;
    thread::sleep(Duration::from_millis(300));
    disturb(lab)
}

/// The pool that holds the addresses is the last to come.
fn pools_late(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    start_controllers(lab)?;
    lab.herald()?.wait_ready()?;
    linger(MOMENT);
    disturb(lab)?;
    lab.apply(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {name: other}\n\
         spec: {addresses: [10.73.0.150-10.73.0.199]}\n",
    )?;
    linger(MOMENT);
    expect_same(
        "Services with their addresses",
        &kept(lab)?,
        &usize::from(SERVICES),
    )?;
    let told = lab.wait(
        "Herald does not say what it leaves alone",
        PATIENCE,
        |lab| {
            let condition = "heraldlb.io/AddressAllocated";
            let (status, reason, _) = lab
                .condition(&lab.service(&name(0))?, condition)
                .unwrap_or_default();
            Ok((status.as_str(), reason.as_str()) == ("False", "NotAdopted"))
        },
    );
    told?;
    apply_pools(lab)
}

fn stopped(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    stop_controllers(lab)?;
    linger(MOMENT);
    start_controllers(lab)?;
    disturb(lab)
}

fn pool_remade(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    lab.api.delete(&format!("{POOLS}/prod"))?;
    thread::sleep(Duration::from_millis(300));
    disturb(lab)?;
    linger(MOMENT);
    apply_pools(lab)
}

fn definition_remade(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    lab.kubectl(&["delete", "crd", "ipaddresspools.heraldlb.io"])?;
    disturb(lab)?;
    linger(MOMENT);
    herald::apply_definitions(lab)?;
    apply_pools(lab)
}

fn definitions_applied(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    herald::apply_definitions(lab)?;
    disturb(lab)?;
    linger(MOMENT);
    Ok(())
}

/// Workloads, then objects, then definitions.
fn reinstalled(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    disturb(lab)?;
    lab.kubectl(&[
        "delete",
        "-n",
        NAMESPACE,
        "deployment/herald-controller",
        "daemonset/herald-speaker",
    ])?;
    stop_controllers(lab)?;
    for kind in ["ipaddresspools", "l2advertisements"] {
        lab.kubectl(&["delete", &format!("{kind}.heraldlb.io"), "--all"])?;
    }
    Herald::delete_manifests(lab)?;
    linger(MOMENT);
    reinstall(lab, &mut |_| Ok(()))
}

/// `kubectl delete -k deploy/`: objects and rights go while the programs still run, for as long as a kubelet
/// gives them.
fn deleted_at_once(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    Herald::delete_manifests(lab)?;
    linger(MOMENT);
    stop_controllers(lab)?;
    reinstall(lab, disturb)
}

fn reinstall(lab: &mut Lab, disturb: Disturb<'_>) -> Result<()> {
    expect_same(
        "Services with their addresses",
        &kept(lab)?,
        &usize::from(SERVICES),
    )?;
    herald::apply_definitions(lab)?;
    apply_pools(lab)?;
    Herald::apply_again(lab)?;
    start_controllers(lab)?;
    lab.herald()?.restart_speakers()?;
    disturb(lab)?;
    lab.herald()?.wait_ready()
}
