//! Lists of address entries: parsed, without duplicates, without what others hold.

use herald_model::address::{AddressRange, RangeSet};

use crate::problem::{Reason, Report};

/// The entries as ranges. An entry that is none quarantines the object: what it was meant to hold
/// is unknown.
pub(crate) fn parse(field: &str, entries: &[String], report: &mut Report<'_>) -> Vec<AddressRange> {
    let mut ranges = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        match entry.parse::<AddressRange>() {
            Ok(range) => ranges.push(range),
            Err(error) => {
                report.reject(
                    format!("{field}[{i}]"),
                    Reason::from(&error),
                    error.to_string(),
                );
            }
        }
    }
    ranges
}

/// As [`parse`], and what an earlier entry holds is cut out of the later ones.
pub(crate) fn parse_disjoint(field: &str, entries: &[String], report: &mut Report<'_>) -> RangeSet {
    let ranges = parse(field, entries, report);
    if report.is_quarantined() {
        return RangeSet::default();
    }
    let mut disjoint = RangeSet::default();
    for (i, range) in ranges.iter().enumerate() {
        if let Some((_, earlier)) = RangeSet::new(vec![*range]).first_overlap(&disjoint) {
            report.note(
                format!("{field}[{i}]"),
                Reason::DuplicateAddresses,
                format!("{range} repeats addresses of {earlier}; remove one of them"),
            );
        }
        let fresh = RangeSet::new(vec![*range]).without(&disjoint);
        disjoint = disjoint.iter().chain(fresh.iter()).copied().collect();
    }
    disjoint
}
