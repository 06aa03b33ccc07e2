//! Messages of BGP: one octet that says what the two speakers know of each other, and a stream of octets.
//!
//! ```text
//! bit 0 AS numbers of four octets · 1 one AS · 2 IPv4 · 3 IPv6 · 4 next hops of IPv6 · 5 long messages
//! bit 7 one message, whose type and body follow: marker and length are made right
//! ```
//!
//! What is read is no more than what came, and means the same when it is written again, in no more octets.

use herald_bgp::Families;
use herald_bgp::codec::{
    Attribute, Context, Frame, HEADER, Kind, MAX_EXTENDED, Notification, Open, RouteRefresh,
    Update, frame,
};

use crate::vectors::{BGP, messages};

/// A message with marker and length made right.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xff; 16];
    let length = u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX);
    octets.extend(length.to_be_bytes());
    octets.push(kind);
    octets.extend(body);
    octets
}

/// Reads the stream.
///
/// # Panics
/// Something does not hold.
pub fn run(octets: &[u8]) {
    let Some((how, stream)) = octets.split_first() else {
        return;
    };
    let has = |bit: u8| how >> bit & 1 == 1;
    let context = Context {
        four_octet_as: has(0),
        internal: has(1),
        families: Families {
            ipv4: has(2),
            ipv6: has(3),
        },
        extended_next_hop: has(4),
    };
    let whole = match stream.split_first() {
        Some((kind, body)) if has(7) => framed(*kind, body),
        _ => stream.to_vec(),
    };
    let mut rest = whole.as_slice();
    while let Ok(Some(message)) = frame(rest, has(5)) {
        assert!(message.length() <= rest.len() && rest[..16] == [0xff; 16]);
        read(&message, &context);
        rest = &rest[message.length()..];
    }
}

fn read(message: &Frame<'_>, context: &Context) {
    let length = message.length();
    match message.kind {
        Kind::Open => {
            let Ok(open) = Open::decode(message.body) else {
                return;
            };
            assert!(open.capabilities.len() <= length && !matches!(open.hold_time, 1 | 2));
            assert!(open.asn().0 != 0 && !open.id.is_unspecified());
            let mut again = Vec::new();
            open.encode(&mut again).expect("it came in a message");
            assert_eq!(Open::decode(&again[HEADER..]), Ok(open));
        }
        Kind::Update => {
            if let Ok(update) = Update::decode(message.body, context) {
                read_update(&update, length, context);
            }
        }
        Kind::Notification => {
            let told = Notification::decode(message.body).expect("two octets are enough");
            assert!(told.to_string().len() <= 4 * length + 200);
            assert!(
                told.shutdown_text()
                    .is_none_or(|text| text.len() <= 3 * 255)
            );
            let mut again = Vec::new();
            told.encode(MAX_EXTENDED, &mut again);
            assert_eq!(again.get(HEADER..), Some(message.body));
        }
        Kind::RouteRefresh => {
            let Ok(refresh) = RouteRefresh::decode(message.body) else {
                return;
            };
            let mut again = Vec::new();
            refresh.encode(&mut again);
            assert_eq!(again[HEADER..], message.body[..4]);
        }
        Kind::Keepalive => assert_eq!(length, HEADER),
    }
}

fn read_update(update: &Update, length: usize, context: &Context) {
    let reach = update
        .reach
        .as_ref()
        .map_or(0, |reach| reach.prefixes.len());
    let unreach = update.unreach.as_ref();
    let unreach = unreach.map_or(0, |unreach| unreach.prefixes.len());
    let prefixes = update.announced.len() + update.withdrawn.len() + reach + unreach;
    let listed: usize = update.attributes.iter().map(listed).sum();
    assert!(prefixes + listed <= length && update.faults.len() <= 8);
    let families = update.reach.iter().map(|reach| reach.family);
    let families = families.chain(update.unreach.iter().map(|unreach| unreach.family));
    for family in families {
        assert!(context.families.contains(family));
    }
    for fault in &update.faults {
        assert!(update.approach >= Some(fault.approach) && !fault.to_string().is_empty());
    }
    let mut again = Vec::new();
    let written = update.encode(context, MAX_EXTENDED, &mut again);
    written.expect("it came in a message");
    assert!(again.len() <= length);
    let again = Update::decode(&again[HEADER..], context).expect("what is written can be read");
    assert_eq!(
        (&again.withdrawn, &again.unreach, &again.announced),
        (&update.withdrawn, &update.unreach, &update.announced)
    );
    assert_eq!(again.reach, update.reach);
    assert_eq!(again.attributes, update.attributes);
}

/// How many things an attribute lists, itself among them.
fn listed(attribute: &Attribute) -> usize {
    1 + match attribute {
        Attribute::AsPath(segments) | Attribute::As4Path(segments) => {
            segments.iter().map(|segment| 1 + segment.path.len()).sum()
        }
        Attribute::Communities(list) => list.len(),
        Attribute::ClusterList(list) => list.len(),
        Attribute::ExtendedCommunities(list) => list.len(),
        Attribute::LargeCommunities(list) => list.len(),
        Attribute::Other { value, .. } => value.len(),
        Attribute::Origin(_)
        | Attribute::NextHop(_)
        | Attribute::Med(_)
        | Attribute::LocalPref(_)
        | Attribute::AtomicAggregate
        | Attribute::Aggregator(_)
        | Attribute::OriginatorId(_)
        | Attribute::As4Aggregator(_)
        | Attribute::OnlyToCustomer(_) => 0,
    }
}

/// What BIRD, FRR and GoBGP sent, each message alone and all in a row.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let messages = messages(&BGP);
    let stream = [vec![0x3d], messages.concat()].concat();
    let whole = messages
        .iter()
        .map(|octets| [&[0x3d], &octets[..]].concat());
    let bodies = messages
        .iter()
        .map(|octets| [&[0x9f], &octets[18..]].concat());
    whole.chain(bodies).chain([stream]).collect()
}
