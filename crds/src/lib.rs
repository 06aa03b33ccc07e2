//! What the user wrote: the Kubernetes types of group `heraldlb.io/v1beta1`, one kind per file.
//!
//! Not here: what the objects mean (`config`) and who reads or writes them. The doc comment of
//! every field is the text `kubectl explain` shows; what one object can know about itself is
//! checked by CEL rules inside the CRD. [`all`] is the only source of `deploy/crds/*.yaml`.

#![allow(
    unreachable_pub,
    reason = "the KubeSchema derive repeats each pub struct inside a function"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns of one kind have the same type"
)]

mod bfd_profile;
mod bgp_advertisement;
mod bgp_peer;
mod community;
mod ip_address_pool;
mod ip_reservation;
mod l2_advertisement;
mod manifest;
mod schema;
mod service_announcement;
mod speaker;

#[cfg(test)]
mod tests;

pub use bfd_profile::{BFDAuthentication, BFDAuthenticationType, BFDProfile, BFDProfileSpec};
pub use bgp_advertisement::{BGPAdvertisement, BGPAdvertisementSpec, BandwidthPer, LinkBandwidth};
pub use bgp_peer::{
    BGPPeer, BGPPeerSpec, ConnectionMode, DynamicASN, SecretReference, TcpAo, TcpAoAlgorithm,
    TcpAoKey,
};
pub use community::{Community, CommunityAlias, CommunitySpec};
pub use ip_address_pool::{
    IPAddressPool, IPAddressPoolSpec, IPAddressPoolStatus, Quota, ServiceAllocation, Sharing,
    SharingScope,
};
pub use ip_reservation::{IPReservation, IPReservationSpec, IPReservationStatus, ServiceReference};
pub use l2_advertisement::{L2Advertisement, L2AdvertisementSpec, PreferredNodeSelector};
pub use manifest::{all, file_name, yaml};
pub use service_announcement::{
    AllocatedAddress, BgpAnnouncement, Layer2Announcement, ServiceAnnouncement,
    ServiceAnnouncementSpec, ServiceAnnouncementStatus,
};
pub use speaker::{
    BfdSession, BgpSession, MemberPeer, Membership, Speaker, SpeakerInterface, SpeakerSpec,
    SpeakerStatus,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// API group of every kind.
pub const GROUP: &str = "heraldlb.io";
/// Served and stored version of every kind.
pub const VERSION: &str = "v1beta1";

/// Condition of every configuration kind: is the object in use, and if not, why not.
pub const ACCEPTED: &str = "Accepted";
/// Condition of `ServiceAnnouncement`: the Service holds the addresses it asked for.
pub const ALLOCATED: &str = "Allocated";
/// Condition of `ServiceAnnouncement`: a node answers for every address.
pub const ANNOUNCED: &str = "Announced";
/// Condition of `Speaker`: its watches have synced and it can send and receive frames.
pub const READY: &str = "Ready";
/// Condition of `Speaker`: it hears a majority of the speakers.
pub const QUORUM: &str = "Quorum";

/// Status of the kinds that report nothing but conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConditionsStatus {
    /// Whether Herald uses the object, and if not, what to change: condition Accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
