//! What can be done to the lab's switch: cables pulled, ports cut off, the LAN parted, frames lost.
//!
//! Everything here is the kernel's own bridge and its nftables family; nothing is pretended. A fault
//! that is done twice is no error, and [`Topology::mend`] undoes all of them.

use std::process::Command;

use anyhow::Result;

use crate::netns::{Netns, run};
use crate::topology::{NodeNumber, Topology, lan_lines, machine};

/// The UDP port of the speakers' beacons.
pub const BEACONS: u16 = 7948;
/// The second half of a parted LAN, and the two ends of the cable between the halves.
const FAR: &str = "lan2";
const LINK: [&str; 2] = ["trunk-1", "trunk-2"];
/// The table that holds what is dropped.
const TABLE: &str = "lab";

impl Topology {
    /// Takes a bridge port down or up: the cable of that machine, which sees it.
    pub fn port(&self, port: &str, up: bool) -> Result<()> {
        self.switch.ip(&format!(
            "link set dev {port} {}",
            if up { "up" } else { "down" }
        ))
    }

    /// Takes a port off its bridge and leaves its cable as it is: whatever enters it is gone, and the
    /// machine sees nothing of that.
    pub fn black_hole(&self, port: &str) -> Result<()> {
        self.switch.ip(&format!("link set dev {port} nomaster"))
    }

    /// Moves ports to a second switch, which a cable connects with the first: nothing changes for
    /// anybody until that is cut.
    pub fn part(&self, ports: &[String]) -> Result<()> {
        let [near, far] = LINK;
        if !self.has(FAR) {
            self.switch.ip(&format!(
                "link add {FAR} type bridge mcast_snooping 0\n\
                 link add {near} type veth peer name {far}\n\
                 link set dev {near} master lan up\n\
                 link set dev {far} master {FAR} up\n\
                 link set dev {FAR} up"
            ))?;
        }
        for port in ports {
            self.switch
                .ip(&format!("link set dev {port} master {FAR}"))?;
        }
        Ok(())
    }

    /// Cuts or heals the cable between the two switches of a parted LAN. Neither machine's own cable
    /// changes.
    pub fn trunk(&self, up: bool) -> Result<()> {
        self.port(LINK[0], up)
    }

    /// Isolates ports: isolated ones reach all others, and not each other.
    pub fn isolate(&self, ports: &[String]) -> Result<()> {
        for port in ports {
            self.isolated(port, true)?;
        }
        Ok(())
    }

    /// Loses so many of a hundred frames that cross the LAN; the management network loses none.
    pub fn lose(&self, percent: u8) -> Result<()> {
        let ports: Vec<String> = self
            .lan_ports()
            .iter()
            .map(|port| format!("\"{port}\""))
            .collect();
        let ports = ports.join(", ");
        self.drop_frames(&format!(
            "iifname {{ {ports} }} numgen random mod 100 < {percent}"
        ))
    }

    /// Drops the beacons of one node to another; what the other sends passes.
    pub fn deafen(&self, from: NodeNumber, to: NodeNumber) -> Result<()> {
        self.drop_frames(&format!(
            "iifname \"{}\" oifname \"{}\" udp dport {BEACONS}",
            from.name(),
            to.name()
        ))
    }

    /// Drops every beacon, as a firewall that does not know the port.
    pub fn block_beacons(&self) -> Result<()> {
        self.drop_frames(&format!("udp dport {BEACONS}"))
    }

    /// Takes a node's own interface on the LAN down or up, as an administrator does on the node.
    pub fn interface(&self, node: NodeNumber, up: bool) -> Result<()> {
        let all: Vec<NodeNumber> = self.nodes.iter().map(|one| one.number).collect();
        for one in self.nodes.iter().filter(|one| one.number == node) {
            if up {
                one.machine.ip("link set dev eth0 up")?;
                one.machine.ip(&lan_lines(node, &all))?;
            } else {
                one.machine.ip("link set dev eth0 down")?;
            }
        }
        Ok(())
    }

    /// Undoes everything above but the last: every port up, on the LAN, isolated from nobody; no frame lost.
    pub fn mend(&self) -> Result<()> {
        let _not_there = run(self.nft().args(["delete", "table", "bridge", TABLE]));
        for port in self.lan_ports() {
            self.switch
                .ip(&format!("link set dev {port} master lan up"))?;
            self.isolated(&port, false)?;
        }
        for node in &self.nodes {
            self.port(&node.number.ports()[1], true)?;
        }
        if self.has(FAR) {
            self.trunk(true)?;
        }
        Ok(())
    }

    /// A further machine on the LAN, `10.73.0.LAST`; its port has its name.
    pub fn guest(&mut self, name: &str, last: u8) -> Result<Netns> {
        if let Some(guest) = self.guests.iter().find(|guest| guest.name() == name) {
            return Ok(guest.clone());
        }
        let guest = machine(name, name, &self.switch)?;
        guest.ip(&format!("address add 10.73.0.{last}/24 dev eth0"))?;
        self.guests.push(guest.clone());
        Ok(guest)
    }

    fn lan_ports(&self) -> Vec<String> {
        let machines = [&self.router, &self.client]
            .into_iter()
            .chain(&self.guests)
            .chain(self.nodes.iter().map(|node| &node.machine));
        machines.map(|netns| netns.name().to_owned()).collect()
    }

    fn isolated(&self, port: &str, isolated: bool) -> Result<()> {
        let word = if isolated { "on" } else { "off" };
        let arguments = ["link", "set", "dev", port, "isolated", word];
        run(self.switch.command("bridge").args(arguments)).map(drop)
    }

    fn drop_frames(&self, matching: &str) -> Result<()> {
        run(self.nft().arg(format!(
            "table bridge {TABLE} {{\n\
             chain passing {{ type filter hook forward priority 0; policy accept; }}\n\
             }}\n\
             add rule bridge {TABLE} passing {matching} counter drop"
        )))
        .map(drop)
    }

    fn nft(&self) -> Command {
        self.switch.command("nft")
    }

    fn has(&self, interface: &str) -> bool {
        run(Command::new("ip").args(["-n", self.switch.name(), "link", "show", "dev", interface]))
            .is_ok()
    }
}
