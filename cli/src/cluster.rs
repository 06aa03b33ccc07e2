//! The live objects, read once.
//!
//! Not here: what they mean (`facts`). The only room of heraldctl that talks to the API server.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use herald_crds::{
    BFDProfile, BGPAdvertisement, BGPPeer, Community, IPAddressPool, IPReservation,
    L2Advertisement, ServiceAnnouncement, Speaker,
};
use herald_model::alloc::Freed;
use herald_runtime::{client, clock};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::ServiceCIDR;
use kube::api::ListParams;
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;

use crate::holders;

/// The Lease that the controller's replicas compete for.
pub(crate) const CONTROLLER_LEASE: &str = "herald-controller";

/// Every object that decides about addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) services: Vec<Service>,
    pub(crate) slices: Vec<EndpointSlice>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pools: Vec<IPAddressPool>,
    pub(crate) reservations: Vec<IPReservation>,
    pub(crate) l2_advertisements: Vec<L2Advertisement>,
    pub(crate) bgp_advertisements: Vec<BGPAdvertisement>,
    pub(crate) bgp_peers: Vec<BGPPeer>,
    pub(crate) bfd_profiles: Vec<BFDProfile>,
    pub(crate) communities: Vec<Community>,
    pub(crate) speakers: Vec<Speaker>,
    pub(crate) announcements: Vec<ServiceAnnouncement>,
    pub(crate) service_cidrs: Vec<ServiceCIDR>,
    pub(crate) controller_lease: Option<Lease>,
    /// Addresses nobody holds any more, as far as the controller remembers them.
    pub(crate) given_up: BTreeMap<IpAddr, Freed>,
    /// Those who hold an address together, as the controller remembers them.
    pub(crate) agreed: BTreeMap<IpAddr, Vec<Arc<herald_model::service::Service>>>,
    /// When this was read, in seconds since 1970.
    pub(crate) now: i64,
}

/// A client from the file, or as kubectl would find one.
pub(crate) async fn connect(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    if kubeconfig.is_some() {
        return client::connect(kubeconfig).await;
    }
    let config = Config::infer()
        .await
        .context("no cluster to talk to: give --kubeconfig FILE or set KUBECONFIG")?;
    Client::try_from(config).context("the API client cannot be built from the kubeconfig")
}

/// Reads everything; the first failure ends it with one sentence.
pub(crate) async fn read(client: &Client, herald_namespace: &str) -> anyhow::Result<Cluster> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), herald_namespace);
    let controller_lease = leases
        .get_opt(CONTROLLER_LEASE)
        .await
        .map_err(|error| failed("Lease", &error))?;
    let pages: Api<ConfigMap> = Api::namespaced(client.clone(), herald_namespace);
    let pages = pages.list(&ListParams::default()).await;
    let pages = pages.map_err(|error| failed("ConfigMaps", &error))?;
    Ok(Cluster {
        given_up: holders::given_up(&pages.items),
        agreed: holders::agreed(&pages.items),
        now: clock::wall().as_second(),
        services: list(client, "Services").await?,
        slices: list(client, "EndpointSlices").await?,
        namespaces: list(client, "Namespaces").await?,
        nodes: list(client, "Nodes").await?,
        pools: list(client, "IPAddressPools").await?,
        reservations: list(client, "IPReservations").await?,
        l2_advertisements: list(client, "L2Advertisements").await?,
        bgp_advertisements: list(client, "BGPAdvertisements").await?,
        bgp_peers: list(client, "BGPPeers").await?,
        bfd_profiles: list(client, "BFDProfiles").await?,
        communities: list(client, "Communities").await?,
        speakers: list(client, "Speakers").await?,
        announcements: list(client, "ServiceAnnouncements").await?,
        service_cidrs: list_where_served(client, "ServiceCIDRs").await?,
        controller_lease,
    })
}

async fn list<K>(client: &Client, what: &str) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    let list = api.list(&ListParams::default()).await;
    list.map(|list| list.items)
        .map_err(|error| failed(what, &error))
}

/// As [`list`], for a kind that not every API server serves.
async fn list_where_served<K>(client: &Client, what: &str) -> anyhow::Result<Vec<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    match api.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(error) if client::status_code(&error) == Some(404) => Ok(Vec::new()),
        Err(error) => Err(failed(what, &error)),
    }
}

fn failed(what: &str, error: &kube::Error) -> anyhow::Error {
    let advice = match client::status_code(error) {
        Some(404) => "; is Herald installed? kubectl apply -k deploy/",
        Some(401 | 403) => "; use a kubeconfig that may read them",
        Some(_) | None => "",
    };
    anyhow::anyhow!("cannot read {what}: {}{advice}", client::describe(error))
}
