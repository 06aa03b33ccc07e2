//! The command line.

use std::net::SocketAddr;

use anyhow::Context as _;
use herald_runtime::args::Common;

/// Gives Services of type LoadBalancer addresses from IPAddressPools.
///
/// Runs in the cluster without any flag. Several replicas may run; the one that holds the Lease
/// herald-controller in the installation's namespace works, the others wait.
#[derive(Debug, clap::Parser)]
#[command(name = "herald-controller", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,

    /// Where /metrics, /healthz, /readyz and /state.json are served
    #[arg(long, default_value = "0.0.0.0:7473", value_name = "ADDRESS:PORT")]
    pub(crate) admin_address: SocketAddr,

    /// Name of this replica in the Lease and in Events; the host's name and the process id if
    /// absent
    #[arg(long, env = "HERALD_POD_NAME", value_name = "NAME")]
    pub(crate) identity: Option<String>,

    /// How long, in seconds, a replica that died keeps the others from working; 3 at least. A shorter
    /// Lease is renewed more often
    #[arg(
        long,
        default_value_t = 15,
        value_parser = clap::value_parser!(u16).range(3..=300),
        value_name = "SECONDS"
    )]
    pub(crate) lease_duration: u16,

    /// How long, in seconds, the holders of a pool that was deleted keep their addresses, so that it can be
    /// made again; nobody gets one of its addresses meanwhile
    #[arg(
        long,
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(0..=86_400),
        value_name = "SECONDS"
    )]
    pub(crate) pool_grace: u32,

    /// Take the pods of a node that most speakers do not hear out of their Services at once, instead
    /// of after about 50 s; needs the rights in deploy/addons/fast-endpoint-eviction
    #[arg(long)]
    pub(crate) fast_endpoint_eviction: bool,

    /// With --fast-endpoint-eviction: never of more than this share of the nodes at a time (one node
    /// is always allowed)
    #[arg(long, default_value_t = 0.34, value_parser = share, value_name = "SHARE")]
    pub(crate) eviction_max_share: f64,
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| "write a number above 0 and at most 1, as 0.34 for a third".to_owned())
}

/// A name no other replica has.
pub(crate) fn own_identity() -> anyhow::Result<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("the host's name cannot be read: give --identity NAME")?;
    Ok(format!("{}-{}", host.trim(), std::process::id()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn no_flag_is_needed_in_a_cluster_and_the_flags_are_consistent() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["herald-controller"]).unwrap();
        assert_eq!(args.admin_address.port(), 7473);
        assert_eq!(args.common.namespace, "herald-system");
        assert_eq!(args.common.lb_class, herald_config::service::DEFAULT_CLASS);
        assert!(!args.fast_endpoint_eviction);
        assert_eq!((args.lease_duration, args.pool_grace), (15, 60));
        let short = ["herald-controller", "--lease-duration=2"];
        assert!(Args::try_parse_from(short).is_err());
    }

    #[test]
    fn a_share_is_a_number_above_0_and_at_most_1() {
        for (text, fine) in [
            ("0.34", true),
            ("1", true),
            ("0", false),
            ("1.1", false),
            ("-0.5", false),
            ("NaN", false),
            ("a third", false),
        ] {
            assert_eq!(share(text).is_ok(), fine, "{text}");
        }
    }
}
