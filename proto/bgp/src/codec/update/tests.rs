use super::*;
use crate::Families;

const EXTERNAL: Context = Context {
    four_octet_as: true,
    internal: false,
    families: Families::both(),
    extended_next_hop: true,
};
const INTERNAL: Context = Context {
    internal: true,
    ..EXTERNAL
};
const NARROW: Context = Context {
    four_octet_as: false,
    ..EXTERNAL
};

const NET: &[u8] = &[24, 192, 0, 2];
const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9];
const HOP: &[u8] = &[0x40, 3, 4, 10, 0, 0, 1];

/// An UPDATE that announces 192.0.2.0/24 with these attributes.
fn body(attributes: &[&[u8]]) -> Vec<u8> {
    let attributes = attributes.concat();
    let mut body = vec![0, 0];
    body.extend((attributes.len() as u16).to_be_bytes());
    body.extend(attributes);
    body.extend(NET);
    body
}

/// The mandatory ones, and one more.
fn with(more: &[u8], context: &Context) -> Result<Update, Notification> {
    let local: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
    let path: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xe9];
    let path = if context.four_octet_as { PATH } else { path };
    let local = if context.internal && more.get(1) != Some(&5) {
        local
    } else {
        &[]
    };
    Update::decode(&body(&[ORIGIN, path, HOP, local, more]), context)
}

/// An attribute, on which session, and what follows.
type Case<'a> = (&'a [u8], &'a Context, Option<(Flaw, Approach)>);

fn discard(flaw: Flaw) -> Option<(Flaw, Approach)> {
    Some((flaw, Approach::AttributeDiscard))
}

fn withdraw(flaw: Flaw) -> Option<(Flaw, Approach)> {
    Some((flaw, Approach::TreatAsWithdraw))
}

/// RFC 7606 section 7, RFC 6793 section 6, RFC 8092 section 6, RFC 9234 section 5, RFC 7607, RFC 9774:
/// what follows, attribute by attribute.
#[test]
fn a_malformed_attribute_is_discarded_or_its_routes_count_as_withdrawn() {
    use Flaw::{AsSet, AsZero, Flags, Length, Misplaced, Value};
    let cases: &[Case] = &[
        // MED
        (&[0x80, 4, 4, 0, 0, 0, 1], &EXTERNAL, None),
        (&[0x80, 4, 3, 0, 0, 0], &EXTERNAL, withdraw(Length)),
        (&[0x80, 4, 0], &EXTERNAL, withdraw(Length)),
        (&[0xc0, 4, 4, 0, 0, 0, 1], &EXTERNAL, withdraw(Flags)),
        // LOCAL_PREF
        (&[0x40, 5, 4, 0, 0, 0, 1], &INTERNAL, None),
        (&[0x40, 5, 5, 0, 0, 0, 1, 1], &INTERNAL, withdraw(Length)),
        (&[0x40, 5, 4, 0, 0, 0, 1], &EXTERNAL, discard(Misplaced)),
        (&[0x40, 5, 1, 0], &EXTERNAL, discard(Misplaced)),
        // ATOMIC_AGGREGATE
        (&[0x40, 6, 0], &EXTERNAL, None),
        (&[0x40, 6, 1, 0], &EXTERNAL, discard(Length)),
        (&[0xc0, 6, 0], &EXTERNAL, withdraw(Flags)),
        // AGGREGATOR
        (&[0xc0, 7, 8, 0, 0, 1, 1, 1, 1, 1, 1], &EXTERNAL, None),
        (&[0xc0, 7, 6, 1, 1, 1, 1, 1, 1], &EXTERNAL, discard(Length)),
        (&[0xc0, 7, 6, 1, 1, 1, 1, 1, 1], &NARROW, None),
        (
            &[0xc0, 7, 8, 0, 0, 1, 1, 1, 1, 1, 1],
            &NARROW,
            discard(Length),
        ),
        (
            &[0xc0, 7, 8, 0, 0, 0, 0, 1, 1, 1, 1],
            &EXTERNAL,
            discard(AsZero),
        ),
        (&[0xc0, 7, 6, 0, 0, 1, 1, 1, 1], &NARROW, discard(AsZero)),
        // COMMUNITIES
        (&[0xc0, 8, 4, 0, 0, 0, 1], &EXTERNAL, None),
        (&[0xe0, 8, 4, 0, 0, 0, 1], &EXTERNAL, None),
        (&[0xc0, 8, 0], &EXTERNAL, withdraw(Length)),
        (&[0xc0, 8, 5, 0, 0, 0, 1, 1], &EXTERNAL, withdraw(Length)),
        (&[0x80, 8, 4, 0, 0, 0, 1], &EXTERNAL, withdraw(Flags)),
        (&[0x40, 8, 4, 0, 0, 0, 1], &EXTERNAL, withdraw(Flags)),
        // ORIGINATOR_ID, CLUSTER_LIST
        (&[0x80, 9, 4, 1, 1, 1, 1], &INTERNAL, None),
        (&[0x80, 9, 3, 1, 1, 1], &INTERNAL, withdraw(Length)),
        (&[0x80, 9, 4, 1, 1, 1, 1], &EXTERNAL, discard(Misplaced)),
        (&[0x80, 10, 8, 1, 1, 1, 1, 2, 2, 2, 2], &INTERNAL, None),
        (&[0x80, 10, 0], &INTERNAL, withdraw(Length)),
        (
            &[0x80, 10, 6, 1, 1, 1, 1, 2, 2],
            &INTERNAL,
            withdraw(Length),
        ),
        (
            &[0x80, 10, 6, 1, 1, 1, 1, 2, 2],
            &EXTERNAL,
            discard(Misplaced),
        ),
        // EXTENDED COMMUNITIES
        (&[0xc0, 16, 8, 0, 2, 0, 1, 0, 0, 0, 1], &EXTERNAL, None),
        (
            &[0xc0, 16, 7, 0, 2, 0, 1, 0, 0, 0],
            &EXTERNAL,
            withdraw(Length),
        ),
        (&[0xc0, 16, 0], &EXTERNAL, withdraw(Length)),
        // AS4_PATH, AS4_AGGREGATOR
        (&[0xc0, 17, 6, 2, 1, 0, 1, 0, 0], &NARROW, None),
        (
            &[0xc0, 17, 6, 2, 1, 0, 1, 0, 0],
            &EXTERNAL,
            discard(Misplaced),
        ),
        (&[0xc0, 17, 5, 2, 1, 0, 1, 0], &NARROW, discard(Length)),
        (&[0xc0, 17, 6, 3, 1, 0, 1, 0, 0], &NARROW, discard(Value)),
        (&[0xc0, 17, 6, 2, 1, 0, 0, 0, 0], &NARROW, discard(AsZero)),
        (&[0xc0, 17, 6, 1, 1, 0, 1, 0, 0], &NARROW, withdraw(AsSet)),
        (&[0xc0, 18, 8, 0, 1, 0, 0, 1, 1, 1, 1], &NARROW, None),
        (
            &[0xc0, 18, 7, 0, 1, 0, 0, 1, 1, 1],
            &NARROW,
            discard(Length),
        ),
        (
            &[0xc0, 18, 8, 0, 0, 0, 0, 1, 1, 1, 1],
            &NARROW,
            discard(AsZero),
        ),
        (
            &[0xc0, 18, 8, 0, 1, 0, 0, 1, 1, 1, 1],
            &EXTERNAL,
            discard(Misplaced),
        ),
        // LARGE COMMUNITIES
        (
            &[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3],
            &EXTERNAL,
            None,
        ),
        (
            &[0xc0, 32, 11, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
            &EXTERNAL,
            withdraw(Length),
        ),
        (&[0xc0, 32, 0], &EXTERNAL, withdraw(Length)),
        // ONLY TO CUSTOMER
        (&[0xc0, 35, 4, 0, 0, 0, 1], &EXTERNAL, None),
        (&[0xc0, 35, 3, 0, 0, 1], &EXTERNAL, withdraw(Length)),
        (&[0xc0, 35, 4, 0, 0, 0, 0], &EXTERNAL, withdraw(AsZero)),
        // Nobody knows these, and they are optional.
        (&[0xc0, 99, 2, 1, 2], &EXTERNAL, None),
        (&[0x80, 100, 0], &EXTERNAL, None),
        // RFC 7606 section 4: it cannot be told where they end.
        (&[0x80, 4, 5, 0, 0, 0, 1], &EXTERNAL, withdraw(Flaw::Cut)),
        (&[0xc0], &EXTERNAL, withdraw(Flaw::Cut)),
        (&[0xc0, 8], &EXTERNAL, withdraw(Flaw::Cut)),
        (&[0xd0, 8, 0], &EXTERNAL, withdraw(Flaw::Cut)),
        // RFC 7606 section 3 (g).
        (ORIGIN, &EXTERNAL, discard(Flaw::Repeated)),
    ];
    for (more, context, expected) in cases {
        let update = with(more, context).unwrap();
        let flaws: Vec<_> = update.faults.iter().map(|f| (f.flaw, f.approach)).collect();
        let approach = expected.map(|(_, approach)| approach);
        assert_eq!(flaws, Vec::from_iter(*expected), "{more:02x?}");
        assert_eq!(update.approach, approach);
        assert_eq!(update.announced, ["192.0.2.0/24".parse().unwrap()]);
    }
}

/// RFC 7606 sections 7.1 to 7.3.
#[test]
fn malformed_mandatory_attributes_count_as_a_withdrawal() {
    use Flaw::{AsSet, AsZero, Flags, Length, Missing, Value};
    let cases: &[(&[&[u8]], Flaw)] = &[
        (&[&[0x40, 1, 1, 3], PATH, HOP], Value),
        (&[&[0x40, 1, 2, 0, 0], PATH, HOP], Length),
        (&[&[0x40, 1, 0], PATH, HOP], Length),
        (&[&[0xc0, 1, 1, 0], PATH, HOP], Flags),
        (&[&[0x00, 1, 1, 0], PATH, HOP], Flags),
        (&[ORIGIN, &[0x40, 2, 2, 2, 0], HOP], Value),
        (&[ORIGIN, &[0x40, 2, 6, 3, 1, 0, 0, 0, 1], HOP], Value),
        (&[ORIGIN, &[0x40, 2, 6, 5, 1, 0, 0, 0, 1], HOP], Value),
        (&[ORIGIN, &[0x40, 2, 6, 1, 1, 0, 0, 0, 1], HOP], AsSet),
        (&[ORIGIN, &[0x40, 2, 6, 2, 1, 0, 0, 0, 0], HOP], AsZero),
        (&[ORIGIN, &[0x40, 2, 6, 2, 2, 0, 0, 0, 1], HOP], Length),
        (&[ORIGIN, &[0x40, 2, 7, 2, 1, 0, 0, 0, 1, 2], HOP], Length),
        (&[ORIGIN, &[0x40, 2, 4, 2, 1, 0, 1], HOP], Length),
        (&[ORIGIN, PATH, &[0x40, 3, 3, 1, 1, 1]], Length),
        (&[ORIGIN, PATH, &[0x40, 3, 4, 0, 0, 0, 0]], Value),
        (&[ORIGIN, PATH, &[0x40, 3, 4, 224, 0, 0, 1]], Value),
        (&[PATH, HOP], Missing),
        (&[ORIGIN, HOP], Missing),
        (&[ORIGIN, PATH], Missing),
    ];
    for (attributes, flaw) in cases {
        let update = Update::decode(&body(attributes), &EXTERNAL).unwrap();
        assert_eq!(update.faults[0].flaw, *flaw, "{attributes:02x?}");
        assert_eq!(update.approach, Some(Approach::TreatAsWithdraw));
    }
    let internal = Update::decode(&body(&[ORIGIN, PATH, HOP]), &INTERNAL).unwrap();
    assert_eq!(
        (internal.faults[0].attribute, internal.faults[0].flaw),
        (5, Missing)
    );
    let empty_path = body(&[ORIGIN, &[0x40, 2, 0], HOP]);
    assert_eq!(Update::decode(&empty_path, &EXTERNAL).unwrap().faults, []);
}

/// Where RFC 7606 leaves no other way, and with which NOTIFICATION.
#[test]
fn what_cannot_be_mended_ends_the_session() {
    let reach: &[u8] = &[0x80, 14, 5, 0, 2, 1, 0, 0];
    let unreach: &[u8] = &[0x80, 15, 3, 0, 2, 1];
    let cases: &[(Vec<u8>, (u8, u8))] = &[
        // Section 3 (a), RFC 4271 section 6.3: lengths that do not add up.
        (vec![0], (3, 1)),
        (vec![0, 1, 0, 0], (3, 1)),
        (vec![0, 0, 0, 1], (3, 1)),
        (vec![0, 0], (3, 1)),
        // Section 5.3: prefixes that cannot be.
        (vec![0, 2, 33, 0, 0, 0], (3, 10)),
        (vec![0, 1, 8, 0, 0], (3, 10)),
        (vec![0, 0, 0, 0, 33, 0, 0, 0, 0, 0], (3, 10)),
        (vec![0, 0, 0, 0, 24, 0, 0], (3, 10)),
        // RFC 4271 section 6.3: a well-known attribute that nobody knows.
        (body(&[ORIGIN, PATH, HOP, &[0x40, 99, 0]]), (3, 2)),
        // Section 3 (g).
        (body(&[unreach, unreach]), (3, 1)),
        // Section 7.11, RFC 4760 section 7.
        (body(&[&[0x80, 14, 4, 0, 2, 1, 0]]), (3, 9)),
        (body(&[reach]), (3, 9)),
        (body(&[&[0x80, 14, 0]]), (3, 9)),
        // Section 7.12.
        (body(&[&[0x80, 15, 2, 0, 2]]), (3, 9)),
        (body(&[&[0x80, 15, 4, 0, 2, 1, 129]]), (3, 9)),
        // Section 5.2: no prefix was found, although there are attributes.
        (vec![0, 0, 0, 4, 0x40, 1, 1, 9], (3, 1)),
    ];
    for (body, expected) in cases {
        let told = Update::decode(body, &EXTERNAL).unwrap_err();
        assert_eq!((told.code, told.subcode), *expected, "{body:02x?}");
    }
    let told = Update::decode(&body(&[ORIGIN, &[0x40, 99, 1, 7]]), &EXTERNAL).unwrap_err();
    assert_eq!(told.data, [0x40, 99, 1, 7]);
}

fn reach(family: u8, next_hop: &[u8], context: &Context) -> Result<Update, Notification> {
    let mut value = vec![0, family, 1, next_hop.len() as u8];
    value.extend(next_hop);
    value.extend([0, 8, 10]);
    let mut attribute = vec![0x80, 14, value.len() as u8];
    attribute.extend(value);
    let attributes = [&attribute, ORIGIN, PATH].concat();
    let mut body = vec![0, 0];
    body.extend((attributes.len() as u16).to_be_bytes());
    body.extend(attributes);
    Update::decode(&body, context)
}

/// RFC 2545 section 3, RFC 8950 section 4: 4, 16 or 32 octets, and nothing else.
#[test]
fn next_hops_have_the_lengths_of_their_family() {
    let plain = Context {
        extended_next_hop: false,
        ..EXTERNAL
    };
    for length in 0..=48 {
        let hop = vec![0x20; length];
        let fits = |family, context| reach(family, &hop, context).is_ok();
        assert_eq!(
            fits(1, &EXTERNAL),
            [4, 16, 32].contains(&length),
            "{length}"
        );
        assert_eq!(fits(1, &plain), length == 4, "{length}");
        assert_eq!(fits(2, &plain), [16, 32].contains(&length), "{length}");
    }
}

/// RFC 4760: nothing is read of what is not exchanged here, and it is no mistake.
#[test]
fn families_that_were_not_agreed_on_are_passed_over() {
    let v4 = Context {
        families: Families::only(Family::Ipv4),
        ..EXTERNAL
    };
    let update = reach(2, &[0x20; 16], &v4).unwrap();
    assert_eq!((update.reach, update.faults.len()), (None, 0));
    assert!(update.foreign);
    let vpn = [0, 0, 0, 6, 0x80, 15, 3, 0, 1, 128];
    let update = Update::decode(&vpn, &EXTERNAL).unwrap();
    assert_eq!((update.ends(), update.foreign), (None, true));
}

/// RFC 7606 section 3 (c): the routes are still found where the flags of the attribute that has
/// them are wrong.
#[test]
fn wrong_flags_of_a_list_of_routes_withdraw_them() {
    let body = [0, 0, 0, 8, 0xc0, 15, 5, 0, 2, 1, 8, 0x20];
    let update = Update::decode(&body, &EXTERNAL).unwrap();
    assert_eq!(update.approach, Some(Approach::TreatAsWithdraw));
    assert_eq!(
        update.unreach.unwrap().prefixes,
        ["2000::/8".parse().unwrap()]
    );
}

/// RFC 4724 section 2.
#[test]
fn markers_of_the_end_have_their_octets() {
    for (family, octets) in [
        (Family::Ipv4, vec![0, 0, 0, 0]),
        (Family::Ipv6, vec![0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]),
    ] {
        let mut out = vec![];
        let marker = Update::end_of_rib(family);
        marker.encode(&EXTERNAL, 4096, &mut out).unwrap();
        assert_eq!(out[HEADER..], octets);
        let read = Update::decode(&octets, &EXTERNAL).unwrap();
        assert_eq!((read.ends(), read), (Some(family), marker));
    }
    assert_eq!(with(&[], &EXTERNAL).unwrap().ends(), None);
    let withdrawal = Update::decode(&[0, 2, 8, 10, 0, 0], &EXTERNAL).unwrap();
    assert_eq!(withdrawal.ends(), None);
}

/// Mistakes are told a few at a time, and the strongest counts although it came last.
#[test]
fn many_mistakes_cost_little() {
    let mut attributes: Vec<&[u8]> = vec![ORIGIN, PATH, HOP];
    attributes.extend([ORIGIN; 900]);
    attributes.push(&[0x80, 4, 0]);
    let update = Update::decode(&body(&attributes), &EXTERNAL).unwrap();
    assert_eq!(update.faults.len(), FAULTS);
    assert_eq!(update.approach, Some(Approach::TreatAsWithdraw));
}
