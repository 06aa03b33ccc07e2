//! What the speaker tells people: Events and log lines, one for a change.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;

use herald_l2::{Claim, ClaimKind};
use herald_model::service::ServiceKey;
use herald_runtime::events::{Events, Happening, Kind};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::intent::Holding;
use crate::strict_arp::Answered;
use crate::world::View;

/// Tells of one node.
#[derive(Debug)]
pub(crate) struct Chronicle {
    node: String,
    events: Events,
    told: Mutex<BTreeSet<IpAddr>>,
}

impl Chronicle {
    pub(crate) fn new(node: &str, events: Events) -> Self {
        Self {
            node: node.to_owned(),
            events,
            told: Mutex::default(),
        }
    }

    /// This node announces an address from now on. Resuming after a restart is no change.
    pub(crate) fn taken(&self, address: IpAddr, holding: &Holding, resumed: bool, view: &View) {
        let on = match holding.interfaces.is_empty() {
            true => String::new(),
            false => format!(" on {}", join(&holding.interfaces)),
        };
        if resumed {
            tracing::info!(%address, on = on.trim_start(), "announcing again");
            return;
        }
        let note = format!("{address} is announced by node {}{on}", self.node);
        let told = (Kind::Normal, "Announced", note);
        self.tell(address, holding, view, told);
    }

    /// This node stopped announcing an address; `next` is who owns it now, if that is known.
    pub(crate) fn given_up(&self, address: IpAddr, holding: &Holding, next: Option<&str>) {
        let next = next.filter(|next| *next != self.node);
        let services = holding.services.iter().map(ToString::to_string).collect();
        tracing::info!(%address, services = join(&services), next, "not announcing any more");
    }

    /// A gateway did not answer an address that this node took.
    pub(crate) fn unacknowledged(
        &self,
        address: IpAddr,
        gateway: IpAddr,
        holding: &Holding,
        interface: &str,
        view: &View,
    ) {
        let note = format!(
            "gateway {gateway} did not answer {address} on {interface} of node {}: it may go on \
             sending to the owner before; check that it answers ARP and NDP on that network",
            self.node
        );
        let told = (Kind::Warning, "GatewayDidNotAnswer", note);
        self.tell(address, holding, view, told);
    }

    /// The kernel of this node answers for service addresses; told once per address.
    pub(crate) fn answered_by_kernel(&self, answered: &[Answered], view: &View) {
        let mut told = self
            .told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for conflict in answered {
            let address = IpAddr::V4(conflict.address);
            if !told.insert(address) {
                continue;
            }
            let holding = Holding {
                services: holders(view, address),
                ..Holding::default()
            };
            let note = format!("on node {}: {conflict}", self.node);
            let told = (Kind::Warning, "StrictARPNeeded", note);
            self.tell(address, &holding, view, told);
        }
        let still: BTreeSet<_> = answered.iter().map(|c| IpAddr::V4(c.address)).collect();
        told.retain(|address| still.contains(address));
    }

    /// Somebody else claims an address this node announces.
    pub(crate) fn claimed(&self, claim: &Claim, holding: &Holding, interface: &str, view: &View) {
        let Claim { address, mac, .. } = claim;
        let node = &self.node;
        let (kind, reason, note) = match (claim.peer, claim.kind) {
            (true, _) => {
                tracing::info!(%address, %mac, interface, "another node announces it, too");
                return;
            }
            (false, ClaimKind::Announced) => (
                Kind::Warning,
                "AddressClaimed",
                format!(
                    "{mac} on {interface} of node {node} announces {address}, too: find that host \
                     and take the address from it, or take the address out of the pool"
                ),
            ),
            (false, ClaimKind::Probed) => (
                Kind::Warning,
                "AddressProbed",
                format!(
                    "{mac} on {interface} of node {node} wanted to take {address} and was refused: \
                     give that host another address"
                ),
            ),
            (false, ClaimKind::InUse) => (
                Kind::Warning,
                "AddressInUse",
                format!(
                    "{mac} on {interface} of node {node} uses {address} already, so it is not \
                     announced: take the address from that host, or out of the pool; it is \
                     announced within a minute after the host is silent"
                ),
            ),
        };
        self.tell(*address, holding, view, (kind, reason, note));
    }

    fn tell(
        &self,
        address: IpAddr,
        holding: &Holding,
        view: &View,
        (kind, reason, note): (Kind, &'static str, String),
    ) {
        for service in &holding.services {
            self.events.publish(Happening {
                regarding: reference(service, view),
                about: Some(address.to_string()),
                kind,
                reason,
                action: "Announce",
                note: note.clone(),
            });
        }
    }
}

fn holders(view: &View, address: IpAddr) -> BTreeSet<ServiceKey> {
    let services = view.world.services.values();
    services
        .filter(|s| s.held.contains(&address))
        .map(|s| s.key.clone())
        .collect()
}

fn reference(service: &ServiceKey, view: &View) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Service".to_owned()),
        namespace: Some(service.namespace().to_owned()),
        name: Some(service.name().to_owned()),
        uid: view.uid(service),
        ..ObjectReference::default()
    }
}

fn join(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
