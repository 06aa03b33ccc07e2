//! The speaker's command line.

use std::net::SocketAddr;

use herald_runtime::args::Common;

use crate::links;

/// Announces addresses of LoadBalancer Services from one node, by ARP and NDP.
///
/// Runs on every node, in the host's network, with CAP_NET_RAW. In a cluster it needs no flag.
#[derive(Debug, Clone, clap::Parser)]
#[command(version, name = "herald-speaker")]
pub(crate) struct Args {
    #[command(flatten)]
    pub common: Common,

    /// Name of the Node this speaker runs on
    #[arg(long, env = "HERALD_NODE_NAME", value_name = "NODE")]
    pub node_name: String,

    /// Address of /metrics, /healthz, /readyz and /state.json
    #[arg(
        long,
        env = "HERALD_ADMIN_ADDRESS",
        default_value = "0.0.0.0:7472",
        value_name = "IP:PORT"
    )]
    pub admin_address: SocketAddr,

    /// Interfaces never announced on: names, a trailing * standing for any end
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_values_t = defaults())]
    pub exclude_interfaces: Vec<String>,
}

fn defaults() -> Vec<String> {
    links::EXCLUDED.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn one_name_is_all_a_speaker_needs() {
        let args = Args::try_parse_from(["herald-speaker", "--node-name", "n1"]).expect("enough");
        assert_eq!(args.node_name, "n1");
        assert!(args.exclude_interfaces.contains(&"veth*".to_owned()));
    }

    #[test]
    fn excluded_interfaces_are_a_list_with_commas() {
        let given = [
            "herald-speaker",
            "--node-name",
            "n1",
            "--exclude-interfaces",
            "a*,b",
        ];
        let args = Args::try_parse_from(given).expect("valid");
        assert_eq!(args.exclude_interfaces, ["a*", "b"]);
    }
}
