//! What is measured on the lab, each with a command of its own: how long an address is dark after a
//! fault, what a planned move loses, who answers in a partition, what moves when nothing should, how fast
//! Services get their addresses, and how fast routers learn of routes.
//!
//! Scenarios ([`crate::scenarios`]) say whether something holds; these say how well, many times over.

pub mod alloc;
pub mod bgp;
pub mod calm;
mod crowd;
pub mod drain;
pub mod eviction;
pub mod failover;
mod hogs;
mod keepalived;
pub mod kills;
pub mod partition;
pub mod planner;
mod played;
mod scene;

use clap::{Args, ValueEnum};

/// How figures are given.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Output {
    /// Print the figures as one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Fail when a figure is not as wanted.
    #[arg(long)]
    pub strict: bool,
}

/// The speakers' timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// As shipped.
    Default,
    /// For nodes that grant real-time scheduling.
    Fast,
}
