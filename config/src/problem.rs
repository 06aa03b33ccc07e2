//! What is wrong with an object, said once and read by conditions, Events, metrics and heraldctl.
//!
//! Not here: finding problems (each room finds its own).

use std::fmt;

use herald_model::address::RangeError;

/// Names one object; shown as `IPAddressPool lan` or `Service shop/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind, as in manifests.
    pub kind: &'static str,
    /// The namespace, for kinds that have one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// A cluster-scoped object.
    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One thing that is wrong, or not as its author may think. Shown as
/// `IPAddressPool lan, spec.addresses[2]: <message>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The object to change.
    pub object: ObjectRef,
    /// The whole object is set aside; otherwise only the part the message names, or nothing.
    pub quarantined: bool,
    /// The kind of problem.
    pub reason: Reason,
    /// The field to change, as `spec.addresses[2]` or `metadata.annotations[heraldlb.io/…]`.
    pub field: String,
    /// One sentence: what is wrong and what to write.
    pub message: String,
}

impl Problem {
    /// True when the object is used as it is written; see [`Reason::is_notice`].
    #[must_use]
    pub fn is_notice(&self) -> bool {
        !self.quarantined && self.reason.is_notice()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.object, self.field, self.message)
    }
}

/// Every kind of problem. Ordered: of several, a condition shows the first as its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The object has no name.
    NameMissing,
    /// Two manifests define the same object.
    NameDuplicate,
    /// An entry is not an address, a range or a network.
    NotAnAddress,
    /// An IPv4 address in the form `::ffff:192.0.2.1`.
    MappedAddress,
    /// A prefix length the family does not have.
    BadPrefixLength,
    /// A network with host bits set.
    HostBitsSet,
    /// A range from one family to the other.
    MixedFamilies,
    /// A range that starts after it ends.
    StartAfterEnd,
    /// A pool or reservation without addresses.
    NoAddresses,
    /// Text that is not a duration.
    NotADuration,
    /// Text that is not a port or a range of ports.
    NotPorts,
    /// An address that another object has already.
    OverlappingAddresses,
    /// An entry of a pool with an address that no host can have, which the API server refuses.
    NotAHost,
    /// A label selector Kubernetes would not accept.
    InvalidSelector,
    /// A number outside its bounds.
    OutOfBounds,
    /// Text that cannot be the name of an interface.
    InvalidInterface,
    /// An interface on which another BGPPeer of the same node finds its router.
    InterfaceTaken,
    /// An annotation or field of a Service that cannot be understood.
    InvalidRequest,
    /// The name of an IPAddressPool that does not exist.
    UnknownPool,
    /// The name of a BGPPeer that does not exist.
    UnknownPeer,
    /// The name of a BFDProfile that does not exist.
    UnknownBfdProfile,
    /// A community name that no Community defines.
    UnknownCommunity,
    /// Text that is not a community.
    NotACommunity,
    /// A community name that is defined twice.
    CommunityDefinedTwice,
    /// Two advertisements that say different things of the same prefixes.
    ConflictingLocalPref,
    /// Two advertisements that reckon the nodes' shares of the same prefixes in different ways.
    ConflictingLinkBandwidth,
    /// A peer whose router's connections cannot be told from those of another's.
    AmbiguousRouter,
    /// A value that only a later version knows.
    UnknownValue,
    /// A pool that no advertisement covers.
    NotAdvertised,
    /// A pool that is only announced on the LAN and in no subnet of it.
    OffSubnet,
    /// A pool with addresses that no Service is given.
    PartlyUsable,
    /// A pool with an address that stands in spec.externalIPs of a Service.
    ExternalIp,
    /// A reserved address that is in no pool.
    OutsideEveryPool,
    /// A selector, name or interface that matches nothing at the moment.
    NothingSelected,
    /// An address the same object holds twice.
    DuplicateAddresses,
    /// An excluded address that is not in the pool.
    ExcludedOutside,
    /// A pool all of whose addresses are excluded, or can be given to no Service.
    NothingLeft,
}

impl Reason {
    /// One CamelCase word, for conditions, Events and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NameMissing => "NameMissing",
            Self::NameDuplicate => "NameDuplicate",
            Self::NotAnAddress => "NotAnAddress",
            Self::MappedAddress => "MappedAddress",
            Self::BadPrefixLength => "BadPrefixLength",
            Self::HostBitsSet => "HostBitsSet",
            Self::MixedFamilies => "MixedFamilies",
            Self::StartAfterEnd => "StartAfterEnd",
            Self::NoAddresses => "NoAddresses",
            Self::NotADuration => "NotADuration",
            Self::NotPorts => "NotPorts",
            Self::OverlappingAddresses => "OverlappingAddresses",
            Self::NotAHost => "NotAHost",
            Self::InvalidSelector => "InvalidSelector",
            Self::OutOfBounds => "OutOfBounds",
            Self::InvalidInterface => "InvalidInterface",
            Self::InterfaceTaken => "InterfaceTaken",
            Self::InvalidRequest => "InvalidRequest",
            Self::UnknownPool => "UnknownPool",
            Self::UnknownPeer => "UnknownPeer",
            Self::UnknownBfdProfile => "UnknownBfdProfile",
            Self::UnknownCommunity => "UnknownCommunity",
            Self::NotACommunity => "NotACommunity",
            Self::CommunityDefinedTwice => "CommunityDefinedTwice",
            Self::ConflictingLocalPref => "ConflictingLocalPref",
            Self::ConflictingLinkBandwidth => "ConflictingLinkBandwidth",
            Self::AmbiguousRouter => "AmbiguousRouter",
            Self::UnknownValue => "UnknownValue",
            Self::NotAdvertised => "NotAdvertised",
            Self::OffSubnet => "OffSubnet",
            Self::PartlyUsable => "PartlyUsable",
            Self::ExternalIp => "ExternalIP",
            Self::OutsideEveryPool => "OutsideEveryPool",
            Self::NothingSelected => "NothingSelected",
            Self::DuplicateAddresses => "DuplicateAddresses",
            Self::ExcludedOutside => "ExcludedOutside",
            Self::NothingLeft => "NothingLeft",
        }
    }

    /// True when the object is used as it is written, and only its author may have meant more.
    #[must_use]
    pub fn is_notice(self) -> bool {
        self >= Self::UnknownValue
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl From<&RangeError> for Reason {
    fn from(error: &RangeError) -> Self {
        match error {
            RangeError::NotAnAddress { .. } | RangeError::LeadingZeros { .. } => Self::NotAnAddress,
            RangeError::MappedAddress { .. } => Self::MappedAddress,
            RangeError::BadPrefixLength { .. } => Self::BadPrefixLength,
            RangeError::HostBitsSet { .. } => Self::HostBitsSet,
            RangeError::MixedFamilies { .. } => Self::MixedFamilies,
            RangeError::StartAfterEnd { .. } => Self::StartAfterEnd,
        }
    }
}

/// Condition `Accepted` of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// True: used as written. False: not used, or not wholly; the message says which.
    pub accepted: bool,
    /// The reason's label, `Accepted` when there is nothing to say.
    pub reason: &'static str,
    /// Sentences, one per problem.
    pub message: String,
}

/// A condition's message holds this many problems; more are counted.
const SHOWN: usize = 20;

impl Verdict {
    /// The verdict on the object that all of these problems are about.
    #[must_use]
    pub fn of(problems: &[&Problem]) -> Self {
        let mut problems = problems.to_vec();
        problems.sort_by_key(|problem| (!problem.quarantined, problem.reason));
        let Some(first) = problems.first() else {
            return Self {
                accepted: true,
                reason: "Accepted",
                message: "The object is in use as it is written.".to_owned(),
            };
        };
        let quarantined = first.quarantined;
        let accepted = first.is_notice();
        let mut sentences: Vec<String> = problems
            .iter()
            .take(SHOWN)
            .map(|problem| format!("{}: {}.", problem.field, problem.message))
            .collect();
        if problems.len() > SHOWN {
            sentences.push(format!("{} more problems.", problems.len() - SHOWN));
        }
        if quarantined {
            sentences.push("The object is not in use.".to_owned());
        } else if !accepted {
            sentences.push("The rest of the object is in use.".to_owned());
        }
        Self {
            accepted,
            reason: first.reason.label(),
            message: sentences.join(" "),
        }
    }
}

/// Collects the problems of one object.
pub(crate) struct Report<'a> {
    object: ObjectRef,
    problems: &'a mut Vec<Problem>,
    quarantined: bool,
}

impl<'a> Report<'a> {
    pub(crate) fn new(object: ObjectRef, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            object,
            problems,
            quarantined: false,
        }
    }

    /// The whole object cannot be used.
    pub(crate) fn reject(&mut self, field: impl Into<String>, reason: Reason, message: String) {
        self.quarantined = true;
        self.push(true, field.into(), reason, message);
    }

    /// Part of the object, or nothing, is set aside.
    pub(crate) fn note(&mut self, field: impl Into<String>, reason: Reason, message: String) {
        self.push(false, field.into(), reason, message);
    }

    pub(crate) fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    fn push(&mut self, quarantined: bool, field: String, reason: Reason, message: String) {
        let object = self.object.clone();
        self.problems.push(Problem {
            object,
            quarantined,
            reason,
            field,
            message,
        });
    }
}
