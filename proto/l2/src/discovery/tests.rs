//! Router discovery: messages of FRR, BIRD and Linux, RFC 4861 §6 clause by clause, and a link of two.

use etherparse::{Icmpv6Slice, Icmpv6Type};
use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);
const HERE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x0b);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0xfe);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const OWN: Own = Own {
    address: HERE,
    mac: Some(MAC),
};

/// Recorded by tshark 4.0 on a veth pair, from the ICMPv6 type on: FRR 8.4.4 (zebra and bgpd with
/// `neighbor veth-n interface remote-as external`, `ipv6 nd ra-interval 4`), the same as it ended,
/// BIRD 2.0.12 (`radv` with `default lifetime 0`), and a solicitation of Linux 6.
const FRR: [u8; 24] = [
    0x86, 0x00, 0x38, 0x1f, 0x40, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0xfe,
];
const FRR_ENDS: [u8; 24] = [
    0x86, 0x00, 0x38, 0x2b, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0xfe,
];
const BIRD: [u8; 16] = [
    0x86, 0x00, 0x3c, 0x32, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];
const LINUX: [u8; 16] = [
    0x85, 0x00, 0x79, 0x32, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0xfe,
];

fn start() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for virtual time"
    )]
    Instant::now()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn advertisement(lifetime: u64) -> Vec<u8> {
    Advertisement {
        lifetime: seconds(lifetime),
        mac: None,
    }
    .octets()
}

/// Steps until `until`; what was sent, and when.
fn run(discovery: &mut Discovery, from: Instant, until: Instant) -> Vec<(Duration, Datagram)> {
    let mut sent = vec![];
    let mut now = from;
    while now <= until {
        discovery.handle_timeout(now);
        while let Some(datagram) = discovery.poll_transmit() {
            sent.push((now - from, datagram));
        }
        match discovery.poll_timeout() {
            Some(next) => {
                assert!(next > now, "nothing is due twice");
                now = next;
            }
            None => break,
        }
    }
    sent
}

fn up(seed: u64, now: Instant) -> Discovery {
    let mut discovery = Discovery::new(seed);
    discovery.set_own(Some(OWN), now);
    discovery
}

fn hear(discovery: &mut Discovery, from: Ipv6Addr, now: Instant) {
    assert_eq!(
        discovery.handle_message(&advertisement(0), from, 255, now),
        Ok(())
    );
}

fn router(discovery: &Discovery) -> Option<Ipv6Addr> {
    discovery.router().map(|router| router.address)
}

const fn is_solicitation(datagram: &Datagram) -> bool {
    matches!(datagram.octets.as_slice(), [133, ..])
}

#[test]
fn messages_of_others_are_understood() {
    let mac = Some(Mac([2, 0, 0, 0, 0, 0xfe]));
    let said = |lifetime, mac| {
        let lifetime = seconds(lifetime);
        Ok(Message::Advertisement(Advertisement { lifetime, mac }))
    };
    let cases: [(&[u8], _); 4] = [
        (&FRR, said(12, mac)),
        (&FRR_ENDS, said(0, mac)),
        (&BIRD, said(0, None)),
        (&LINUX, Ok(Message::Solicitation(Solicitation { mac }))),
    ];
    for (octets, expected) in cases {
        assert_eq!(Message::parse(octets, ROUTER, 255), expected);
    }
}

/// RFC 4861 §6.1.1 and §6.1.2.
#[test]
fn a_message_is_valid_only_as_the_rfc_says() {
    type Case = (&'static str, Vec<u8>, Ipv6Addr, u8, Discard);
    let altered = |octets: &[u8], at: usize, value: u8| {
        let mut octets = octets.to_vec();
        octets[at] = value;
        octets
    };
    let global = "2001:db8::1".parse().unwrap();
    let nobody = Ipv6Addr::UNSPECIFIED;
    let cases: [Case; 13] = [
        ("routed", FRR.into(), ROUTER, 254, Discard::Malformed),
        ("routed", LINUX.into(), ROUTER, 254, Discard::Malformed),
        ("code", altered(&FRR, 1, 1), ROUTER, 255, Discard::Malformed),
        (
            "code",
            altered(&LINUX, 1, 1),
            ROUTER,
            255,
            Discard::Malformed,
        ),
        (
            "option of length 0",
            altered(&FRR, 17, 0),
            ROUTER,
            255,
            Discard::Malformed,
        ),
        (
            "option of length 0",
            altered(&LINUX, 9, 0),
            ROUTER,
            255,
            Discard::Malformed,
        ),
        (
            "option beyond the end",
            altered(&FRR, 17, 2),
            ROUTER,
            255,
            Discard::Malformed,
        ),
        (
            "from a global address",
            FRR.into(),
            global,
            255,
            Discard::BadSender,
        ),
        ("from nobody", FRR.into(), nobody, 255, Discard::BadSender),
        (
            "from nobody, with a hardware address",
            LINUX.into(),
            nobody,
            255,
            Discard::BadSender,
        ),
        ("short", FRR[..15].into(), ROUTER, 255, Discard::TooShort),
        ("short", LINUX[..7].into(), ROUTER, 255, Discard::TooShort),
        (
            "redirect",
            altered(&FRR, 0, 137),
            ROUTER,
            255,
            Discard::OtherProtocol,
        ),
    ];
    for (what, octets, source, hop_limit, reason) in cases {
        assert_eq!(
            Message::parse(&octets, source, hop_limit),
            Err(reason),
            "{what}"
        );
    }
    assert!(Message::parse(&LINUX[..8], nobody, 255).is_ok());
    assert!(Message::parse(&LINUX, global, 255).is_ok());
    // A hardware address of another link, and an option that nobody knows, do no harm.
    let mut longer = BIRD.to_vec();
    longer.extend([1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0]);
    longer.extend([200, 1, 1, 2, 3, 4, 5, 6]);
    let plain = Advertisement {
        lifetime: Duration::ZERO,
        mac: None,
    };
    let parsed = Message::parse(&longer, ROUTER, 255);
    assert_eq!(parsed, Ok(Message::Advertisement(plain)));
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(
        octets in proptest::collection::vec(any::<u8>(), 0..120),
        kind in 130_u8..140,
        hop_limit in 254..=255_u8,
    ) {
        let mut octets = octets;
        let _ = Message::parse(&octets, ROUTER, hop_limit);
        if let Some(first) = octets.first_mut() {
            *first = kind;
        }
        let _ = Message::parse(&octets, ROUTER, 255);
    }

    #[test]
    fn what_is_written_is_read(lifetime in any::<u16>(), mac in proptest::option::of(any::<[u8; 6]>())) {
        let mac = mac.map(Mac);
        let said = Advertisement { lifetime: seconds(lifetime.into()), mac };
        let parsed = Message::parse(&said.octets(), ROUTER, 255);
        prop_assert_eq!(parsed, Ok(Message::Advertisement(said)));
        let asked = Solicitation { mac };
        let parsed = Message::parse(&asked.octets(), ROUTER, 255);
        prop_assert_eq!(parsed, Ok(Message::Solicitation(asked)));
    }

    #[test]
    fn etherparse_reads_the_advertisement_we_write(
        lifetime in any::<u16>(),
        mac in proptest::option::of(any::<[u8; 6]>()),
    ) {
        let said = Advertisement { lifetime: seconds(lifetime.into()), mac: mac.map(Mac) };
        let octets = said.octets();
        let icmp = Icmpv6Slice::from_slice(&octets).expect("ICMPv6");
        let Icmpv6Type::RouterAdvertisement(header) = icmp.icmp_type() else {
            panic!("{:?}", icmp.icmp_type());
        };
        prop_assert_eq!(header.router_lifetime, lifetime);
        prop_assert_eq!(header.cur_hop_limit, 0);
        prop_assert!(!header.managed_address_config && !header.other_config);
        let payload = icmp.payload();
        prop_assert_eq!(&payload[..8], &[0; 8]);
        match mac {
            Some(mac) => prop_assert_eq!(&payload[8..], [&[1, 1], &mac[..]].concat()),
            None => prop_assert_eq!(payload.len(), 8),
        }
    }

    /// Whatever is heard and whenever: the router is one that was heard, its rivals are others, and what
    /// is sent is paced.
    #[test]
    fn a_busy_link_is_not_made_busier(
        seed in any::<u64>(),
        steps in proptest::collection::vec((0_u64..3000, 0_u16..6, any::<bool>()), 1..200),
    ) {
        let begin = start();
        let mut discovery = up(seed, begin);
        let mut now = begin;
        let mut everybody = vec![];
        let mut asked = 0_u32;
        for (wait, who, asks) in steps {
            let until = now + Duration::from_millis(wait);
            for (at, datagram) in run(&mut discovery, now, until) {
                if is_solicitation(&datagram) {
                    asked += 1;
                } else if datagram.to == ALL_NODES {
                    everybody.push(now + at);
                }
            }
            now = until;
            let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, who);
            let octets = if asks { LINUX[..8].to_vec() } else { advertisement(0) };
            prop_assert!(discovery.handle_message(&octets, source, 255, now).is_ok());
            if let Some(router) = discovery.router() {
                prop_assert!(discovery.rivals(now).all(|rival| rival.address != router.address));
            } else {
                prop_assert!(asks);
            }
        }
        for pair in everybody.windows(2) {
            prop_assert!(pair[1] - pair[0] >= ADVERTISEMENT_DISTANCE, "{:?}", pair[1] - pair[0]);
        }
        // At most two for each doubt, of which there is one in a minute or one for each new router.
        let elapsed = (now - begin).as_secs();
        prop_assert!(u64::from(asked) <= 3 + elapsed / 3, "{asked} in {elapsed} s");
    }
}

/// RFC 4861 §6.3.7 and RFC 7559 §2.
#[test]
fn routers_are_asked_until_one_is_heard_ever_more_rarely() {
    for seed in 0..50 {
        let begin = start();
        let mut discovery = up(seed, begin);
        let sent = run(&mut discovery, begin, begin + seconds(4 * 3600));
        let asked: Vec<Duration> = sent
            .iter()
            .filter(|(_, datagram)| is_solicitation(datagram))
            .map(|(at, datagram)| {
                assert_eq!(datagram.to, ALL_ROUTERS);
                assert_eq!(&datagram.octets[8..], [&[1, 1], &MAC.0[..]].concat());
                *at
            })
            .collect();
        assert!(asked[0] < seconds(1));
        let mut interval = seconds(4);
        for pair in asked.windows(2) {
            let waited = pair[1] - pair[0];
            let (least, most) = (interval * 9 / 10, interval * 11 / 10);
            assert!(
                (least..=most).contains(&waited),
                "{waited:?} for {interval:?}"
            );
            interval = (interval * 2).min(seconds(3600));
        }
        assert!(asked.len() > 10);
    }
    let begin = start();
    let mut discovery = up(7, begin);
    run(&mut discovery, begin, begin + seconds(2));
    let now = begin + seconds(2);
    hear(&mut discovery, ROUTER, now);
    let sent = run(&mut discovery, now, now + seconds(29));
    assert!(sent.iter().all(|(_, datagram)| !is_solicitation(datagram)));
}

/// RFC 4861 §6.2.4: at times within MinRtrAdvInterval and MaxRtrAdvInterval, which are 7.5 and 10 s.
#[test]
fn this_node_is_advertised_every_ten_seconds_as_no_default_router() {
    let begin = start();
    let mut discovery = up(3, begin);
    let sent = run(&mut discovery, begin, begin + seconds(600));
    let told: Vec<&(Duration, Datagram)> = sent
        .iter()
        .filter(|(_, datagram)| !is_solicitation(datagram))
        .collect();
    assert!(told[0].0 < Duration::from_millis(500));
    for pair in told.windows(2) {
        let waited = pair[1].0 - pair[0].0;
        assert!((Duration::from_millis(7500)..=seconds(10)).contains(&waited));
    }
    for (_, Datagram { to, octets }) in told {
        assert_eq!(*to, ALL_NODES);
        let no_router = Advertisement {
            lifetime: Duration::ZERO,
            mac: Some(MAC),
        };
        let parsed = Message::parse(octets, HERE, 255);
        assert_eq!(parsed, Ok(Message::Advertisement(no_router)));
    }
}

/// RFC 4861 §6.2.6.
#[test]
fn who_asks_is_answered_within_half_a_second_and_everybody_not_more_often_than_every_three() {
    let begin = start();
    let mut discovery = up(3, begin);
    run(&mut discovery, begin, begin + seconds(1));
    let now = begin + seconds(1);
    discovery.handle_message(&LINUX, ROUTER, 255, now).unwrap();
    discovery.handle_message(&LINUX, ROUTER, 255, now).unwrap();
    let sent = run(&mut discovery, now, now + seconds(1));
    let answers: Vec<&(Duration, Datagram)> = sent
        .iter()
        .filter(|(_, datagram)| datagram.to == ROUTER)
        .collect();
    assert_eq!(answers.len(), 1, "two questions, one answer");
    assert!(answers[0].0 <= ANSWER_DELAY);

    let now = now + seconds(2);
    let nobody = Ipv6Addr::UNSPECIFIED;
    for step in 0..40 {
        let now = now + Duration::from_millis(100) * step;
        discovery
            .handle_message(&LINUX[..8], nobody, 255, now)
            .unwrap();
    }
    let now = now + seconds(4);
    let told = |sent: &[(Duration, Datagram)]| {
        let everybody = sent.iter().filter(|(_, datagram)| datagram.to == ALL_NODES);
        everybody.map(|(at, _)| *at).collect::<Vec<_>>()
    };
    let at = told(&run(&mut discovery, now, now + seconds(7)));
    assert_eq!(at.len(), 1, "{at:?}");

    // A crowd is told together.
    let now = now + seconds(7);
    for asker in 0..100 {
        let asker = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 9, asker);
        discovery.handle_message(&LINUX, asker, 255, now).unwrap();
    }
    let sent = run(&mut discovery, now, now + seconds(4));
    let alone = sent
        .iter()
        .filter(|(_, datagram)| datagram.to != ALL_NODES && !is_solicitation(datagram));
    assert!(alone.count() <= ASKERS);
    assert_eq!(told(&sent).len(), 1);
}

#[test]
fn a_router_that_falls_silent_stays_the_router_and_is_asked() {
    for (lifetime, silence) in [(0, 30), (12, 30), (1800, 1800)] {
        let begin = start();
        let mut discovery = up(3, begin);
        let said = advertisement(lifetime);
        discovery.handle_message(&said, ROUTER, 255, begin).unwrap();
        let sent = run(&mut discovery, begin, begin + seconds(silence + 3600));
        assert_eq!(router(&discovery), Some(ROUTER));
        let asked = sent.iter().find(|(_, datagram)| is_solicitation(datagram));
        assert_eq!(asked.unwrap().0, seconds(silence), "{lifetime}");
        // It is replaced by the first that speaks.
        let now = begin + seconds(silence + 3600);
        hear(&mut discovery, OTHER, now);
        assert_eq!(router(&discovery), Some(OTHER));
    }
}

/// The same router with another address, or another router: who is there answers.
#[test]
fn of_two_routers_the_first_is_kept_as_long_as_it_answers() {
    let begin = start();
    let mut discovery = up(3, begin);
    hear(&mut discovery, ROUTER, begin);
    let mut now = begin + seconds(5);
    run(&mut discovery, begin, now);
    hear(&mut discovery, OTHER, now);
    let sent = run(&mut discovery, now, now + seconds(3));
    assert!(sent.iter().any(|(_, datagram)| is_solicitation(datagram)));
    now += seconds(3);
    hear(&mut discovery, ROUTER, now);
    let rivals = |discovery: &Discovery, now| {
        let rivals = discovery.rivals(now).map(|rival| rival.address);
        rivals.collect::<Vec<_>>()
    };
    assert_eq!(rivals(&discovery, now), [OTHER]);
    // It is not asked for each word of the other.
    let mut asked = 0;
    for _ in 0..5 {
        let sent = run(&mut discovery, now, now + seconds(10));
        asked += sent
            .iter()
            .filter(|(_, datagram)| is_solicitation(datagram))
            .count();
        now += seconds(10);
        hear(&mut discovery, OTHER, now);
        hear(&mut discovery, ROUTER, now);
    }
    assert_eq!((asked, router(&discovery)), (0, Some(ROUTER)));
    now += seconds(31);
    assert!(rivals(&discovery, now).is_empty());
}

#[test]
fn a_router_that_took_another_address_is_learned_within_eight_seconds() {
    for seed in 0..50 {
        let begin = start();
        let mut discovery = up(seed, begin);
        discovery.handle_message(&FRR, ROUTER, 255, begin).unwrap();
        let now = begin + seconds(5);
        run(&mut discovery, begin, now);
        hear(&mut discovery, OTHER, now);
        let sent = run(&mut discovery, now, now + DOUBT - Duration::from_millis(1));
        let asked = sent
            .iter()
            .filter(|(_, datagram)| is_solicitation(datagram));
        assert_eq!(asked.count(), 2);
        assert_eq!(router(&discovery), Some(ROUTER));
        discovery.handle_timeout(now + DOUBT);
        assert_eq!(router(&discovery), Some(OTHER));
        assert_eq!(discovery.rivals(now + DOUBT).count(), 0);
    }
}

#[test]
fn after_the_link_was_away_the_first_that_speaks_is_the_router() {
    let begin = start();
    let mut discovery = up(3, begin);
    hear(&mut discovery, ROUTER, begin);
    hear(&mut discovery, OTHER, begin);
    let away = begin + seconds(1);
    discovery.set_own(None, away);
    assert_eq!(discovery.poll_timeout(), None);
    let unheard = discovery.handle_message(&FRR, ROUTER, 255, away);
    assert_eq!(unheard, Err(Discard::UnknownInterface));
    assert_eq!(
        router(&discovery),
        Some(ROUTER),
        "for as long as nobody else is heard"
    );
    let back = begin + seconds(2);
    discovery.set_own(Some(OWN), back);
    let sent = run(&mut discovery, back, back + seconds(1));
    assert!(sent.iter().any(|(_, datagram)| is_solicitation(datagram)));
    assert!(sent.iter().any(|(_, datagram)| datagram.to == ALL_NODES));
    hear(&mut discovery, OTHER, back + seconds(1));
    assert_eq!(router(&discovery), Some(OTHER));
}

#[test]
fn what_comes_from_this_node_is_not_a_router() {
    let begin = start();
    let mut discovery = up(3, begin);
    let echo = discovery.handle_message(&FRR, HERE, 255, begin);
    assert_eq!(echo, Err(Discard::BadSender));
    assert_eq!(discovery.router(), None);
}

/// Two nodes that know nothing of each other, on a link that loses every third message.
#[test]
fn two_ends_of_a_link_find_each_other() {
    for seed in 0..50_u64 {
        let begin = start();
        let ends = [HERE, ROUTER].map(|address| Own { address, mac: None });
        let mut pair = [Discovery::new(seed), Discovery::new(seed ^ 0xff)];
        for (end, own) in pair.iter_mut().zip(ends) {
            end.set_own(Some(own), begin);
        }
        let mut now = begin;
        let mut count = seed;
        while pair.iter().any(|end| end.router().is_none()) {
            assert!(
                now < begin + seconds(25),
                "{seed}: they do not find each other"
            );
            for (from, to) in [(0, 1), (1, 0)] {
                pair[from].handle_timeout(now);
                while let Some(datagram) = pair[from].poll_transmit() {
                    count += 1;
                    if count.is_multiple_of(3) {
                        continue;
                    }
                    let source = ends[from].address;
                    let heard = pair[to].handle_message(&datagram.octets, source, 255, now);
                    assert_eq!(heard, Ok(()));
                }
            }
            now += Duration::from_millis(10);
        }
        assert_eq!(router(&pair[0]), Some(ROUTER));
        assert_eq!(router(&pair[1]), Some(HERE));
    }
}
