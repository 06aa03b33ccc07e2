//! Every scenario there is, in the order they run.

use super::{
    Scenario, addresses, bad_input, bgp, claims, eviction, families, forms, ground, hygiene,
    independence, keeping, lan, moving_in, narrow, objects, pages, policies, pools, restarts,
    rights, sharing, takeover, tool, unheard, unusable, writes,
};
use crate::routers::Kind;

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
        name: "the_samples_are_accepted",
        herald: true,
        run: objects::samples,
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
        name: "an_address_follows_the_endpoints_of_its_family",
        herald: true,
        run: families::apart,
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
        name: "the_service_that_was_edited_gives_way_and_not_the_one_it_shares_with",
        herald: true,
        run: keeping::the_edited_moves,
    },
    Scenario {
        name: "an_address_that_left_a_status_comes_back",
        herald: true,
        run: keeping::comes_back,
    },
    Scenario {
        name: "two_services_that_ask_for_each_others_address_swap",
        herald: true,
        run: keeping::swap,
    },
    Scenario {
        name: "a_service_moves_to_and_from_another_load_balancer_with_its_address",
        herald: true,
        run: keeping::beside_another,
    },
    Scenario {
        name: "uninstall_takes_addresses_off_only_when_asked",
        herald: true,
        run: keeping::taken_off,
    },
    Scenario {
        name: "no_write_that_follows_a_service_is_rejected",
        herald: true,
        run: writes::none_is_rejected,
    },
    Scenario {
        name: "what_may_not_be_written_is_sent_rarely_and_helped_by_the_right",
        herald: true,
        run: writes::rejected_writes_wait,
    },
    Scenario {
        name: "a_speaker_without_a_node_writes_nothing",
        herald: true,
        run: writes::none_without_a_node,
    },
    Scenario {
        name: "forty_services_keep_their_addresses_whatever_comes_and_goes",
        herald: true,
        run: moving_in::keeps_all,
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
        name: "unusable_addresses_of_nodes_are_given_to_nobody",
        herald: true,
        run: unusable::nodes_own,
    },
    Scenario {
        name: "unusable_addresses_of_ranges_and_subnets_are_told",
        herald: true,
        run: unusable::ranges,
    },
    Scenario {
        name: "unusable_literals_are_refused_alike_by_api_server_and_heraldctl",
        herald: true,
        run: unusable::literals,
    },
    Scenario {
        name: "unusable_literals_that_are_stored_stay_valid",
        herald: true,
        run: unusable::stored,
    },
    Scenario {
        name: "unusable_from_now_on_an_address_is_kept_and_not_announced",
        herald: true,
        run: unusable::later,
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
        name: "nodes_that_may_not_announce_leave_the_processor_alone",
        herald: true,
        run: narrow::others_sleep,
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
        name: "an_announced_interface_that_is_taken_down_lets_the_address_go",
        herald: true,
        run: unheard::lets_go,
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
        name: "a_mistake_in_a_pool_can_be_taken_back",
        herald: true,
        run: policies::reconsidered,
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
        name: "frr_and_nodes_watch_each_other_by_bfd",
        herald: true,
        run: |stage| bgp::watched(stage, Kind::Frr),
    },
    Scenario {
        name: "bird_and_nodes_watch_each_other_by_bfd",
        herald: true,
        run: |stage| bgp::watched(stage, Kind::Bird),
    },
    Scenario {
        name: "heraldctl_tells_the_truth_of_sessions",
        herald: true,
        run: bgp::told,
    },
    Scenario {
        name: "whoever_opens_the_connection_there_is_one_session",
        herald: true,
        run: bgp::listening,
    },
    Scenario {
        name: "nodes_get_traffic_in_proportion_to_their_endpoints",
        herald: true,
        run: bgp::weighed,
    },
    Scenario {
        name: "a_hostile_router_harms_no_other_session",
        herald: true,
        run: bgp::hostile,
    },
    Scenario {
        name: "routers_are_found_by_their_interfaces",
        herald: true,
        run: bgp::unnumbered,
    },
    Scenario {
        name: "bird_and_nodes_prove_their_bfd_packets",
        herald: true,
        run: bgp::proved,
    },
    Scenario {
        name: "frr_and_nodes_watch_each_other_by_bfd_echo",
        herald: true,
        run: bgp::echoed,
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
