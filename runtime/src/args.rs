//! The command-line flags every long-running Herald process takes.

use std::path::PathBuf;

use crate::logging::Format;

/// How to reach the API server, what to call ourselves there, and how to be observed.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Kubeconfig file; without it the ServiceAccount of the pod is used
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace that Herald is installed in: its Lease, the Secret of the beacons and the membership
    /// are kept there
    #[arg(long, env = "HERALD_NAMESPACE", default_value = "herald-system")]
    pub namespace: String,

    /// loadBalancerClass that Herald serves
    #[arg(long, default_value = "heraldlb.io/herald", value_name = "CLASS")]
    pub lb_class: String,

    /// Whether Herald serves Services without a loadBalancerClass, too; false leaves them to others, so
    /// that another load balancer can run beside it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub classless: bool,

    /// Form of the log
    #[arg(long, env = "HERALD_LOG_FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,

    /// What is logged: error, warn, info, debug, trace, or a filter such as
    /// debug,kube_client=off. The default leaves out what the client library repeats on each retry
    #[arg(
        long,
        env = "HERALD_LOG_LEVEL",
        default_value = "info,kube_client=off,kube_runtime=off",
        value_name = "FILTER"
    )]
    pub log_level: String,
}
