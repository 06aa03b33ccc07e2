//! BFDProfiles: intervals and numbers.

use std::time::Duration;

use herald_crds::{BFDAuthentication, BFDAuthenticationType, BFDProfileSpec};
use herald_model::bgp::{BfdAuthentication, BfdMethod, BfdProfile, Password};

use super::advertisement::bounded;
use crate::problem::{Reason, Report};

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
    // Checked where it has no effect, too.
    let echo = interval("spec.echoInterval", spec.echo_interval);
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
        echo: spec.echo_mode.then_some(echo),
        authentication: spec
            .authentication
            .as_ref()
            .and_then(|written| authentication(written, report)),
    }
}

/// None where it is reported.
fn authentication(
    written: &BFDAuthentication,
    report: &mut Report<'_>,
) -> Option<BfdAuthentication> {
    let method = match written.kind {
        BFDAuthenticationType::Simple => BfdMethod::Simple,
        BFDAuthenticationType::KeyedMD5 => BfdMethod::KeyedMd5,
        BFDAuthenticationType::MeticulousKeyedMD5 => BfdMethod::MeticulousMd5,
        BFDAuthenticationType::KeyedSHA1 => BfdMethod::KeyedSha1,
        BFDAuthenticationType::MeticulousKeyedSHA1 => BfdMethod::MeticulousSha1,
        BFDAuthenticationType::Unknown => {
            let message = "the value is not known to this version; write Simple, KeyedMD5, \
                           MeticulousKeyedMD5, KeyedSHA1 or MeticulousKeyedSHA1";
            report.reject(
                "spec.authentication.type",
                Reason::UnknownValue,
                message.to_owned(),
            );
            return None;
        }
    };
    let key_id = bounded("spec.authentication.keyID", written.key_id, 0, 255, report);
    Some(BfdAuthentication {
        method,
        key_id,
        password: Password {
            namespace: written.password_secret.namespace.clone(),
            name: written.password_secret.name.clone(),
        },
    })
}
