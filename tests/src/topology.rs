//! The lab's network: one LAN, one management network, and the machines on them.
//!
//! ```text
//!            lan 10.73.0.0/24 fd73::/64                     management 10.74.0.0/24 fd74::/64
//!   router .1   client .50   node-N .(10+N)                    control .1   node-N .(10+N)
//!                              |  cni0 10.244.N.1/24 fd00:244:N::1/64
//!                            pods-N
//! ```
//! Both bridges live in the namespace `sw`, whose ports are named after the machine (`node-1`, and
//! `node-1-m` on the management side). What can be done to them is in [`crate::switch`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::netns::{Netns, run};

/// Service addresses: kube-apiserver's `--service-cluster-ip-range`.
pub const SERVICE_RANGES: &str = "10.96.0.0/16,fd96::/112";
/// Pod addresses: kube-proxy's `--cluster-cidr`.
pub const POD_RANGES: &str = "10.244.0.0/16,fd00:244::/48";
/// Addresses on the LAN that Herald may give away.
pub const POOL_RANGES: [&str; 2] = ["10.73.0.200-10.73.0.239", "fd73::f000/120"];
/// Where the API server listens, on the management network.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 74, 0, 1);

/// Numbers of one node, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeNumber(pub u8);

impl NodeNumber {
    /// `node-N`.
    pub fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// Its addresses on the LAN: the node's InternalIPs.
    pub fn lan(self) -> [IpAddr; 2] {
        let last = 10 + self.0;
        [
            Ipv4Addr::new(10, 73, 0, last).into(),
            Ipv6Addr::new(0xfd73, 0, 0, 0, 0, 0, 0, u16::from(last)).into(),
        ]
    }

    /// Its addresses on the management network.
    pub fn management(self) -> [IpAddr; 2] {
        let last = 10 + self.0;
        [
            Ipv4Addr::new(10, 74, 0, last).into(),
            Ipv6Addr::new(0xfd74, 0, 0, 0, 0, 0, 0, u16::from(last)).into(),
        ]
    }

    /// The addresses of its pod number `pod`, from 1.
    pub fn pod(self, pod: u8) -> [IpAddr; 2] {
        [
            Ipv4Addr::new(10, 244, self.0, 9 + pod).into(),
            Ipv6Addr::new(
                0xfd00,
                0x244,
                u16::from(self.0),
                0,
                0,
                0,
                0,
                9 + u16::from(pod),
            )
            .into(),
        ]
    }

    /// The ranges its pods are in: `spec.podCIDRs`.
    pub fn pod_ranges(self) -> [String; 2] {
        [
            format!("10.244.{}.0/24", self.0),
            format!("fd00:244:{}::/64", self.0),
        ]
    }

    /// Its ports on the LAN and the management bridge.
    pub fn ports(self) -> [String; 2] {
        [self.name(), format!("{}-m", self.name())]
    }
}

/// A node's two namespaces.
#[derive(Debug, Clone)]
pub struct NodeNet {
    /// Its number.
    pub number: NodeNumber,
    /// The machine: `eth0` LAN, `eth1` management, `cni0` to its pods.
    pub machine: Netns,
    /// All its pods.
    pub pods: Netns,
}

/// Every namespace of the lab.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Where the control plane runs; the sandbox's own namespace.
    pub control: Netns,
    /// Holds the bridges `lan` and `management`.
    pub switch: Netns,
    /// The LAN's gateway.
    pub router: Netns,
    /// Who asks for pages.
    pub client: Netns,
    /// The nodes, in order of their number.
    pub nodes: Vec<NodeNet>,
    /// Machines that came later.
    pub guests: Vec<Netns>,
}

impl Topology {
    /// Builds the network with `nodes` nodes.
    pub fn build(nodes: u8) -> Result<Self> {
        let control = Netns::name_own("control")?;
        let switch = Netns::create("sw")?;
        for table in ["iptables", "ip6tables", "arptables"] {
            switch.sysctl_if_present(&format!("bridge/bridge-nf-call-{table}"), "0")?;
        }
        switch.ip("link add lan type bridge mcast_snooping 0\n\
             link add management type bridge mcast_snooping 0\n\
             link set lan up\n\
             link set management up")?;
        plug(&control, "eth1", &switch, "control-m", "management")?;
        control.ip("address add 10.74.0.1/24 dev eth1\naddress add fd74::1/64 dev eth1 nodad")?;
        let router = machine("router", "router", &switch)?;
        router.ip("address add 10.73.0.1/24 dev eth0\naddress add fd73::1/64 dev eth0 nodad")?;
        forward(&router)?;
        // The client would be told to go straight to a node, which a router between networks never says.
        router.sysctl(&[
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/eth0/send_redirects", "0"),
        ])?;
        let client = machine("client", "client", &switch)?;
        client.ip("address add 10.73.0.50/24 dev eth0\naddress add fd73::50/64 dev eth0 nodad")?;
        client.sysctl(&[("ipv6/conf/eth0/accept_dad", "1")])?;
        let numbers: Vec<NodeNumber> = (1..=nodes).map(NodeNumber).collect();
        let nodes = numbers
            .iter()
            .map(|number| node(*number, &numbers, &switch, &control))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            control,
            switch,
            router,
            client,
            nodes,
            guests: Vec::new(),
        })
    }

    /// A namespace by the name people use: `client`, `router`, `control`, `sw`, `node-1`, `pods-1`.
    pub fn find(&self, name: &str) -> Option<&Netns> {
        [&self.control, &self.switch, &self.router, &self.client]
            .into_iter()
            .chain(
                self.nodes
                    .iter()
                    .flat_map(|node| [&node.machine, &node.pods]),
            )
            .chain(&self.guests)
            .find(|netns| netns.name() == name)
    }
}

/// A namespace with `eth0` on the LAN. Duplicate address detection is off, so that addresses are
/// usable at once.
pub(crate) fn machine(name: &str, port: &str, switch: &Netns) -> Result<Netns> {
    let netns = Netns::create(name)?;
    netns.sysctl(&[
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/all/accept_dad", "0"),
        ("ipv6/conf/default/accept_ra", "0"),
    ])?;
    plug(&netns, "eth0", switch, port, "lan")?;
    Ok(netns)
}

fn node(
    number: NodeNumber,
    all: &[NodeNumber],
    switch: &Netns,
    control: &Netns,
) -> Result<NodeNet> {
    let [lan_port, management_port] = number.ports();
    let netns = machine(&number.name(), &lan_port, switch)?;
    forward(&netns)?;
    plug(&netns, "eth1", switch, &management_port, "management")?;
    let pods = Netns::create(&format!("pods-{}", number.0))?;
    pods.sysctl(&[
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/all/accept_dad", "0"),
    ])?;
    run(netns.command("ip").args([
        "link",
        "add",
        "cni0",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        pods.name(),
    ]))?;
    let ([lan4, _], [management4, management6]) = (number.lan(), number.management());
    let n = number.0;
    netns.ip(&format!(
        "address add {lan4}/24 dev eth0\n\
         address add {management4}/24 dev eth1\n\
         address add {management6}/64 dev eth1 nodad\n\
         address add 10.244.{n}.1/24 dev cni0\n\
         address add fd00:244:{n}::1/64 dev cni0 nodad\n\
         link set cni0 up"
    ))?;
    netns.ip(&lan_lines(number, all))?;
    pods.ip(&format!(
        "link set eth0 up\n\
         address add 10.244.{n}.2/24 dev eth0\n\
         address add fd00:244:{n}::2/64 dev eth0 nodad\n\
         route add default via 10.244.{n}.1\n\
         route add default via fd00:244:{n}::1"
    ))?;
    let [range4, range6] = number.pod_ranges();
    control.ip(&format!(
        "route add {range4} via {management4}\nroute add {range6} via {management6}"
    ))?;
    Ok(NodeNet {
        number,
        machine: netns,
        pods,
    })
}

/// What a node's `eth0` has beside its IPv4 address, and loses when it goes down.
pub(crate) fn lan_lines(number: NodeNumber, all: &[NodeNumber]) -> String {
    let [_, lan6] = number.lan();
    let mut lines = vec![
        format!("address add {lan6}/64 dev eth0 nodad"),
        "route add default via 10.73.0.1".to_owned(),
        "route add default via fd73::1".to_owned(),
    ];
    for other in all.iter().filter(|other| **other != number) {
        let ([range4, range6], [via4, via6]) = (other.pod_ranges(), other.lan());
        lines.push(format!("route add {range4} via {via4}"));
        lines.push(format!("route add {range6} via {via6}"));
    }
    lines.join("\n")
}

/// Connects a new interface of a namespace to a bridge.
fn plug(netns: &Netns, interface: &str, switch: &Netns, port: &str, bridge: &str) -> Result<()> {
    netns.ip(&format!(
        "link add {interface} type veth peer name {port} netns {}\nlink set {interface} up",
        switch.name()
    ))?;
    switch.ip(&format!("link set {port} master {bridge} up"))
}

fn forward(netns: &Netns) -> Result<()> {
    netns.sysctl(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")])
}
