use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn range(text: &str) -> AddressRange {
    text.parse().unwrap()
}

#[test]
fn each_way_to_write_a_range_gives_its_ends() {
    for (text, first, last, shown) in [
        ("192.0.2.0/24", "192.0.2.0", "192.0.2.255", "192.0.2.0/24"),
        (
            "192.0.2.8-192.0.2.15",
            "192.0.2.8",
            "192.0.2.15",
            "192.0.2.8/29",
        ),
        (
            " 192.0.2.10 - 192.0.2.12 ",
            "192.0.2.10",
            "192.0.2.12",
            "192.0.2.10-192.0.2.12",
        ),
        (
            "192.0.2.1-192.0.2.2",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.1-192.0.2.2",
        ),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
        (
            "2001:db8::/126",
            "2001:db8::",
            "2001:db8::3",
            "2001:db8::/126",
        ),
        (
            "2001:db8::1-2001:db8::1",
            "2001:db8::1",
            "2001:db8::1",
            "2001:db8::1",
        ),
        (
            "::/0",
            "::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::/0",
        ),
        (
            "8000::/1",
            "8000::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "8000::/1",
        ),
    ] {
        let got = range(text);
        assert_eq!(got.first(), first.parse::<IpAddr>().unwrap(), "{text}");
        assert_eq!(got.last(), last.parse::<IpAddr>().unwrap(), "{text}");
        assert_eq!(got.to_string(), shown, "{text}");
        assert_eq!(range(shown), got, "{text}");
    }
}

#[test]
fn each_mistake_gets_a_sentence_that_says_what_to_write() {
    for (text, label, sentence) in [
        (
            "192.0.2.10/24",
            "HostBitsSet",
            "192.0.2.10/24 has host bits set: write 192.0.2.0/24 for the whole network or \
             192.0.2.10 for the one address",
        ),
        (
            "2001:db8::1/64",
            "HostBitsSet",
            "2001:db8::1/64 has host bits set: write 2001:db8::/64 for the whole network or \
             2001:db8::1 for the one address",
        ),
        (
            "192.0.2.9-192.0.2.1",
            "StartAfterEnd",
            "192.0.2.9-192.0.2.1 starts after it ends: write 192.0.2.1-192.0.2.9",
        ),
        (
            "192.0.2.1-2001:db8::1",
            "MixedFamilies",
            "192.0.2.1-2001:db8::1 mixes IPv4 and IPv6: a range has one family",
        ),
        (
            "192.0.2.0/33",
            "BadPrefixLength",
            "\"33\" in \"192.0.2.0/33\" is not a prefix length: IPv4 takes 0 to 32",
        ),
        (
            "2001:db8::/+64",
            "BadPrefixLength",
            "\"+64\" in \"2001:db8::/+64\" is not a prefix length: IPv6 takes 0 to 128",
        ),
        (
            "192.0.2.",
            "NotAnAddress",
            "\"192.0.2.\" is not an IP address: write an IPv4 or IPv6 address such as 192.0.2.10",
        ),
        (
            "",
            "NotAnAddress",
            "\"\" is not an IP address: write an IPv4 or IPv6 address such as 192.0.2.10",
        ),
        (
            "::ffff:192.0.2.1",
            "MappedAddress",
            "::ffff:192.0.2.1 is an IPv4 address written as IPv6: write 192.0.2.1",
        ),
    ] {
        let error = text.parse::<AddressRange>().unwrap_err();
        assert_eq!(
            (error.label(), error.to_string().as_str()),
            (label, sentence),
            "{text}"
        );
    }
    for text in [
        "-",
        "192.0.2.1-",
        "/24",
        "192.0.2.0/",
        "a-b-c",
        "1.2.3.4-1.2.3.5-1.2.3.6",
    ] {
        assert!(text.parse::<AddressRange>().is_err(), "{text}");
    }
}

#[test]
fn counts_are_exact_up_to_the_last_but_one_and_saturate_for_status() {
    for (text, count, status) in [
        ("192.0.2.0/24", 256, 256),
        ("0.0.0.0/0", 1 << 32, 1 << 32),
        ("2001:db8::/66", 1 << 62, 1 << 62),
        ("2001:db8::/64", 1 << 64, i64::MAX),
        (
            "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            u128::MAX,
            i64::MAX,
        ),
        ("::/0", u128::MAX, i64::MAX),
    ] {
        let got = range(text).count();
        assert_eq!((got.get(), got.to_i64()), (count, status), "{text}");
    }
    assert_eq!(range("0.0.0.0/0").buggy_count().get(), 1 << 25);
}

#[test]
fn overlaps_name_both_ranges() {
    let a = RangeSet::new(vec![range("192.0.2.0/28"), range("2001:db8::/64")]);
    let b = RangeSet::new(vec![range("198.51.100.0/24"), range("2001:db8::5")]);
    assert_eq!(
        a.first_overlap(&b),
        Some((range("2001:db8::/64"), range("2001:db8::5")))
    );
    assert_eq!(a.first_overlap_within(), None);
    let c = RangeSet::new(vec![range("192.0.2.0/28"), range("192.0.2.15-192.0.2.20")]);
    assert_eq!(
        c.first_overlap_within(),
        Some((range("192.0.2.0/28"), range("192.0.2.15-192.0.2.20")))
    );
    assert!(a.overlaps(&c) && !b.overlaps(&c));
}

/// The low end of IPv4, small enough to write out.
fn small() -> impl Strategy<Value = AddressRange> {
    (0u32..600, 0u32..600).prop_map(|(a, b)| {
        let (first, last) = (a.min(b), a.max(b));
        AddressRange::new(Ipv4Addr::from(first).into(), Ipv4Addr::from(last).into()).unwrap()
    })
}

fn written_out(range: &AddressRange) -> BTreeSet<u128> {
    let (first, last) = range.numbers();
    (first..=last).collect()
}

proptest! {
    #[test]
    fn range_arithmetic_equals_sets_of_numbers(a in small(), b in small()) {
        let (plain_a, plain_b) = (written_out(&a), written_out(&b));
        prop_assert_eq!(a.count().get(), plain_a.len() as u128);
        let buggy = plain_a.iter().filter(|n| matches!(*n % 256, 0 | 255)).count();
        prop_assert_eq!(a.buggy_count().get(), buggy as u128);
        let both: BTreeSet<_> = plain_a.intersection(&plain_b).copied().collect();
        prop_assert_eq!(a.intersection(&b).map_or(BTreeSet::new(), |r| written_out(&r)), both);
        let rest: BTreeSet<_> = plain_a.difference(&plain_b).copied().collect();
        let got: BTreeSet<_> = a.without(&b).iter().flat_map(written_out).collect();
        prop_assert_eq!(got, rest);
        let whole = a.without(&b).iter().map(AddressRange::count).fold(Count::ZERO, Count::plus);
        prop_assert!(whole <= a.count());
    }

    #[test]
    fn what_is_shown_reads_back(first in any::<u128>(), last in any::<u128>(), length in 0u32..=128) {
        let (a, b) = (first.min(last), first.max(last));
        let free = AddressRange::of_numbers(Family::V6, a, b);
        prop_assume!(!free.to_string().contains("::ffff:") || !free.to_string().contains('.'));
        prop_assert_eq!(free.to_string().parse::<AddressRange>(), Ok(free));
        let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
        let network = AddressRange::of_numbers(Family::V6, first & !hosts, first | hosts);
        prop_assert_eq!(network.prefix_length().map(u32::from), Some(length));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9a-f:./ -]{0,40}") {
        if let Ok(range) = text.parse::<AddressRange>() {
            prop_assert!(range.first() <= range.last());
        }
    }
}
