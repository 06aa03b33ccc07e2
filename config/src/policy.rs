//! What a pool says about holding its addresses: how many, how long, with whom, for which ports.
//!
//! Not here: which addresses it has and who may use it (`pools`).

use std::collections::BTreeMap;
use std::time::Duration;

use herald_crds::{IPAddressPoolSpec, Quota, Sharing, SharingScope};
use herald_model::labels::Labels;
use herald_model::pool;
use herald_model::ports::{PortRange, PortSet};

use crate::problem::{Reason, Report};
use crate::selector;

/// `spec.quotas`, in order.
pub(crate) fn quotas(
    quotas: &[Quota],
    namespaces: Option<&BTreeMap<String, Labels>>,
    report: &mut Report<'_>,
) -> Vec<pool::Quota> {
    let mut translated = Vec::new();
    for (i, quota) in quotas.iter().enumerate() {
        let field = format!("spec.quotas[{i}]");
        let max_addresses = u64::try_from(quota.max_addresses).ok().filter(|n| *n > 0);
        if max_addresses.is_none() {
            let message = format!(
                "{} is less than one address; write 1 or more, or keep the namespace out by serviceAllocation",
                quota.max_addresses
            );
            report.reject(
                format!("{field}.maxAddresses"),
                Reason::OutOfBounds,
                message,
            );
        }
        let (names, selectors) = (&quota.namespaces, &quota.namespace_selectors);
        translated.push(pool::Quota {
            namespaces: names.iter().cloned().collect(),
            namespace_selectors: selector::namespaces(&field, names, selectors, namespaces, report),
            max_addresses: max_addresses.unwrap_or_default(),
        });
    }
    translated
}

/// `spec.retain` or `spec.reuseDelay`; absent is no time at all.
pub(crate) fn duration(field: &str, text: Option<&str>, report: &mut Report<'_>) -> Duration {
    let Some(text) = text else {
        return Duration::ZERO;
    };
    parse_duration(text).unwrap_or_else(|| {
        let message = format!("\"{text}\" is not a duration; write for example 90s, 5m or 24h");
        report.reject(field, Reason::NotADuration, message);
        Duration::ZERO
    })
}

/// Numbers with units, as Go writes them: `1h30m`, `0.5s`, `250ms`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at(unit_at);
        let next_at = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(next_at);
        let scale = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * scale;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// `spec.sharing` and `spec.sharingScope`.
pub(crate) fn sharing(
    spec: &IPAddressPoolSpec,
    report: &mut Report<'_>,
) -> (pool::Sharing, Option<pool::SharingScope>) {
    let unknown = |field: &str, in_force: &str, report: &mut Report<'_>| {
        let message = format!("the value is not known to this version; {in_force} is in force");
        report.note(field, Reason::UnknownValue, message);
    };
    let sharing = match spec.sharing {
        Sharing::ByKey => pool::Sharing::ByKey,
        Sharing::Automatic => pool::Sharing::Automatic,
        Sharing::Never => pool::Sharing::Never,
        Sharing::Unknown => {
            unknown("spec.sharing", "ByKey", report);
            pool::Sharing::ByKey
        }
    };
    let scope = match spec.sharing_scope {
        None => None,
        Some(SharingScope::Namespace) => Some(pool::SharingScope::Namespace),
        Some(SharingScope::Cluster) => Some(pool::SharingScope::Cluster),
        Some(SharingScope::Unknown) => {
            unknown("spec.sharingScope", "Namespace", report);
            Some(pool::SharingScope::Namespace)
        }
    };
    (sharing, scope)
}

/// `spec.ports`. An entry that is none quarantines the pool: what it was meant to carry is unknown.
pub(crate) fn ports(entries: &[String], report: &mut Report<'_>) -> PortSet {
    let mut ranges: Vec<PortRange> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        match entry.parse() {
            Ok(range) => ranges.push(range),
            Err(error) => report.reject(
                format!("spec.ports[{i}]"),
                Reason::NotPorts,
                error.to_string(),
            ),
        }
    }
    ranges.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Go's time.ParseDuration, as far as the CRD's pattern lets them through.
    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("24h", Some(86_400_000)),
            ("1h30m", Some(5_400_000)),
            ("1m30s", Some(90_000)),
            ("0.5s", Some(500)),
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("1s1s", Some(2_000)),
            ("", None),
            ("90", None),
            ("a day", None),
            ("-1s", None),
            ("1.2.3s", None),
            (".s", None),
            ("1d", None),
            ("99999999999999999999h", None),
        ] {
            let wanted = milliseconds.map(Duration::from_millis);
            assert_eq!(parse_duration(text), wanted, "{text}");
        }
    }
}
