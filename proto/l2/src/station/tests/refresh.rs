//! Keeping caches and switches from forgetting (A7).

use super::*;

fn vip(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + n)
}

/// When each address was broadcast by a station that has announced them all.
fn refreshed(addresses: u32, limits: Limits, length: Duration) -> Vec<(u128, Ipv4Addr)> {
    let now = origin();
    let mut station = idle();
    station.set_limits(limits);
    let owned = (0..addresses).map(|n| (IpAddr::V4(vip(n)), on(&[LAN])));
    station.set_owned(owned.collect());
    let sent = timeline(&mut station, now, now + length);
    let broadcasts = sent.into_iter().filter_map(|(at, sent)| {
        let arp = arp_of(&sent);
        let call = sent.frame == Arp::gratuitous_request(arp.sender_ip, OURS);
        (at > 50_000 && call).then_some((at, arp.sender_ip))
    });
    broadcasts.collect()
}

#[test]
fn every_address_is_refreshed_once_in_54_to_66_s() {
    let unhindered = Limits {
        refresh_per_second: 1_000,
        ..Limits::default()
    };
    let sent = refreshed(20, unhindered, Duration::from_secs(3_600));
    let mut periods = BTreeSet::new();
    for n in 0..20 {
        let times = sent.iter().filter(|(_, address)| *address == vip(n));
        let mut last = 0;
        for (at, _) in times {
            let gap = at - last;
            assert!((54_000..=66_000).contains(&gap), "{n}: {gap} ms");
            periods.insert((gap, n));
            last = *at;
        }
        assert!(last > 3_600_000 - 66_001, "{n} is refreshed to the end");
    }
    assert_eq!(periods.len(), 20, "each has a period of its own");
    let different: BTreeSet<_> = periods.iter().map(|(gap, _)| gap / 1_000).collect();
    assert!(different.len() > 6, "they do not go in step: {periods:?}");
}

#[test]
fn a_refresh_is_a_broadcast_and_a_question_to_each_gateway_of_the_family() {
    let now = origin();
    let mut station = idle();
    station.set_limits(Limits::default());
    station.set_owned(owning(&[VIP.into(), VIP6.into()], &on(&[LAN])));
    let sent = timeline(&mut station, now, now + Duration::from_secs(67));
    let late = sent.iter().filter(|(at, _)| *at > 50_000);
    let frames: Vec<String> = late.map(|(_, sent)| format!("{:?}", sent.frame)).collect();
    let expected = [
        Arp::gratuitous_request(VIP, OURS),
        Arp::directed_request(VIP, OURS, GATEWAY),
        Advertisement::unsolicited(VIP6, LINK_LOCAL, OURS),
        Solicitation::directed(VIP6, OURS, GATEWAY6),
    ];
    for frame in &expected {
        assert!(frames.contains(&format!("{frame:?}")), "{frame:?}");
    }
    assert_eq!(frames.len(), expected.len());
}

/// A7, A8: round robin within the budget.
#[test]
fn a_thousand_addresses_take_turns_within_five_frames_a_second() {
    let now = origin();
    let mut station = idle();
    station.set_limits(Limits::default());
    let owned = (0..1000).map(|n| (IpAddr::V4(vip(n)), on(&[LAN])));
    station.set_owned(owned.collect());
    let sent = timeline(&mut station, now, now + Duration::from_secs(1_000));
    let late: Vec<_> = sent.iter().filter(|(at, _)| *at > 30_000).collect();
    for (index, (from, _)) in late.iter().enumerate() {
        let second = late[index..].iter().take_while(|(at, _)| at - from < 1_000);
        assert!(second.count() <= 5, "after {from} ms");
    }
    let calls: Vec<_> = late
        .iter()
        .filter(|(_, sent)| sent.frame.bytes()[28..32] == sent.frame.bytes()[38..42])
        .map(|(at, sent)| (*at, arp_of(sent).sender_ip))
        .collect();
    let firsts: BTreeSet<_> = calls[..1000].iter().map(|(_, address)| *address).collect();
    assert_eq!(firsts.len(), 1000, "nobody twice before everybody once");
    assert!(calls.len() > 1_000, "and then again");
    assert!(
        calls[999].0 < 470_000,
        "no time is wasted: {:?}",
        calls[999]
    );
}

#[test]
fn nothing_is_refreshed_where_that_is_not_wanted_or_not_owned() {
    let hour = Duration::from_secs(3_600);
    assert_eq!(refreshed(3, WITHOUT_REFRESH, hour), []);
    let now = origin();
    let mut station = idle();
    station.set_limits(Limits::default());
    let owned = Owned {
        until: Some(now + Duration::from_secs(90)),
        ..on(&[LAN])
    };
    station.set_owned(owning(&[VIP.into()], &owned));
    let sent = timeline(&mut station, now, now + hour);
    assert!(sent.iter().all(|(at, _)| *at < 90_000));
}
