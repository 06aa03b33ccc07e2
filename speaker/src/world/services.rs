//! Services as the model sees them, kept from look to look: one is translated again when it, or one of its
//! EndpointSlices, is another object. A change of one among ten thousand costs no more than comparing
//! pointers for the rest.
//!
//! Not here: what a Service means (`herald_config::service`).

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_config::service;
use herald_model::service::{Service, ServiceKey};
use herald_runtime::watch::ObjectName;
use k8s_openapi::api::core::v1::Service as KubeService;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// Objects of one kind, as a watch shows them.
pub(super) type Shown<K> = BTreeMap<ObjectName, Arc<K>>;

/// What was translated last.
#[derive(Debug, Default)]
pub(super) struct Services {
    slices: Slices,
    /// Those that are ours.
    entries: BTreeMap<ObjectName, Entry>,
    counted: bool,
}

/// EndpointSlices with the Service that each belongs to.
#[derive(Debug, Default)]
struct Slices(BTreeMap<ObjectName, (Arc<EndpointSlice>, Option<ServiceKey>)>);

#[derive(Debug)]
struct Entry {
    object: Arc<KubeService>,
    slices: Vec<Arc<EndpointSlice>>,
    service: Arc<Service>,
}

impl Services {
    /// The Services of a class that are shown, with their endpoints, which are `counted` where that matters.
    pub(super) fn look(
        &mut self,
        services: &Shown<KubeService>,
        slices: &Shown<EndpointSlice>,
        class: &str,
        counted: bool,
    ) -> BTreeMap<ServiceKey, Arc<Service>> {
        if self.counted != counted {
            self.entries.clear();
            self.counted = counted;
        }
        let mut by_service = self.slices.look(slices);
        let is_ours = |object: &KubeService| service::is_ours(object, class);
        self.entries
            .retain(|name, _| services.get(name).is_some_and(|object| is_ours(object)));
        let ours = services.iter().filter(|(_, object)| is_ours(object));
        ours.map(|(name, object)| {
            let key = self
                .entries
                .get(name)
                .map(|entry| entry.service.key.clone());
            let key = key.unwrap_or_else(|| service::key(object));
            let slices = by_service.remove(&key).unwrap_or_default();
            let entry = self.entries.get(name);
            let service = match entry.filter(|entry| entry.is_of(object, &slices)) {
                Some(entry) => Arc::clone(&entry.service),
                None => {
                    let entry = Entry::new(object, slices, counted);
                    let service = Arc::clone(&entry.service);
                    self.entries.insert(name.clone(), entry);
                    service
                }
            };
            (key, service)
        })
        .collect()
    }
}

impl Entry {
    fn new(object: &Arc<KubeService>, slices: Vec<Arc<EndpointSlice>>, counted: bool) -> Self {
        let all = || slices.iter().map(AsRef::as_ref);
        let (mut service, _) = service::from_service(object);
        service.endpoints = service::endpoints(all());
        if counted {
            service.serving = service::serving(all());
        }
        Self {
            object: Arc::clone(object),
            service: Arc::new(service),
            slices,
        }
    }

    /// Whether it was made from these very objects.
    fn is_of(&self, object: &Arc<KubeService>, slices: &[Arc<EndpointSlice>]) -> bool {
        let same =
            |(one, other): (&Arc<EndpointSlice>, &Arc<EndpointSlice>)| Arc::ptr_eq(one, other);
        Arc::ptr_eq(&self.object, object)
            && self.slices.len() == slices.len()
            && self.slices.iter().zip(slices).all(same)
    }
}

impl Slices {
    /// The slices that are shown, by the Service they belong to.
    fn look(
        &mut self,
        shown: &Shown<EndpointSlice>,
    ) -> BTreeMap<ServiceKey, Vec<Arc<EndpointSlice>>> {
        self.0.retain(|name, _| shown.contains_key(name));
        let mut by_service: BTreeMap<ServiceKey, Vec<_>> = BTreeMap::new();
        for (name, slice) in shown {
            let known = self.0.get(name);
            let owner = match known.filter(|(known, _)| Arc::ptr_eq(known, slice)) {
                Some((_, owner)) => owner.clone(),
                None => {
                    let owner = service::owner(slice);
                    let entry = (Arc::clone(slice), owner.clone());
                    self.0.insert(name.clone(), entry);
                    owner
                }
            };
            if let Some(owner) = owner {
                by_service.entry(owner).or_default().push(Arc::clone(slice));
            }
        }
        by_service
    }
}

#[cfg(test)]
mod tests {
    use herald_config::service::DEFAULT_CLASS;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn name(number: u8) -> ObjectName {
        ObjectName::new("shop", &format!("s{number}"))
    }

    fn service(number: u8, port: u16, ours: bool) -> Arc<KubeService> {
        let class = if ours {
            DEFAULT_CLASS
        } else {
            "example.com/other"
        };
        let object = json!({
            "metadata": {"namespace": "shop", "name": format!("s{number}")},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": class, "ports": [{"port": port}]},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn slice(owner: u8, node: u8) -> Arc<EndpointSlice> {
        let object = json!({
            "metadata": {"namespace": "shop",
                "labels": {"kubernetes.io/service-name": format!("s{owner}")}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": format!("n{node}")}],
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    /// What somebody does, or shows.
    #[derive(Debug, Clone)]
    enum Step {
        Service(u8, Option<(u16, bool)>),
        Slice(u8, Option<(u8, u8)>),
        Look(bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let number = 0..4_u8;
        let step = prop_oneof![
            (number.clone(), prop::option::of((1..3_u16, any::<bool>())))
                .prop_map(|(number, object)| Step::Service(number, object)),
            (number.clone(), prop::option::of((number, 0..3_u8)))
                .prop_map(|(number, object)| Step::Slice(number, object)),
            any::<bool>().prop_map(Step::Look),
        ];
        prop::collection::vec(step, 1..40)
    }

    fn put<K>(shown: &mut Shown<K>, name: ObjectName, object: Option<Arc<K>>) {
        match object {
            Some(object) => shown.insert(name, object),
            None => shown.remove(&name),
        };
    }

    /// Translated from nothing.
    fn plain(
        services: &Shown<KubeService>,
        slices: &Shown<EndpointSlice>,
        counted: bool,
    ) -> BTreeMap<ServiceKey, Arc<Service>> {
        let ours = services
            .values()
            .filter(|s| service::is_ours(s, DEFAULT_CLASS));
        ours.map(|object| {
            let key = service::key(object);
            let its = slices
                .values()
                .filter(|s| service::owner(s).as_ref() == Some(&key));
            let its: Vec<_> = its.map(AsRef::as_ref).collect();
            let (mut service, _) = service::from_service(object);
            service.endpoints = service::endpoints(its.iter().copied());
            if counted {
                service.serving = service::serving(its);
            }
            (key, Arc::new(service))
        })
        .collect()
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_a_new_translation_gives(steps in steps()) {
            let (mut kept, mut services, mut slices) =
                (Services::default(), Shown::new(), Shown::new());
            for step in steps {
                match step {
                    Step::Service(number, object) => {
                        let object = object.map(|(port, ours)| service(number, port, ours));
                        put(&mut services, name(number), object);
                    }
                    Step::Slice(number, object) => {
                        let object = object.map(|(owner, node)| slice(owner, node));
                        put(&mut slices, name(number), object);
                    }
                    Step::Look(counted) => {
                        let seen = kept.look(&services, &slices, DEFAULT_CLASS, counted);
                        prop_assert_eq!(seen, plain(&services, &slices, counted));
                    }
                }
            }
        }
    }

    #[test]
    fn what_did_not_change_is_not_translated_again() {
        let services = Shown::from([0, 1].map(|n| (name(n), service(n, 80, true))));
        let mut slices = Shown::from([(name(0), slice(0, 0)), (name(1), slice(1, 0))]);
        let mut kept = Services::default();
        let first = kept.look(&services, &slices, DEFAULT_CLASS, false);
        slices.insert(name(1), slice(1, 1));
        let second = kept.look(&services, &slices, DEFAULT_CLASS, false);
        let same: Vec<bool> = first
            .values()
            .zip(second.values())
            .map(|(one, other)| Arc::ptr_eq(one, other))
            .collect();
        assert_eq!(same, [true, false]);
    }
}
