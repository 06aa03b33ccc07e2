//! BIRD 2: one program, one socket.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{ADDRESSES, Bfd, Files, NODE_AS, Neighbour, Paths, ROUTER_AS, START, Watched};
use crate::lab::Lab;
use crate::program::{Launch, Program};

pub(super) fn start(lab: &Lab, files: &Files) -> Result<Vec<Program>> {
    let program = launch(lab, files, &configured(files), files.watch())?;
    Ok(vec![program])
}

/// Starts it with a configuration; before ordinary programs where it `watches` somebody.
pub fn launch(lab: &Lab, files: &Files, configuration: &str, watches: bool) -> Result<Program> {
    std::fs::write(files.path("bird.conf"), configuration)?;
    let launch = Launch {
        name: "bird".to_owned(),
        netns: files.netns.clone(),
        path: "/usr/sbin/bird".into(),
        arguments: vec![
            "-f".to_owned(),
            "-c".to_owned(),
            files.word("bird.conf"),
            "-s".to_owned(),
            files.word("bird.ctl"),
            "-P".to_owned(),
            files.word("bird.pid"),
        ],
        environment: Vec::new(),
    };
    let program = lab.start(if watches { launch.urgent() } else { launch })?;
    let socket = files.path("bird.ctl");
    lab.wait("BIRD does not start", START, |_| Ok(socket.exists()))?;
    Ok(program)
}

fn configured(files: &Files) -> String {
    let mut text = format!(
        "log stderr all;\nrouter id {};\nprotocol device {{}}\nprotocol direct {{ ipv4; ipv6; }}\n\
         protocol kernel {{ merge paths yes; ipv4 {{ import none; export where source = RTS_BGP; }}; }}\n\
         protocol kernel {{ merge paths yes; ipv6 {{ import none; export where source = RTS_BGP; }}; }}\n",
        ADDRESSES[0]
    );
    if files.watch() {
        text.push_str("protocol bfd {}\n");
    }
    for neighbour in &files.neighbours {
        let Neighbour {
            address,
            local,
            password,
            ttl_security,
            multihop,
            bfd,
            opens,
            ..
        } = neighbour;
        let _ = write!(
            text,
            "protocol bgp {} {{ local {local} as {ROUTER_AS}; neighbor {address} as {NODE_AS}; \
             connect retry time 1; error wait time 1, 2;",
            name(*address)
        );
        if *opens {
            text.push_str(" connect delay time 1;");
        }
        if let Some(password) = password {
            let _ = write!(text, " password \"{password}\";");
        }
        if *ttl_security {
            text.push_str(" ttl security on;");
        }
        if *multihop {
            text.push_str(" multihop 3;");
        }
        if let Some(Bfd {
            interval,
            multiplier,
        }) = bfd
        {
            let interval = interval.as_millis();
            let _ = write!(
                text,
                " bfd {{ min rx interval {interval} ms; min tx interval {interval} ms; \
                 multiplier {multiplier}; }};"
            );
        }
        let extended = if neighbour.extended_next_hop() {
            "extended next hop on; "
        } else {
            ""
        };
        let [four, six] = neighbour.carries();
        if four {
            let _ = write!(text, " ipv4 {{ {extended}import all; export none; }};");
        }
        if six {
            text.push_str(" ipv6 { import all; export none; };");
        }
        text.push_str(" }\n");
    }
    text
}

/// What a session is called there.
fn name(neighbour: IpAddr) -> String {
    format!("n{}", neighbour.to_string().replace(['.', ':'], "_"))
}

pub fn asked(files: &Files, words: &[&str]) -> Result<(bool, String)> {
    let output = files
        .netns
        .command("/usr/sbin/birdc")
        .arg("-s")
        .arg(files.path("bird.ctl"))
        .args(words)
        .output()?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.success(), shown))
}

pub(super) fn paths(files: &Files, prefix: &str) -> Result<Paths> {
    let (good, shown) = asked(files, &["-r", "show", "route", prefix, "all"])?;
    // That it knows no such prefix is an error to birdc, and an answer here.
    if !good && !shown.contains("Network not found") {
        bail!("birdc: {}", shown.trim());
    }
    let mut paths = Paths::new();
    for path in shown.split(" unicast [").skip(1) {
        let hop = path
            .lines()
            .find_map(|line| line.trim().strip_prefix("BGP.next_hop: "));
        if let Some(hop) = hop.and_then(|hops| hops.split_whitespace().next()) {
            paths.insert(hop.to_owned(), path.to_owned());
        }
    }
    Ok(paths)
}

pub(super) fn refresh(files: &Files, neighbour: IpAddr) -> Result<()> {
    let (good, shown) = asked(files, &["reload", "in", &name(neighbour)])?;
    anyhow::ensure!(good, "birdc: {}", shown.trim());
    Ok(())
}

pub(super) fn watched(files: &Files) -> Result<BTreeMap<IpAddr, Watched>> {
    let (good, shown) = asked(files, &["-r", "show", "bfd", "sessions"])?;
    anyhow::ensure!(good, "birdc: {}", shown.trim());
    let mut watched = BTreeMap::new();
    for line in shown.lines() {
        // Address, interface, state, since, interval and timeout in seconds; other lines begin otherwise.
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(address) = words.first().and_then(|word| word.parse().ok()) else {
            continue;
        };
        let [_, _, state, since, interval, _] = words[..] else {
            bail!("BIRD's line is of another form: {line}");
        };
        let seen = Watched {
            up: state == "Up",
            interval: Duration::from_secs_f64(interval.parse()?),
            mark: format!("{state} {since}"),
            said: line.to_owned(),
        };
        watched.insert(address, seen);
    }
    Ok(watched)
}
