//! Services as the model sees them, kept from look to look: one is translated again when it, or one of its
//! EndpointSlices, is another object. A change of one among ten thousand costs no more than comparing
//! pointers for the rest.
//!
//! Not here: what a Service means (`herald_config::service`).

use std::collections::BTreeMap;
use std::sync::Arc;

use herald_config::service::{self, Class};
use herald_model::service::{Service, ServiceKey};
use herald_runtime::watch::ObjectName;
use k8s_openapi::api::core::v1::Service as KubeService;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// Objects of one kind, as a watch shows them.
pub(super) type Shown<K> = BTreeMap<ObjectName, Arc<K>>;

/// What was translated last.
#[derive(Debug, Default)]
pub(super) struct Services {
    entries: BTreeMap<ObjectName, Entry>,
    /// The EndpointSlices of each Service.
    slices: BTreeMap<ServiceKey, Vec<Arc<EndpointSlice>>>,
    counted: bool,
    /// The revisions of both kinds that this is of.
    seen: Option<(u64, u64)>,
    /// Those that are ours.
    services: BTreeMap<ServiceKey, Arc<Service>>,
}

/// One Service, ours or not.
#[derive(Debug)]
struct Entry {
    key: ServiceKey,
    object: Arc<KubeService>,
    slices: Vec<Arc<EndpointSlice>>,
    /// None when it is not ours.
    service: Option<Arc<Service>>,
}

impl Services {
    /// The Services of a class that are shown, with their endpoints, which are `counted` where that matters.
    /// What is shown comes with its revision: the same one, the same objects.
    pub(super) fn look(
        &mut self,
        services: (u64, &Shown<KubeService>),
        slices: (u64, &Shown<EndpointSlice>),
        class: &Class,
        counted: bool,
    ) -> BTreeMap<ServiceKey, Arc<Service>> {
        if self.counted != counted {
            *self = Self::default();
            self.counted = counted;
        }
        let revisions = (services.0, slices.0);
        if self.seen != Some(revisions) {
            if self.seen.is_none_or(|(_, seen)| seen != slices.0) {
                self.slices = by_service(slices.1);
            }
            self.translate(services.1, class);
            self.seen = Some(revisions);
        }
        self.services.clone()
    }

    fn translate(&mut self, shown: &Shown<KubeService>, class: &Class) {
        self.services.clear();
        for (name, object) in shown {
            let known = self.entries.get(name);
            let key = known.map_or_else(|| service::key(object), |entry| entry.key.clone());
            let slices = self.slices.get(&key).map_or(&[][..], Vec::as_slice);
            let service = match known.filter(|entry| entry.is_of(object, slices)) {
                Some(entry) => entry.service.clone(),
                None => {
                    let entry = Entry::new(key.clone(), object, slices, class, self.counted);
                    let service = entry.service.clone();
                    self.entries.insert(name.clone(), entry);
                    service
                }
            };
            if let Some(service) = service {
                self.services.insert(key, service);
            }
        }
        if self.entries.len() > shown.len() {
            self.entries.retain(|name, _| shown.contains_key(name));
        }
    }
}

impl Entry {
    fn new(
        key: ServiceKey,
        object: &Arc<KubeService>,
        slices: &[Arc<EndpointSlice>],
        class: &Class,
        counted: bool,
    ) -> Self {
        let all = || slices.iter().map(AsRef::as_ref);
        let translate = || {
            let (mut service, _) = service::from_service(object);
            service.endpoints = service::endpoints(all());
            if counted {
                service.serving = service::serving(all());
            }
            Arc::new(service)
        };
        Self {
            key,
            object: Arc::clone(object),
            slices: slices.to_vec(),
            service: class.serves(object).then(translate),
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

fn by_service(shown: &Shown<EndpointSlice>) -> BTreeMap<ServiceKey, Vec<Arc<EndpointSlice>>> {
    let mut by_service: BTreeMap<ServiceKey, Vec<_>> = BTreeMap::new();
    for slice in shown.values() {
        if let Some(owner) = service::owner(slice) {
            by_service.entry(owner).or_default().push(Arc::clone(slice));
        }
    }
    by_service
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

    /// Shows an object, or no more.
    fn put<K>(shown: &mut (u64, Shown<K>), name: ObjectName, object: Option<Arc<K>>) {
        match object {
            Some(object) => shown.1.insert(name, object),
            None => shown.1.remove(&name),
        };
        shown.0 += 1;
    }

    fn look(
        kept: &mut Services,
        services: &(u64, Shown<KubeService>),
        slices: &(u64, Shown<EndpointSlice>),
        counted: bool,
    ) -> BTreeMap<ServiceKey, Arc<Service>> {
        let (services, slices) = ((services.0, &services.1), (slices.0, &slices.1));
        kept.look(services, slices, &Class::default(), counted)
    }

    /// Translated from nothing.
    fn plain(
        services: &Shown<KubeService>,
        slices: &Shown<EndpointSlice>,
        counted: bool,
    ) -> BTreeMap<ServiceKey, Arc<Service>> {
        let ours = services.values().filter(|s| Class::default().serves(s));
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
            let mut kept = Services::default();
            let (mut services, mut slices) = ((0, Shown::new()), (0, Shown::new()));
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
                        let seen = look(&mut kept, &services, &slices, counted);
                        prop_assert_eq!(seen, plain(&services.1, &slices.1, counted));
                    }
                }
            }
        }
    }

    #[test]
    fn what_did_not_change_is_not_translated_again() {
        let services = (0, [0, 1].map(|n| (name(n), service(n, 80, true))).into());
        let slices = [(name(0), slice(0, 0)), (name(1), slice(1, 0))];
        let mut slices = (0, Shown::from(slices));
        let mut kept = Services::default();
        let first = look(&mut kept, &services, &slices, false);
        put(&mut slices, name(1), Some(slice(1, 1)));
        let second = look(&mut kept, &services, &slices, false);
        let same: Vec<bool> = first
            .values()
            .zip(second.values())
            .map(|(one, other)| Arc::ptr_eq(one, other))
            .collect();
        assert_eq!(same, [true, false]);
    }
}
