use std::net::{IpAddr, Ipv6Addr};

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Key;
use crate::lan::MAX_WORDS;

fn keys() -> Keys {
    Keys::new(1, Key([7; 32]))
}

fn claim() -> impl Strategy<Value = Claim> {
    (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(epoch, owner, life)| Claim {
        epoch,
        owner,
        life,
    })
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).to_canonical()),
    ]
}

fn beacon() -> impl Strategy<Value = Beacon> {
    let heard = (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(node, life, seq)| Heard {
        node,
        life,
        seq,
    });
    let entry = (address(), claim(), claim()).prop_map(|(address, record, released)| Entry {
        address,
        record,
        released,
    });
    let numbers = (any::<u64>(), any::<u64>(), any::<[u64; 3]>(), any::<u64>());
    let link = (any::<[u32; 2]>(), any::<[bool; 3]>());
    let link = link.prop_map(|([mine, yours], [others, gateway, unheard])| LinkWord {
        mine,
        yours,
        others,
        gateway,
        unheard,
    });
    let lists = (
        proptest::collection::vec(heard, 0..12),
        proptest::collection::vec(link, 0..=MAX_WORDS),
        proptest::collection::vec(any::<u8>(), 0..=16),
        proptest::collection::vec(entry, 0..9),
    );
    let head = (any::<bool>(), any::<bool>(), 0..=200_000u64);
    (head, numbers, lists).prop_map(
        |((quiet, settled, grant), numbers, (heard, links, sounding, entries))| {
            let (seq, view, mut versions, mirrored) = numbers;
            versions.sort_unstable();
            let [base, complete, table] = versions;
            Beacon {
                quiet,
                settled,
                grant: Duration::from_micros(grant),
                seq,
                view,
                table,
                base,
                complete,
                mirrored,
                heard,
                links,
                sounding,
                entries,
            }
        },
    )
}

pub(crate) fn message() -> impl Strategy<Value = Message> {
    let members = proptest::collection::btree_set(any::<u64>(), 0..=MAX_MEMBERS);
    let view = (any::<u64>(), members, any::<u64>()).prop_map(|(number, members, some)| {
        let votes = |(at, _): &(usize, &NodeId)| *at < 64 && some >> at & 1 == 1;
        let voters = members.iter().enumerate().filter(votes);
        let voters = voters.map(|(_, id)| *id).take(MAX_VOTERS).collect();
        View {
            number,
            members,
            voters,
        }
    });
    let body = prop_oneof![
        view.prop_map(Body::View),
        beacon().prop_map(Body::Beacon),
        any::<Nonce>().prop_map(Body::Challenge),
        any::<Nonce>().prop_map(Body::Answer),
        (any::<u32>(), any::<u64>()).prop_map(|(link, count)| Body::Copy { link, count }),
    ];
    (any::<[u64; 4]>(), body).prop_map(|([cluster, from, to, life], body)| Message {
        cluster,
        from,
        to,
        life,
        body,
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(message in message()) {
        prop_assert_eq!(decode(&encode(&message, &keys()), &keys()), Ok(message));
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1500)) {
        prop_assert!(decode(&bytes, &keys()).is_err());
    }

    #[test]
    fn arbitrary_bytes_with_a_good_seal_never_panic(
        kind in 0u8..7,
        flags in 0u8..5,
        rest in proptest::collection::vec(any::<u8>(), 32..300),
    ) {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.extend([VERSION, kind, flags, 1]);
        bytes.extend(rest);
        keys().seal(&mut bytes);
        if let Ok(message) = decode(&bytes, &keys()) {
            prop_assert_eq!(encode(&message, &keys()), bytes, "read as something else than written");
        }
    }

    #[test]
    fn any_changed_byte_is_noticed(message in message(), at in any::<prop::sample::Index>(), by in 1u8..) {
        let mut bytes = encode(&message, &keys());
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(decode(&bytes, &keys()).is_err());
    }

    #[test]
    fn a_cut_datagram_is_refused(message in message(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&message, &keys());
        prop_assert!(decode(&bytes[..at.index(bytes.len())], &keys()).is_err());
    }
}

#[test]
fn full_pages_fit_a_datagram_however_many_claims_they_name() {
    for (peers, links, claims, least) in [
        (MAX_VOTERS + 1, MAX_WORDS, 255, 2),
        (MAX_VOTERS, 0, 255, 3),
        (9, 1, 255, 20),
        (9, 1, 2, 110),
        (2, 1, 1, 120),
    ] {
        let heard = Heard {
            node: 0,
            life: 0,
            seq: 0,
        };
        let mut space = space(peers, links, MAX_MEMBERS / 8);
        let vote = |at: u32| Entry {
            address: IpAddr::from((0xc000_0200 + at).to_be_bytes()),
            record: Claim {
                epoch: 1 + u64::from(at % claims),
                owner: 7,
                life: 8,
            },
            released: Claim::default(),
        };
        let entries: Vec<Entry> = (0..)
            .map(vote)
            .take_while(|entry| space.take(entry))
            .collect();
        assert!(
            entries.len() >= least,
            "{peers} {claims}: {}",
            entries.len()
        );
        let beacon = Beacon {
            heard: vec![heard; peers],
            links: vec![LinkWord::default(); links],
            sounding: vec![0; MAX_MEMBERS / 8],
            entries,
            ..Beacon::default()
        };
        let message = Message {
            cluster: 1,
            from: 1,
            to: 2,
            life: 1,
            body: Body::Beacon(beacon),
        };
        let bytes = encode(&message, &keys());
        assert!(bytes.len() <= MAX_DATAGRAM, "{}", bytes.len());
        assert!(bytes.len() > MAX_DATAGRAM - 32, "{}", bytes.len());
        assert_eq!(decode(&bytes, &keys()), Ok(message));
    }
}

#[test]
fn a_page_that_is_written_in_another_way_is_refused() {
    let claim = |epoch: u64| [epoch.to_be_bytes(), [0; 8], [0; 8]].concat();
    let entry = |record: u8, released: u8| vec![record, released, 4, 192, 0, 2, 1];
    let mapped = [&[1, 0, 16][..], &[0; 10], &[255; 2], &[192, 0, 2, 1]].concat();
    let cases = [
        (1, 1, [claim(1), entry(1, 0)].concat(), true),
        (1, 1, [claim(1), entry(2, 0)].concat(), false),
        (1, 1, [claim(1), entry(0, 0)].concat(), false),
        (1, 1, [claim(0), entry(1, 0)].concat(), false),
        (2, 1, [claim(1), claim(1), entry(1, 2)].concat(), false),
        (2, 1, [claim(1), claim(2), entry(2, 1)].concat(), false),
        (2, 1, [claim(1), claim(2), entry(1, 2)].concat(), true),
        (1, 1, [claim(1), mapped].concat(), false),
        (
            1,
            1,
            [claim(1), vec![1, 0, 5, 1, 2, 3, 4, 5]].concat(),
            false,
        ),
    ];
    for (claims, entries, bytes, sound) in cases {
        let read = Reader(&bytes).page(claims, entries);
        assert_eq!(read.is_ok(), sound, "{bytes:?}");
    }
}

#[test]
fn a_key_is_rotated_without_a_beacon_lost() {
    let (old, new) = (Key([1; 32]), Key([2; 32]));
    let stages = [
        Keys::new(1, old.clone()),
        Keys::new(1, old.clone()).accepting(2, new.clone()),
        Keys::new(2, new.clone()).accepting(1, old),
        Keys::new(2, new),
    ];
    let message = Message {
        cluster: 1,
        from: 1,
        to: 2,
        life: 1,
        body: Body::Challenge([3; 16]),
    };
    for pair in stages.windows(2) {
        for (sender, receiver) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
            let read = decode(&encode(&message, sender), receiver);
            assert_eq!(read.as_ref(), Ok(&message));
        }
    }
    let read = decode(&encode(&message, &stages[0]), &stages[3]);
    assert_eq!(read, Err(Discard::UnknownKey));
}

/// The data of RFC 4231 test case 2 with a 32-byte key, by an independent implementation
/// (Python's hmac): the tag is the first half of HMAC-SHA256.
#[test]
fn the_tag_is_the_first_half_of_hmac_sha256() {
    let mut bytes = b"what do ya want for nothing?".to_vec();
    let length = bytes.len();
    Keys::new(0, Key([0x0b; 32])).seal(&mut bytes);
    assert_eq!(bytes[length..], TAG_BY_PYTHON);
}

const TAG_BY_PYTHON: [u8; 16] = [
    0xc3, 0xf2, 0x64, 0x9c, 0x34, 0xea, 0x24, 0xe4, 0xd6, 0x2a, 0x2c, 0x7e, 0x86, 0x8b, 0xbe, 0xa0,
];
