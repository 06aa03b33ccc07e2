//! How long messages take to read and to write, beside netgauze-bgp-pkt and bgpkit-parser, as ratios to
//! the faster of the two, measured in turns in one run on this machine's clock.
//!
//! `cargo xtask bench codec [--json] [--strict]`

use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bgpkit_parser::models::AsnLength;
use bgpkit_parser::parser::bgp::messages::parse_bgp_message;
use herald_bgp::codec::{Attribute, Context, NextHop, Origin, Reach, Segment, Update, frame};
use herald_bgp::{Asn, Community, Families, Family, LargeCommunity, Prefix};
use netgauze_bgp_pkt::BgpMessage as Gauze;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_parse_utils::WritablePdu as _;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;

/// Measurements of each figure, and how long one lasts.
const RUNS: usize = 15;
const SLICE: Duration = Duration::from_millis(20);

const CONTEXT: Context = Context {
    four_octet_as: true,
    internal: true,
    families: Families::both(),
    extended_next_hop: true,
};

/// The only clock of this program: nanoseconds for one call, of as many as fit a slice.
#[allow(clippy::disallowed_methods)]
fn timed(mut what: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0_u32);
    loop {
        for _ in 0..16 {
            what();
        }
        calls += 16;
        let passed = start.elapsed();
        if passed >= SLICE {
            return passed.as_secs_f64() * 1e9 / f64::from(calls);
        }
    }
}

/// What an announcer tells of its routes.
fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::Origin(Origin::Igp),
        Attribute::AsPath(vec![Segment {
            set: false,
            path: vec![Asn(4_200_000_001), Asn(64_512)],
        }]),
        Attribute::Med(10),
        Attribute::LocalPref(100),
        Attribute::Communities((0..4).map(|i| Community(0xfc00_0000 + i)).collect()),
        Attribute::LargeCommunities(vec![LargeCommunity {
            global: 64_512,
            local1: 1,
            local2: 2,
        }]),
    ]
}

fn v4(count: u32) -> Vec<Prefix> {
    let address = |i| Ipv4Addr::from_bits(0xc633_6400 + i);
    let prefixes = (0..count).map(|i| Prefix::new(address(i).into(), 32));
    prefixes.filter_map(Result::ok).collect()
}

fn v6(count: u32) -> Vec<Prefix> {
    let address = |i| Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(i));
    let prefixes = (0..count).map(|i| Prefix::new(address(i).into(), 128));
    prefixes.filter_map(Result::ok).collect()
}

fn messages() -> Vec<(&'static str, Update)> {
    let announced = |count| {
        let mut attributes = attributes();
        attributes.insert(2, Attribute::NextHop(Ipv4Addr::new(192, 0, 2, 1)));
        Update {
            attributes,
            announced: v4(count),
            ..Update::default()
        }
    };
    let reach = |count| Update {
        reach: Some(Reach {
            family: Family::Ipv6,
            next_hop: NextHop::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
            prefixes: v6(count),
        }),
        attributes: attributes(),
        ..Update::default()
    };
    vec![
        ("1 IPv4 route", announced(1)),
        ("700 IPv4 routes", announced(700)),
        ("1 IPv6 route", reach(1)),
        ("200 IPv6 routes", reach(200)),
        (
            "800 IPv4 withdrawals",
            Update {
                withdrawn: v4(800),
                ..Update::default()
            },
        ),
    ]
}

/// Ours, and the two others', in nanoseconds.
type Turn = [f64; 3];

/// A message read and written by each in turn: figures of reading, and of writing.
fn measure(update: &Update) -> Result<[Vec<Turn>; 2], String> {
    let mut octets = Vec::new();
    let encoded = update.encode(&CONTEXT, 4096, &mut octets);
    encoded.map_err(|error| format!("a message cannot be written: {error:?}"))?;
    let gauze = || {
        let mut context = BgpParsingContext::default();
        context.set_asn4(true);
        Gauze::parse(&mut SliceReader::new(&octets), &mut context)
    };
    let bytes = octets.clone().into();
    let kit = || parse_bgp_message(&mut Clone::clone(&bytes), false, &AsnLength::Bits32);
    let own = || {
        let message = frame(&octets, false).ok().flatten()?;
        Update::decode(message.body, &CONTEXT).ok()
    };
    let theirs = gauze().map_err(|error| format!("netgauze-bgp-pkt: {error:?}"))?;
    let kits = kit().map_err(|error| format!("bgpkit-parser: {error:?}"))?;
    let ours = own().ok_or("a message is not read")?;
    let (mut reading, mut writing) = (Vec::new(), Vec::new());
    let (mut out, mut other) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        reading.push([
            timed(|| drop(black_box(own()))),
            timed(|| drop(black_box(gauze()))),
            timed(|| drop(black_box(kit()))),
        ]);
        writing.push([
            timed(|| {
                out.clear();
                let _written = black_box(ours.encode(&CONTEXT, 4096, &mut out));
            }),
            timed(|| {
                other.clear();
                let _written = black_box(theirs.write(&mut other));
            }),
            timed(|| drop(black_box(kits.encode(AsnLength::Bits32)))),
        ]);
    }
    if out != octets || other != octets {
        return Err("what was measured is not the same message".to_owned());
    }
    Ok([reading, writing])
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints one figure; whether the middle ratio is at most 1.
fn print(name: &str, turns: &[Turn], json: bool) -> bool {
    let ratio = |[own, gauze, kit]: &Turn| own / gauze.min(*kit);
    let mut ratios: Vec<f64> = turns.iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let [own, gauze, kit] = [0, 1, 2].map(|who| {
        let times = turns.iter().filter_map(|turn| turn.get(who).copied());
        median(times.collect())
    });
    let middle = median(ratios.clone());
    let edge = |one: Option<&f64>| one.copied().unwrap_or(f64::NAN);
    let (min, max) = (edge(ratios.first()), edge(ratios.last()));
    let ok = middle <= 1.0;
    if json {
        let runs = turns.len();
        // Of so few the greatest is the one that 95 % are not above.
        println!(
            "{{\"name\":\"{name}\",\"unit\":\"ratio\",\"runs\":{runs},\"min\":{min:.3},\
             \"median\":{middle:.3},\"p95\":{max:.3},\"max\":{max:.3},\"wanted\":null,\
             \"wanted_median\":1.0,\"ok\":{ok}}}"
        );
    } else {
        let note = if ok { "" } else { "NOT OK" };
        println!(
            "{name:<28} {own:>9.0} {gauze:>9.0} {kit:>9.0} {min:>7.2} {middle:>7.2} {max:>7.2} {note}"
        );
    }
    ok
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let said = |flag: &str| words.iter().any(|word| word == flag);
    let known = |word: &str| ["--json", "--strict"].contains(&word);
    if let Some(word) = words.iter().find(|word| !known(word)) {
        eprintln!("there is no {word}; write --json, --strict or nothing");
        return ExitCode::FAILURE;
    }
    if !said("--json") {
        println!(
            "{:<28} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7}",
            "median ns; ratio to faster", "Herald", "netgauze", "bgpkit", "min", "median", "max"
        );
    }
    let mut good = true;
    for (name, update) in messages() {
        match measure(&update) {
            Ok([reading, writing]) => {
                good &= print(&format!("read {name}"), &reading, said("--json"));
                good &= print(&format!("write {name}"), &writing, said("--json"));
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    if good || !said("--strict") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
