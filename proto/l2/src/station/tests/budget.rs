//! How fast things leave, and what leaves first (A4, A8).

use super::*;

fn vip(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0000 + n)
}

fn many(count: u32, interfaces: &[u32]) -> BTreeMap<IpAddr, Owned> {
    let pairs = (0..count).map(|n| (IpAddr::V4(vip(n)), on(interfaces)));
    pairs.collect()
}

/// A4: at most 2 000 frames a second, and no repeat before the first pass is over.
#[test]
fn a_thousand_addresses_are_announced_within_the_budget_first_pass_first() {
    let start = origin();
    let mut station = idle();
    station.set_owned(many(1000, &[LAN]));
    let first = station.poll_transmit(start).expect("at once");
    assert_eq!(first.frame, Arp::gratuitous_request(vip(0), OURS));
    let mut sent = timeline(&mut station, start, start + Duration::from_secs(20));
    sent.insert(0, (0, first));
    let addresses: Vec<_> = sent
        .iter()
        .map(|(_, sent)| arp_of(sent).sender_ip)
        .collect();
    for (pass, what) in ["broadcast", "gateway", "reply"].into_iter().enumerate() {
        let pass = &addresses[pass * 1000..(pass + 1) * 1000];
        let different: BTreeSet<_> = pass.iter().collect();
        assert_eq!(different.len(), 1000, "{what}: each address once");
    }
    for (index, (at, _)) in sent.iter().enumerate() {
        let allowed = 64 + at * 2 + 1;
        assert!(index as u128 <= allowed, "frame {index} after {at} ms");
    }
    assert!(sent[999].0 <= 480, "all have spoken: {} ms", sent[999].0);
    let told = events(&mut station);
    let announced = told
        .iter()
        .filter(|event| matches!(event, Event::Announced { .. }));
    assert_eq!(announced.count(), 1000);
}

#[test]
fn each_interface_has_a_budget_of_its_own() {
    let start = origin();
    let mut station = Station::new();
    let other = Interface {
        mac: Mac([2, 0, 0, 0, 0, 0x02]),
        ..lan()
    };
    station.set_interfaces(BTreeMap::from([(LAN, lan()), (OTHER_LAN, other)]));
    station.set_owned(many(500, &[LAN, OTHER_LAN]));
    let sent = drain(&mut station, start, start);
    for interface in [LAN, OTHER_LAN] {
        let here = sent.iter().filter(|sent| sent.interface == interface);
        assert_eq!(here.count(), 64, "on {interface}");
    }
}

/// A8: gateways, remembered clients, broadcast; never more than ten frames in any second.
#[test]
fn a_cautious_station_tells_those_who_count_first_and_stays_below_what_switches_allow() {
    let start = origin();
    let mut station = idle();
    station.set_limits(Limits::cautious());
    let addresses: Vec<IpAddr> = (0..8).map(|n| vip(n).into()).collect();
    station.set_watched(addresses.iter().copied().collect());
    for n in 0..8 {
        for client in [1, 2] {
            let client = Ipv4Addr::new(192, 0, 2, 100 + client);
            let ask = request(client, ASKER, vip(n)).frame(Mac::BROADCAST, ASKER);
            assert!(hear(&mut station, &ask, start).is_err());
        }
    }
    station.set_owned(owning(&addresses, &on(&[LAN])));
    let mut sent = timeline(&mut station, start, start);
    assert_eq!(sent.len(), 10, "the first ten at once");
    for address in &addresses {
        let _ = hear(&mut station, &acknowledgement(*address), start);
    }
    sent.extend(timeline(
        &mut station,
        start,
        start + Duration::from_secs(600),
    ));
    let forms: Vec<_> = sent
        .iter()
        .map(|(_, sent)| {
            let arp = arp_of(sent);
            let to_all = sent.frame.bytes()[..6] == Mac::BROADCAST.0;
            match (arp.target_ip == GATEWAY, to_all) {
                (true, _) => 'g',
                (false, false) => 'c',
                (false, true) => 'b',
            }
        })
        .collect();
    assert_eq!(forms[..8], ['g'; 8]);
    assert_eq!(forms[8..24], ['c'; 16]);
    assert_eq!(forms[24..40], ['b'; 16]);
    for (index, (from, _)) in sent.iter().enumerate() {
        let second = sent[index..].iter().take_while(|(at, _)| at - from < 1_000);
        assert!(second.count() <= 10, "after {from} ms");
    }
}

/// A8: whether there is a gateway to tell first or not, every address speaks once before any speaks
/// twice.
#[test]
fn on_a_small_budget_every_address_speaks_once_before_any_speaks_twice() {
    let start = origin();
    let mut station = idle();
    station.set_limits(Limits::cautious());
    station.set_interfaces(BTreeMap::from([(LAN, lan())]));
    let mut owned = many(100, &[LAN]);
    owned.insert(VIP6.into(), on(&[LAN]));
    station.set_owned(owned);
    let sent = timeline(&mut station, start, start + Duration::from_secs(60));
    let firsts: BTreeSet<_> = sent[..101]
        .iter()
        .map(|(_, sent)| sent.frame.bytes()[12..14].to_vec())
        .collect();
    assert_eq!(firsts.len(), 2, "both families are among the first");
    let announced = events(&mut station)
        .into_iter()
        .filter_map(|event| {
            let Event::Announced { at, .. } = event else {
                return None;
            };
            Some((at - start).as_millis())
        })
        .collect::<Vec<_>>();
    assert_eq!(announced.len(), 101);
    assert_eq!(announced[100], sent[100].0, "in the first 101 frames");
}

/// A4: what an old takeover still has to tell its many clients does not hold up a new one.
#[test]
fn a_new_address_does_not_wait_for_the_clients_of_another() {
    for limits in [Limits::default(), Limits::cautious()] {
        let start = origin();
        let mut station = idle();
        station.set_limits(limits);
        station.set_watched(BTreeSet::from([VIP.into()]));
        for n in 0..250 {
            let client = Ipv4Addr::new(192, 0, 3, n);
            let ask = request(client, ASKER, VIP).frame(Mac::BROADCAST, ASKER);
            assert!(hear(&mut station, &ask, start).is_err());
        }
        station.set_owned(owning(&[VIP.into()], &on(&[LAN])));
        drain(&mut station, start, start);
        let later = start + Duration::from_secs(1);
        let other = vip(1);
        station.set_owned(owning(&[VIP.into(), other.into()], &on(&[LAN])));
        let next = station.poll_transmit(later).expect("the budget is free");
        assert_eq!(arp_of(&next).sender_ip, other, "{limits:?}");
    }
}

/// A defence leaves before a takeover.
#[test]
fn a_defence_does_not_wait_for_a_big_takeover() {
    let start = origin();
    let mut station = settled(start);
    let now = start + Duration::from_secs(4_000);
    let mut owned = many(1000, &[LAN]);
    owned.insert(VIP.into(), on(&[LAN]));
    station.set_owned(owned);
    drain(&mut station, now, now);
    let claim = Arp::gratuitous_request(VIP, FOREIGN);
    assert_eq!(hear(&mut station, &claim, now), Err(Discard::Conflict));
    let next = timeline(&mut station, now, now + ms(100));
    assert_eq!(next[0].1.frame, Arp::gratuitous_request(VIP, OURS));
}
