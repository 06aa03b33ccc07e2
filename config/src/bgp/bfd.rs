//! BFDProfiles: intervals and numbers.

use std::time::Duration;

use herald_crds::BFDProfileSpec;
use herald_model::bgp::BfdProfile;

use super::advertisement::bounded;
use crate::problem::Report;

/// Intervals in milliseconds, as MetalLB bounds them.
const SHORTEST: i32 = 10;
const LONGEST: i32 = 60_000;

/// The profile; what is out of bounds is reported.
pub(super) fn translate(spec: &BFDProfileSpec, report: &mut Report<'_>) -> BfdProfile {
    let mut interval = |field: &str, value: i32| {
        Duration::from_millis(bounded(field, value, SHORTEST, LONGEST, report))
    };
    let receive = interval("spec.receiveInterval", spec.receive_interval);
    let transmit = interval("spec.transmitInterval", spec.transmit_interval);
    // It has no effect, and is checked all the same: it will have one.
    let _echo = interval("spec.echoInterval", spec.echo_interval);
    if spec.echo_mode {
        report.not_built("spec.echoMode");
    }
    BfdProfile {
        receive,
        transmit,
        multiplier: bounded(
            "spec.detectMultiplier",
            spec.detect_multiplier,
            2,
            255,
            report,
        ),
        passive: spec.passive_mode,
        minimum_ttl: bounded("spec.minimumTtl", spec.minimum_ttl, 1, 254, report),
    }
}
