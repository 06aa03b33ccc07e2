use herald_crds::IPReservation;
use herald_model::service::ServiceKey;

use super::*;

fn reservation(name: &str, spec: Value) -> IPReservation {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

fn with(reservations: Vec<IPReservation>) -> Compiled {
    compile(&Objects {
        pools: vec![pool("lan", json!({"addresses": ["192.0.2.0/24"]}))],
        l2_advertisements: vec![l2("all", json!({}))],
        reservations,
        ..Objects::default()
    })
}

#[test]
fn a_reservation_is_for_one_service_or_for_nobody() {
    let web = json!({"namespace": "shop", "name": "web"});
    let compiled = with(vec![
        reservation("web", json!({"addresses": ["192.0.2.7"], "service": web})),
        reservation(
            "printer",
            json!({"addresses": ["192.0.2.8/30", "192.0.2.1-192.0.2.2"]}),
        ),
    ]);
    assert_eq!(compiled.problems, []);
    let reservations = &compiled.config.reservations;
    assert_eq!(
        reservations["web"].service,
        Some(ServiceKey::new("shop", "web"))
    );
    assert_eq!(reservations["printer"].service, None);
    assert!(
        reservations["printer"]
            .addresses
            .contains("192.0.2.11".parse().unwrap())
    );
    assert!(verdict(&compiled, "IPReservation", "web").accepted);
}

#[test]
fn of_two_reservations_that_overlap_the_later_named_is_quarantined() {
    let one = reservation("a", json!({"addresses": ["192.0.2.1-192.0.2.9"]}));
    let other = reservation("b", json!({"addresses": ["192.0.2.20", "192.0.2.9"]}));
    for reservations in [vec![one.clone(), other.clone()], vec![other, one]] {
        let compiled = with(reservations);
        assert_eq!(
            compiled.config.reservations.keys().collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!(
            told(&compiled),
            [(
                "spec.addresses",
                Reason::OverlappingAddresses,
                "192.0.2.9 overlaps 192.0.2.1-192.0.2.9 of IPReservation a, which is in force; remove the shared addresses from one of the two"
            )]
        );
        assert!(!verdict(&compiled, "IPReservation", "b").accepted);
    }
}

#[test]
fn a_reserved_address_outside_every_pool_is_a_notice() {
    let compiled = with(vec![reservation(
        "a",
        json!({"addresses": ["192.0.2.1", "198.51.100.1"]}),
    )]);
    assert_eq!(
        told(&compiled),
        [(
            "spec.addresses[1]",
            Reason::OutsideEveryPool,
            "198.51.100.1 is in no IPAddressPool, so nobody gets it; add it to a pool or correct it"
        )]
    );
    assert!(verdict(&compiled, "IPReservation", "a").accepted);
}

#[test]
fn a_reservation_that_cannot_be_read_is_set_aside_alone() {
    for (addresses, reason) in [
        (json!([]), Reason::NoAddresses),
        (json!(["192.0.2.300"]), Reason::NotAnAddress),
    ] {
        let compiled = with(vec![
            reservation("bad", json!({"addresses": addresses})),
            reservation("good", json!({"addresses": ["192.0.2.1"]})),
        ]);
        assert_eq!(told(&compiled)[0].1, reason);
        assert_eq!(
            compiled.config.reservations.keys().collect::<Vec<_>>(),
            ["good"]
        );
    }
}
