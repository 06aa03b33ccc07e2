//! What is shown on the lab: plain functions over a running [`Lab`], run one after another.
//!
//! Each makes what it needs under names of its own; what it leaves behind is tidied up by the runner,
//! so one that fails does not fail the next.

mod addresses;
mod bad_input;
mod bgp;
mod claims;
mod eviction;
mod forms;
mod ground;
mod hygiene;
mod independence;
mod lan;
mod objects;
mod pages;
mod policies;
mod pools;
mod restarts;
mod rights;
mod sharing;
mod takeover;
mod tool;
mod unheard;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::capture::Capture;
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::herald::Herald;
use crate::lab::Lab;
use crate::routers::Kind;
use crate::telling::tell;

/// What a scenario works with.
pub struct Stage {
    /// The lab; Herald is installed before the first scenario it takes part in.
    pub lab: Lab,
    /// What was measured so far.
    pub figures: Vec<Figure>,
    /// Everything the client has seen on its wire since the lab came up.
    capture: Option<Capture>,
}

/// One scenario; its name is a sentence.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What is shown.
    pub name: &'static str,
    /// Whether Herald takes part.
    herald: bool,
    run: fn(&mut Stage) -> Result<()>,
}

/// All of them, in the order they run: the last look at what the others left in logs and captures.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "the_lab_carries_pages_by_itself",
        herald: false,
        run: ground::carries,
    },
    Scenario {
        name: "the_manifests_raise_no_warning",
        herald: true,
        run: hygiene::warnings,
    },
    Scenario {
        name: "the_api_server_takes_good_objects_and_refuses_bad_ones",
        herald: true,
        run: objects::judged,
    },
    Scenario {
        name: "a_service_gets_addresses_of_its_families",
        herald: true,
        run: addresses::families,
    },
    Scenario {
        name: "a_requested_address_is_given",
        herald: true,
        run: addresses::requested,
    },
    Scenario {
        name: "a_deleted_service_releases_its_address",
        herald: true,
        run: addresses::released,
    },
    Scenario {
        name: "a_service_that_changes_type_releases_its_address",
        herald: true,
        run: addresses::retyped,
    },
    Scenario {
        name: "dual_stack_is_both_families_or_nothing",
        herald: true,
        run: sharing::both_families,
    },
    Scenario {
        name: "services_with_one_key_share_an_address",
        herald: true,
        run: sharing::shared,
    },
    Scenario {
        name: "a_service_of_a_foreign_class_is_left_alone",
        herald: true,
        run: sharing::foreign,
    },
    Scenario {
        name: "a_page_is_reached_with_policy_cluster",
        herald: true,
        run: pages::cluster,
    },
    Scenario {
        name: "a_page_is_reached_with_policy_local",
        herald: true,
        run: pages::local,
    },
    Scenario {
        name: "the_client_knows_the_owner_after_asking",
        herald: true,
        run: lan::asking,
    },
    Scenario {
        name: "an_announcement_corrects_the_client",
        herald: true,
        run: lan::correction,
    },
    Scenario {
        name: "each_form_of_announcement_moves_a_linux_client",
        herald: false,
        run: forms::each,
    },
    Scenario {
        name: "a_reply_that_names_everybody_does_not_move_it",
        herald: false,
        run: forms::control,
    },
    Scenario {
        name: "a_host_that_wants_the_ipv4_address_is_refused",
        herald: true,
        run: lan::conflict_v4,
    },
    Scenario {
        name: "a_host_that_wants_the_ipv6_address_is_refused",
        herald: true,
        run: lan::conflict_v6,
    },
    Scenario {
        name: "a_host_that_claims_an_address_is_named_and_contradicted",
        herald: true,
        run: claims::claimed,
    },
    Scenario {
        name: "a_kernel_that_answers_as_well_is_told_of",
        herald: true,
        run: claims::kernel,
    },
    Scenario {
        name: "unreachability_detection_stays_content",
        herald: true,
        run: lan::unreachability,
    },
    Scenario {
        name: "a_bridge_with_mld_snooping_lets_the_client_ask",
        herald: true,
        run: lan::snooping,
    },
    Scenario {
        name: "a_storm_of_arp_requests_is_survived",
        herald: true,
        run: lan::storm,
    },
    Scenario {
        name: "a_bad_object_is_named_and_the_rest_works",
        herald: true,
        run: bad_input::objects,
    },
    Scenario {
        name: "a_service_that_cannot_be_served_is_told_why",
        herald: true,
        run: bad_input::services,
    },
    Scenario {
        name: "a_shrunk_pool_moves_its_holder",
        herald: true,
        run: pools::shrunk,
    },
    Scenario {
        name: "a_deleted_pool_takes_its_addresses_and_no_others",
        herald: true,
        run: pools::deleted,
    },
    Scenario {
        name: "a_draining_pool_keeps_its_holder_and_takes_nobody",
        herald: true,
        run: pools::draining,
    },
    Scenario {
        name: "a_program_without_what_it_needs_says_so",
        herald: true,
        run: bad_input::programs,
    },
    Scenario {
        name: "heraldctl_explains_a_service",
        herald: true,
        run: tool::explains,
    },
    Scenario {
        name: "restarts_in_any_order_change_nothing",
        herald: true,
        run: restarts::any_order,
    },
    Scenario {
        name: "an_absent_api_server_changes_nothing",
        herald: true,
        run: restarts::absent_api_server,
    },
    Scenario {
        name: "speakers_restart_and_take_over_without_the_api_server",
        herald: true,
        run: independence::without_the_api_server,
    },
    Scenario {
        name: "an_excluded_node_hands_over",
        herald: true,
        run: takeover::excluded,
    },
    Scenario {
        name: "a_speaker_that_is_asked_to_end_hands_over",
        herald: true,
        run: takeover::terminated,
    },
    Scenario {
        name: "a_dead_owner_is_replaced",
        herald: true,
        run: takeover::killed,
    },
    Scenario {
        name: "a_node_that_is_not_heard_on_the_lan_hands_over",
        herald: true,
        run: unheard::hands_over,
    },
    Scenario {
        name: "a_silent_nodes_pods_are_unready_until_it_speaks",
        herald: true,
        run: eviction::until_it_speaks,
    },
    Scenario {
        name: "the_address_of_a_deleted_service_waits_for_it",
        herald: true,
        run: policies::retained,
    },
    Scenario {
        name: "a_quota_bounds_what_a_namespace_gets",
        herald: true,
        run: policies::rationed,
    },
    Scenario {
        name: "a_reserved_address_is_for_the_service_it_names",
        herald: true,
        run: policies::reserved,
    },
    Scenario {
        name: "a_port_pool_packs_services_and_refuses_other_ports",
        herald: true,
        run: policies::packed,
    },
    Scenario {
        name: "frr_agrees_on_every_feature_and_routes_to_every_node",
        herald: true,
        run: |stage| bgp::matrix(stage, Kind::Frr),
    },
    Scenario {
        name: "bird_agrees_on_every_feature_and_routes_to_every_node",
        herald: true,
        run: |stage| bgp::matrix(stage, Kind::Bird),
    },
    Scenario {
        name: "gobgp_agrees_on_every_feature_it_has",
        herald: true,
        run: |stage| bgp::matrix(stage, Kind::Gobgp),
    },
    Scenario {
        name: "openbgpd_agrees_on_every_feature_it_has",
        herald: true,
        run: |stage| bgp::matrix(stage, Kind::Openbgpd),
    },
    Scenario {
        name: "exabgp_agrees_on_every_feature_it_has",
        herald: true,
        run: |stage| bgp::matrix(stage, Kind::Exabgp),
    },
    Scenario {
        name: "a_session_is_secured_by_a_password_and_carries_both_families",
        herald: true,
        run: bgp::secured,
    },
    Scenario {
        name: "a_hostile_router_harms_no_other_session",
        herald: true,
        run: bgp::hostile,
    },
    Scenario {
        name: "the_shipped_rights_are_enough",
        herald: true,
        run: rights::enough,
    },
    Scenario {
        name: "tshark_finds_no_malformed_frame",
        herald: true,
        run: hygiene::frames,
    },
];

/// Why a scenario was not run.
#[derive(Debug)]
struct Skip {
    reason: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Skip {}

/// Fails as skipped when a program is not installed.
fn needs(program: &str, package: &str) -> Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if found {
        return Ok(());
    }
    Err(Skip {
        reason: format!("{program} is missing (package {package})"),
    }
    .into())
}

/// How a run went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Scenarios that held.
    pub passed: usize,
    /// Scenarios that did not.
    pub failed: usize,
    /// Scenarios that could not be tried.
    pub skipped: usize,
}

/// Runs the scenarios whose name contains `filter`, printing one line each. With `complete`, one that
/// could have been run had a package been installed is a failure.
pub fn run(
    lab: Lab,
    filter: &str,
    complete: bool,
    say: &dyn Fn(&str),
) -> Result<(Counts, Vec<Figure>)> {
    let path = lab.files.state.join("client.pcap");
    let capture = Capture::start(&lab.topology.client, &path)?;
    let mut stage = Stage {
        lab,
        figures: Vec::new(),
        capture: Some(capture),
    };
    let mut counts = Counts::default();
    for scenario in ALL.iter().filter(|scenario| scenario.name.contains(filter)) {
        if scenario.herald && stage.lab.herald.is_none() {
            stage.lab.install_herald(say)?;
        }
        let watch = Stopwatch::start();
        let before = logged(&stage.lab);
        let result = (scenario.run)(&mut stage).and_then(|()| alive(&mut stage.lab));
        let name = scenario.name;
        let good = report(name, result, complete, watch.elapsed(), &mut counts);
        if !good {
            show_logs(&stage.lab, &before);
        }
        if let Err(error) = tidy(&mut stage.lab) {
            tell(&format!(
                "    tidying up after {}: {error:#}",
                scenario.name
            ));
        }
    }
    Ok((counts, stage.figures))
}

/// Prints and counts one result; whether it is a good one.
fn report(
    name: &str,
    result: Result<()>,
    complete: bool,
    took: Duration,
    counts: &mut Counts,
) -> bool {
    let seconds = took.as_secs_f64();
    match result {
        Ok(()) => {
            counts.passed += 1;
            tell(&format!("test {name} ... ok ({seconds:.1} s)"));
        }
        Err(error) if error.is::<Skip>() && !complete => {
            counts.skipped += 1;
            tell(&format!("test {name} ... skipped: {error}"));
        }
        Err(error) => {
            counts.failed += 1;
            tell(&format!("test {name} ... FAILED ({seconds:.1} s)"));
            tell(&format!(
                "    {}",
                format!("{error:#}").replace('\n', "\n    ")
            ));
            return false;
        }
    }
    true
}

/// Fails when a program of Herald has ended by itself.
fn alive(lab: &mut Lab) -> Result<()> {
    for part in lab.herald.iter_mut().flat_map(Herald::parts_mut) {
        if let Some(status) = part.program.ended() {
            bail!("{} ended by itself: {status}", part.program.name());
        }
    }
    Ok(())
}

/// Brings the lab back to where every scenario starts from.
fn tidy(lab: &mut Lab) -> Result<()> {
    for service in lab.api.list("/api/v1/namespaces/default/services")? {
        match service["metadata"]["name"].as_str() {
            Some("kubernetes") | None => {}
            Some(name) => lab.delete_service(name)?,
        }
    }
    if lab.herald.is_none() {
        return Ok(());
    }
    for kind in [
        "ipaddresspools",
        "l2advertisements",
        "bgpadvertisements",
        "bgppeers",
        "ipreservations",
    ] {
        let path = format!("/apis/heraldlb.io/v1beta1/{kind}");
        for object in lab.api.list(&path)? {
            match object["metadata"]["name"].as_str() {
                Some("lab") | None => {}
                Some(name) => lab.api.delete(&format!("{path}/{name}"))?,
            }
        }
    }
    crate::herald::apply_pool(lab)?;
    for part in lab.herald()?.parts_mut() {
        if part.program.ended().is_some() {
            part.restart()?;
        }
    }
    lab.herald()?.wait_ready()
}

/// How much each program of Herald has logged, in bytes.
fn logged(lab: &Lab) -> BTreeMap<String, usize> {
    let logs = lab.herald.iter().flat_map(Herald::logs);
    logs.map(|(name, log)| (name.to_owned(), log.len()))
        .collect()
}

/// What the cluster looks like, and the last lines of what each program of Herald logged since.
fn show_logs(lab: &Lab, since: &BTreeMap<String, usize>) {
    let cluster = lab.kubectl(&["get", "nodes,pods,services,endpointslices", "--no-headers"]);
    for line in cluster
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.is_empty())
    {
        tell(&format!("      {line}"));
    }
    for (name, log) in lab.herald.iter().flat_map(Herald::logs) {
        let new = log
            .get(since.get(name).copied().unwrap_or_default()..)
            .unwrap_or_default();
        let lines: Vec<&str> = new.lines().collect();
        for line in &lines[lines.len().saturating_sub(6)..] {
            tell(&format!("      {name}: {line}"));
        }
    }
}

/// Two answers that are not the same are a failure that shows both.
fn expect_same<T: PartialEq + fmt::Debug>(what: &str, found: &T, wanted: &T) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    bail!("{what} is {found:?}, not {wanted:?}")
}

/// A moment for something that must not happen.
fn linger(time: Duration) {
    std::thread::sleep(time);
}
