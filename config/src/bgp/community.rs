//! Communities: as numbers, by the names RFCs give them, and by the names of Community objects.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use herald_crds::Community as Object;
use herald_model::bgp::Community;

use super::{COMMUNITY, report};
use crate::objects::unique;
use crate::problem::{Problem, Reason};

/// Names that RFC 1997, 3765, 7611, 7999, 8326 and 9494 give to communities.
const WELL_KNOWN: [(&str, u32); 9] = [
    ("accept-own", 0xffff_0001),
    ("blackhole", 0xffff_029a),
    ("graceful-shutdown", 0xffff_0000),
    ("llgr-stale", 0xffff_0006),
    ("no-advertise", 0xffff_ff02),
    ("no-export", 0xffff_ff01),
    ("no-export-subconfed", 0xffff_ff03),
    ("no-llgr", 0xffff_0007),
    ("no-peer", 0xffff_ff04),
];

/// Subtypes of extended communities (RFC 4360 sections 4 and 5).
const ROUTE_TARGET: u8 = 2;
const SITE_OF_ORIGIN: u8 = 3;

/// The names that Community objects define. One that is defined again is reported where it comes
/// second, one whose value is none where it stands; neither counts.
pub(super) fn aliases(
    objects: &[Object],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Community> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut values = BTreeMap::new();
    for (name, object) in unique(COMMUNITY, objects, problems) {
        let mut report = report(COMMUNITY, &name, problems);
        for (i, alias) in object.spec.communities.iter().enumerate() {
            if let Some(owner) = owners.get(&alias.name) {
                let message = format!(
                    "{} is defined in {COMMUNITY} {owner} too; rename or remove one",
                    alias.name
                );
                let field = format!("spec.communities[{i}].name");
                report.note(field, Reason::CommunityDefinedTwice, message);
                continue;
            }
            owners.insert(alias.name.clone(), name.clone());
            match parse(&alias.value) {
                Ok(value) => drop(values.insert(alias.name.clone(), value)),
                Err(message) => {
                    let field = format!("spec.communities[{i}].value");
                    report.note(field, Reason::NotACommunity, message);
                }
            }
        }
    }
    values
}

/// A community written as numbers or by a well-known name.
///
/// # Errors
/// What is wrong, as a sentence.
pub(super) fn parse(text: &str) -> Result<Community, String> {
    if let Some((_, value)) = WELL_KNOWN.iter().find(|(name, _)| *name == text) {
        return Ok(Community::Standard(*value));
    }
    let value = match text.split_once(':') {
        Some(("large", rest)) => large(rest),
        Some(("rt", rest)) => extended(ROUTE_TARGET, rest),
        Some(("soo", rest)) => extended(SITE_OF_ORIGIN, rest),
        Some((high, low)) => standard(high, low),
        None => None,
    };
    value.ok_or_else(|| {
        format!(
            "\"{text}\" is not a community; write two numbers up to 65535 (64512:100), large: and \
             three up to 4294967295, rt: or soo: and an AS number or IPv4 address and a number, or \
             a well-known name (no-export)"
        )
    })
}

fn standard(high: &str, low: &str) -> Option<Community> {
    let (high, low): (u16, u16) = (number(high)?, number(low)?);
    Some(Community::Standard(u32::from(high) << 16 | u32::from(low)))
}

fn large(text: &str) -> Option<Community> {
    let parts: Option<Vec<u32>> = text.split(':').map(number).collect();
    Some(Community::Large(parts?.try_into().ok()?))
}

/// Two octets of AS number and four of value, or four octets of AS number or address and two.
fn extended(subtype: u8, text: &str) -> Option<Community> {
    let (administrator, value) = text.split_once(':')?;
    let (kind, [a, b, c, d], [e, f]) = if let Ok(address) = administrator.parse::<Ipv4Addr>() {
        (1, address.octets(), number::<u16>(value)?.to_be_bytes())
    } else if let Some(asn) = number::<u16>(administrator) {
        let ([a, b], [c, d, e, f]) = (asn.to_be_bytes(), number::<u32>(value)?.to_be_bytes());
        (0, [a, b, c, d], [e, f])
    } else {
        let asn: u32 = number(administrator)?;
        (2, asn.to_be_bytes(), number::<u16>(value)?.to_be_bytes())
    };
    Some(Community::Extended([kind, subtype, a, b, c, d, e, f]))
}

/// Digits and nothing else.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registry "BGP Well-known Communities".
    #[test]
    fn well_known_names_have_their_numbers() {
        for (name, value) in [
            ("graceful-shutdown", 0xffff_0000),
            ("accept-own", 0xffff_0001),
            ("llgr-stale", 0xffff_0006),
            ("no-llgr", 0xffff_0007),
            ("blackhole", 0xffff_029a),
            ("no-export", 0xffff_ff01),
            ("no-advertise", 0xffff_ff02),
            ("no-export-subconfed", 0xffff_ff03),
            ("no-peer", 0xffff_ff04),
        ] {
            assert_eq!(parse(name), Ok(Community::Standard(value)), "{name}");
        }
    }

    /// Octets by RFC 1997, RFC 8092 section 3, RFC 4360 section 3 and RFC 5668 section 2.
    #[test]
    fn communities_are_read_as_the_rfcs_lay_them_out() {
        for (text, community) in [
            ("64512:100", Community::Standard(0xfc00_0064)),
            ("0:65535", Community::Standard(0x0000_ffff)),
            ("no-export", Community::Standard(0xffff_ff01)),
            ("graceful-shutdown", Community::Standard(0xffff_0000)),
            (
                "large:4200000000:1:2",
                Community::Large([4_200_000_000, 1, 2]),
            ),
            (
                "rt:64512:100",
                Community::Extended([0, 2, 0xfc, 0, 0, 0, 0, 100]),
            ),
            (
                "soo:192.0.2.1:7",
                Community::Extended([1, 3, 192, 0, 2, 1, 0, 7]),
            ),
            (
                "rt:4200000000:7",
                Community::Extended([2, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
            ),
        ] {
            assert_eq!(parse(text), Ok(community), "{text}");
        }
        for text in [
            "",
            "1",
            "65536:1",
            "1:65536",
            "1:2:3",
            "large:1:2",
            "large:1:2:3:4",
            "+1:2",
            "no-such",
            "rt:192.0.2.1:65536",
            "rt:4200000000:65536",
            "soo:1",
            "large:4294967296:0:0",
        ] {
            assert!(
                parse(text).unwrap_err().contains("is not a community"),
                "{text}"
            );
        }
    }
}
