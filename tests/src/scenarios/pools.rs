//! A pool changes under its holders: who moves, who stays, who is refused, and what each is told.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::{Stage, expect_same, linger};
use crate::api::Merge;
use crate::herald::apply_pool;
use crate::lab::Lab;
use crate::probe::Probe;
use crate::services::{PATIENCE, Wanted};

const POOLS: &str = "/apis/heraldlb.io/v1beta1/ipaddresspools";

/// A pool no longer contains what a Service holds: that Service moves within it and is told why, and a
/// Service of another pool notices nothing.
pub(super) fn shrunk(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    second_pool(lab, "10.73.0.180-10.73.0.181")?;
    let bystander = Bystander::start(lab, Wanted::single("unmoved", "IPv4"))?;
    let moving = from_second("moving");
    let old = only(lab.serve(&moving)?)?;
    let (first, second) = ("10.73.0.180".parse()?, "10.73.0.181".parse::<IpAddr>()?);
    expect_same("the first address", &old, &first)?;
    change_second(lab, &json!({"addresses": ["10.73.0.181"]}))?;
    lab.wait("the Service is not moved", PATIENCE, |lab| {
        Ok(lab.addresses("moving")? == [second])
    })?;
    warned(
        lab,
        "moving",
        &[
            "IPMoved",
            "10.73.0.180",
            "PoolShrunk",
            "pool second no longer contains it",
            "10.73.0.181",
        ],
    )?;
    lab.wait_for_page(second)?;
    lab.wait(
        "somebody still answers for the old address",
        PATIENCE,
        |lab| lab.nobody_answers(old),
    )?;
    told_once(lab, "moving", "IPMoved")?;
    bystander.unharmed(lab)
}

/// Long enough to see that a holder keeps its address meanwhile.
const GRACE: Duration = Duration::from_secs(4);

/// A scheduling hiccup of a busy machine, no more.
const NOISE: Duration = Duration::from_millis(500);

/// A pool is deleted: its Services are served until its grace is over, lose their addresses then and are
/// told, those of another pool keep theirs; once it is there again, they are served again.
pub(super) fn deleted(stage: &mut Stage) -> Result<()> {
    let lab = &mut stage.lab;
    let grace = format!("--pool-grace={}", GRACE.as_secs());
    lab.herald()?.restart_controllers_with(&[grace])?;
    let outcome = gone_after_its_grace(lab);
    lab.herald()?.restart_controllers_with(&[])?;
    outcome
}

fn gone_after_its_grace(lab: &Lab) -> Result<()> {
    second_pool(lab, "10.73.0.180-10.73.0.181")?;
    let bystander = Bystander::start(lab, from_second("housed"))?;
    let evicted = Wanted::single("evicted", "IPv4");
    let old = only(lab.serve(&evicted)?)?;
    let served = Probe::start(&lab.topology.client, old);
    lab.api.delete(&format!("{POOLS}/lab"))?;
    linger(GRACE / 2);
    let meanwhile = lab.addresses("evicted")?;
    expect_same("the addresses meanwhile", &meanwhile, &vec![old])?;
    let outage = served.finish()?.longest_outage();
    if outage > NOISE {
        bail!("{old} was not answered for {} ms", outage.as_millis());
    }
    let told = lab.events("IPAddressPool", "lab")?;
    let sentence = "IPAddressPool lab does not exist, and 1 Service has addresses from it. It keeps \
                    them until ";
    if !told.iter().any(|event| event.contains(sentence)) {
        bail!("no Event says what will happen, and when: {told:?}");
    }
    lab.wait("the Service keeps its address", PATIENCE, |lab| {
        Ok(lab.addresses("evicted")?.is_empty())
    })?;
    let old_text = old.to_string();
    warned(
        lab,
        "evicted",
        &[
            "IPReleased",
            &old_text,
            "PoolDeleted",
            "pool lab no longer exists",
        ],
    )?;
    not_allocated(lab, "evicted", "NoPool", &["default/evicted", "second"])?;
    lab.wait("somebody still answers for the address", PATIENCE, |lab| {
        lab.nobody_answers(old)
    })?;
    apply_pool(lab)?;
    let new = only(lab.wait_for_addresses(&evicted)?)?;
    lab.wait_for_page(new)?;
    told_once(lab, "evicted", "IPReleased")?;
    bystander.unharmed(lab)
}

/// A draining pool keeps its holder and takes nobody, with a sentence, until it drains no more.
pub(super) fn draining(stage: &mut Stage) -> Result<()> {
    let lab = &stage.lab;
    second_pool(lab, "10.73.0.180-10.73.0.181")?;
    let holder = Bystander::start(lab, from_second("holder"))?;
    change_second(lab, &json!({"draining": true}))?;
    let late = from_second("late");
    lab.create_service(&late)?;
    let sentence = [
        "PoolDraining",
        "default/late",
        "pool second, which is draining",
    ];
    warned(lab, "late", &sentence)?;
    not_allocated(lab, "late", "PoolDraining", &sentence[1..])?;
    expect_same(
        "the late Service's addresses",
        &lab.addresses("late")?,
        &Vec::new(),
    )?;
    change_second(lab, &json!({"draining": false}))?;
    lab.wait_for_addresses(&late)?;
    told_once(lab, "late", "PoolDraining")?;
    holder.unharmed(lab)
}

/// A Service that has to keep its address and be answered all the time.
struct Bystander {
    name: String,
    address: IpAddr,
    probe: Probe,
}

impl Bystander {
    fn start(lab: &Lab, wanted: Wanted) -> Result<Self> {
        let address = only(lab.serve(&wanted)?)?;
        Ok(Self {
            name: wanted.name,
            address,
            probe: Probe::start(&lab.topology.client, address),
        })
    }

    fn unharmed(self, lab: &Lab) -> Result<()> {
        expect_same(&self.name, &lab.addresses(&self.name)?, &vec![self.address])?;
        let longest = self.probe.finish()?.longest_outage();
        if longest > Duration::from_millis(500) {
            bail!(
                "{} was not answered for {} ms",
                self.name,
                longest.as_millis()
            );
        }
        Ok(())
    }
}

/// A pool besides the lab's, for those that ask for it, announced.
fn second_pool(lab: &Lab, addresses: &str) -> Result<()> {
    lab.apply(&format!(
        "apiVersion: heraldlb.io/v1beta1\n\
         kind: IPAddressPool\n\
         metadata: {{name: second}}\n\
         spec: {{addresses: [\"{addresses}\"], autoAssign: false}}\n\
         ---\n\
         apiVersion: heraldlb.io/v1beta1\n\
         kind: L2Advertisement\n\
         metadata: {{name: second}}\n\
         spec: {{ipAddressPools: [second]}}\n"
    ))
}

fn change_second(lab: &Lab, spec: &serde_json::Value) -> Result<()> {
    let path = format!("{POOLS}/second");
    lab.api.patch(&path, Merge::Json, &json!({"spec": spec}))
}

fn from_second(name: &str) -> Wanted {
    Wanted::single(name, "IPv4").annotated("heraldlb.io/address-pool", "second")
}

fn only(addresses: Vec<IpAddr>) -> Result<IpAddr> {
    addresses.first().copied().context("no address")
}

/// Waits for a Warning about a Service that contains every one of the words.
pub(super) fn warned(lab: &Lab, name: &str, words: &[&str]) -> Result<()> {
    lab.wait(&format!("Service {name} is not told"), PATIENCE, |lab| {
        let events = lab.events("Service", name)?;
        let tells = |event: &&String| words.iter().all(|word| event.contains(word));
        let told = events.iter().find(tells);
        match told {
            Some(event) if event.starts_with("Warning ") => Ok(true),
            _ => bail!("no Warning with {words:?} among {events:?}"),
        }
    })
    .map(drop)
}

/// Whether a Service was told something exactly once.
pub(super) fn told_once(lab: &Lab, name: &str, reason: &str) -> Result<()> {
    let events = lab.events("Service", name)?;
    let told = events.iter().filter(|event| event.contains(reason)).count();
    expect_same(&format!("the number of Events {reason}"), &told, &1)
}

/// Waits until a ServiceAnnouncement says why its Service has no address.
pub(super) fn not_allocated(lab: &Lab, name: &str, reason: &str, words: &[&str]) -> Result<()> {
    let otherwise = format!("ServiceAnnouncement {name} does not say why");
    lab.wait(&otherwise, PATIENCE, |lab| {
        let found = lab.condition(&lab.announcement(name)?, "Allocated");
        let (status, found, message) = found.context("it has no condition Allocated")?;
        let says = words.iter().all(|word| message.contains(word));
        if status == "False" && found == reason && says {
            return Ok(true);
        }
        bail!("Allocated={status} {found}: {message}")
    })
    .map(drop)
}
