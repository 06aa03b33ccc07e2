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
    }
}
