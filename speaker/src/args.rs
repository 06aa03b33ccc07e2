//! The speaker's command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use herald_beacon::{Policy, Timers};
use herald_l2::Limits;
use herald_runtime::args::Common;

use crate::links;

/// Announces addresses of LoadBalancer Services from one node, by ARP and NDP.
///
/// Runs on every node, in the host's network, with CAP_NET_RAW; with CAP_SYS_NICE and CAP_IPC_LOCK it
/// also answers in time on a busy node. In a cluster it needs no flag.
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

    /// UDP port of the beacons between speakers; the same on every node
    #[arg(
        long,
        env = "HERALD_BEACON_PORT",
        default_value_t = 7948,
        value_name = "PORT"
    )]
    pub beacon_port: u16,

    /// Address of this node that the other speakers send beacons to; the Node's first InternalIP by
    /// default
    #[arg(long, env = "HERALD_BEACON_ADDRESS", value_name = "IP")]
    pub beacon_address: Option<IpAddr>,

    /// TCP port that routers connect to, where a BGPPeer has connectionMode Passive or Both; nothing
    /// listens otherwise
    #[arg(
        long,
        env = "HERALD_BGP_LISTEN_PORT",
        default_value_t = 179,
        value_parser = clap::value_parser!(u16).range(1..),
        value_name = "PORT"
    )]
    pub bgp_listen_port: u16,

    /// How fast a silent owner is replaced; nodes with different profiles get along
    #[arg(long, value_enum, default_value_t = FailoverProfile::Default)]
    pub failover_profile: FailoverProfile,

    /// What to do while fewer than a majority of the speakers are heard
    #[arg(long, value_enum, default_value_t = PartitionPolicy::Available)]
    pub partition_policy: PartitionPolicy,

    /// With two nodes and the policy exclusive: whichever gets Lease herald-witness goes on when they do
    /// not hear each other; the same on both
    #[arg(long)]
    pub lease_witness: bool,

    /// How much is announced unasked
    #[arg(long, value_enum, default_value_t = ArpProfile::Default)]
    pub arp_profile: ArpProfile,

    /// Hand addresses to nodes that carry fewer: one at a time, ten seconds apart. Without it an
    /// address stays where it is while its node may announce it
    #[arg(long)]
    pub rebalance: bool,

    /// Directory for what must outlive the process: the membership, and what is needed to start
    /// while the API server is away
    #[arg(long, env = "HERALD_STATE_DIRECTORY", value_name = "DIR")]
    pub state_directory: Option<PathBuf>,

    /// Interfaces never announced on: names, a trailing * standing for any end
    #[arg(long, value_delimiter = ',', value_name = "NAMES", default_values_t = defaults())]
    pub exclude_interfaces: Vec<String>,
}

/// How fast a silent owner is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FailoverProfile {
    /// Beacons every 50 ms, replaced after 250 ms of silence
    Default,
    /// Beacons every 25 ms, replaced after 100 ms of silence; for wired nodes, and in force only where
    /// SCHED_RR is granted
    Fast,
}

impl FailoverProfile {
    pub(crate) fn timers(self) -> Timers {
        let ms = Duration::from_millis;
        match self {
            Self::Default => Timers::default(),
            Self::Fast => Timers {
                interval: ms(25),
                grant: ms(80),
                suspect: ms(100),
                ..Timers::default()
            },
        }
    }
}

/// What a node does while it hears no majority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PartitionPolicy {
    /// Announce what nobody else answers for, while a gateway answers
    Available,
    /// Be silent
    Exclusive,
}

impl Args {
    /// What to do without a majority.
    pub(crate) fn policy(&self) -> Policy {
        match self.partition_policy {
            PartitionPolicy::Available => Policy::Available,
            PartitionPolicy::Exclusive if self.lease_witness => Policy::Witnessed,
            PartitionPolicy::Exclusive => Policy::Exclusive,
        }
    }

    /// # Errors
    /// Flags that make no sense together.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.lease_witness || self.partition_policy == PartitionPolicy::Exclusive,
            "--lease-witness needs --partition-policy exclusive: the policy available asks the network and no Lease"
        );
        Ok(())
    }
}

/// How much is announced unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ArpProfile {
    /// Up to 2 000 frames per second after a takeover, 5 per second otherwise
    Default,
    /// Up to 10 frames per second, for switches that shut ports down above some rate of ARP
    Cautious,
}

impl ArpProfile {
    pub(crate) fn limits(self) -> Limits {
        match self {
            Self::Default => Limits::default(),
            Self::Cautious => Limits::cautious(),
        }
    }
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
    fn a_lease_is_a_witness_for_exclusive_only() {
        let args = |more: &[&'static str]| {
            let name = ["herald-speaker", "--node-name", "n1"].iter();
            Args::try_parse_from(name.chain(more)).expect("known flags")
        };
        let exclusive = args(&["--partition-policy=exclusive"]);
        assert_eq!(exclusive.policy(), Policy::Exclusive);
        let witnessed = args(&["--partition-policy=exclusive", "--lease-witness"]);
        assert_eq!(witnessed.policy(), Policy::Witnessed);
        assert!(witnessed.check().is_ok());
        assert!(args(&["--lease-witness"]).check().is_err());
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
