//! BIRD at either end of the same wires: routers that receive, and a node that sends.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::lab::Lab;
use crate::netns::Netns;
use crate::program::{Launch, Program};
use crate::routers::{ADDRESSES, Bfd, NODE_AS, ROUTER_AS};
use crate::topology::NodeNet;

/// A running BIRD without routes in the kernel.
pub(super) struct Bird {
    program: Program,
    control: RefCell<UnixStream>,
}

impl Bird {
    /// A router that takes everything from this node.
    pub(super) fn router(lab: &Lab, netns: &Netns, own: IpAddr, node: IpAddr) -> Result<Self> {
        let text = format!(
            "router id {own};\nprotocol device {{}}\n\
             protocol bgp node {{ local {own} as {ROUTER_AS}; neighbor {node} as {NODE_AS}; passive; \
             ipv4 {{ import all; export none; }}; }}\n"
        );
        Self::start(lab, netns, &text)
    }

    /// A node that tells these routers so many prefixes from 10.200.0.0 on, once its protocol `many`
    /// is enabled.
    pub(super) fn node(
        lab: &Lab,
        netns: &Netns,
        own: IpAddr,
        routers: &[IpAddr],
        count: usize,
    ) -> Result<Self> {
        let mut text = format!(
            "router id {own};\nprotocol device {{}}\nprotocol static many {{ disabled; ipv4;\n"
        );
        for n in 0..u32::try_from(count)? {
            let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 200, 0, 0).to_bits() + n);
            let _ = writeln!(text, "route {address}/32 blackhole;");
        }
        text.push_str("}\n");
        for (n, router) in routers.iter().enumerate() {
            let _ = writeln!(
                text,
                "protocol bgp r{n} {{ local {own} as {NODE_AS}; neighbor {router} as {ROUTER_AS}; \
                 connect delay time 1; connect retry time 1; error wait time 1, 2; \
                 ipv4 {{ import none; next hop self; \
                 export filter {{ bgp_community.add(({NODE_AS}, 100)); accept; }}; }}; }}"
            );
        }
        Self::start(lab, netns, &text)
    }

    /// A node that tells the lab's router of one address, and is watched by it.
    pub(super) fn watched(lab: &Lab, node: &NodeNet, address: IpAddr, bfd: &Bfd) -> Result<Self> {
        let ([own, _], router) = (node.number.lan(), ADDRESSES[0]);
        let Bfd {
            interval,
            multiplier,
        } = bfd;
        let interval = interval.as_millis();
        let text = format!(
            "router id {own};\nprotocol device {{}}\nprotocol bfd {{}}\n\
             protocol static {{ ipv4; route {address}/32 blackhole; }}\n\
             protocol bgp tor {{ local {own} as {NODE_AS}; neighbor {router} as {ROUTER_AS}; \
             hold time 9; connect delay time 1; connect retry time 1; error wait time 1, 2; \
             bfd {{ min rx interval {interval} ms; min tx interval {interval} ms; \
             multiplier {multiplier}; }}; ipv4 {{ import none; next hop self; export all; }}; }}\n"
        );
        Self::start(lab, &node.machine, &text)
    }

    fn start(lab: &Lab, netns: &Netns, configuration: &str) -> Result<Self> {
        let path = |what: &str| -> PathBuf {
            lab.files
                .state
                .join(format!("{}.bird.{what}", netns.name()))
        };
        let word = |what: &str| path(what).display().to_string();
        std::fs::write(path("conf"), configuration)?;
        let _from_before = std::fs::remove_file(path("ctl"));
        let launch = Launch {
            name: format!("bird-{}", netns.name()),
            netns: netns.clone(),
            path: "/usr/sbin/bird".into(),
            arguments: vec![
                "-f".to_owned(),
                "-c".to_owned(),
                word("conf"),
                "-s".to_owned(),
                word("ctl"),
                "-P".to_owned(),
                word("pid"),
            ],
            environment: Vec::new(),
        };
        Ok(Self {
            program: lab.start(launch.urgent())?,
            control: RefCell::new(greeted(lab, &path("ctl"))?),
        })
    }

    /// What it answers to a command.
    pub(super) fn asked(&self, command: &str) -> Result<String> {
        let mut control = self.control.borrow_mut();
        control.write_all(format!("{command}\n").as_bytes())?;
        answer(&mut control)
    }

    /// Stops it in its tracks (SIGSTOP), or lets it go on. The kernel goes on taking what it is sent.
    pub(super) fn stand_still(&self, still: bool) {
        let signal = if still {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        self.program.signal(signal);
    }

    /// How many routes it has.
    pub(super) fn routes(&self) -> Result<usize> {
        let answer = self.asked("show route count table master4")?;
        // `1007-N of M routes for K networks in table master4`.
        let number = answer.split(" of ").next();
        let number = number.and_then(|line| line.rsplit(['-', ' ']).next()?.parse().ok());
        number.with_context(|| format!("BIRD counts no routes: {answer}"))
    }

    /// How many of its sessions are established.
    pub(super) fn established(&self) -> Result<usize> {
        let shown = self.asked("show protocols")?;
        Ok(shown.matches("Established").count())
    }
}

fn greeted(lab: &Lab, path: &Path) -> Result<UnixStream> {
    lab.wait("BIRD does not start", Duration::from_secs(10), |_| {
        Ok(UnixStream::connect(path).is_ok())
    })?;
    let mut control = UnixStream::connect(path)?;
    control.set_read_timeout(Some(Duration::from_secs(10)))?;
    answer(&mut control)?;
    Ok(control)
}

/// Everything up to a line that begins with four digits and a space.
fn answer(control: &mut UnixStream) -> Result<String> {
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let length = control.read(&mut chunk)?;
        anyhow::ensure!(length > 0, "BIRD hung up");
        heard.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&heard);
        let last = text.lines().last().unwrap_or_default();
        let code = last
            .get(..4)
            .is_some_and(|code| code.chars().all(|c| c.is_ascii_digit()));
        if code && last.get(4..5) == Some(" ") && text.ends_with('\n') {
            return Ok(text.into_owned());
        }
    }
}
