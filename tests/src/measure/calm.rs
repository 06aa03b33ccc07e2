//! Nothing happens, and nothing moves: a busy machine, frames lost, a node that returns.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::Output;
use super::hogs::Hogs;
use super::scene::{address, asker, linger};
use crate::asker::{Asked, Asker};
use crate::clock::Stopwatch;
use crate::figures::Figure;
use crate::lab::Lab;
use crate::services::{PATIENCE, Wanted};
use crate::standin::NOTICED;
use crate::telling::tell;

/// What is asked for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// How long nothing happens.
    #[arg(long, default_value_t = 3_600)]
    pub seconds: u64,
    /// How many addresses are watched.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=40))]
    pub addresses: u8,
    /// How many of a hundred frames are lost.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=50))]
    pub loss: u8,
    /// How many busy loops run beside.
    #[arg(long, default_value_t = 4)]
    pub busy: usize,
    /// How figures are given.
    #[command(flatten)]
    pub output: Output,
}

/// Measures on a lab with Herald installed.
pub fn measure(lab: &mut Lab, options: &Options) -> Result<Vec<Figure>> {
    let addresses: Vec<Ipv4Addr> = (0..usize::from(options.addresses)).map(address).collect();
    for (number, address) in addresses.iter().enumerate() {
        let wanted = Wanted::single(&format!("calm-{number}"), "IPv4").at((*address).into());
        lab.create_service(&wanted)?;
        lab.wait_for_addresses(&wanted)?;
    }
    for address in &addresses {
        lab.wait_for_page((*address).into())?;
    }
    tell(&format!(
        "{} addresses, {} busy loops, {} % of the frames lost, for {} s",
        options.addresses, options.busy, options.loss, options.seconds
    ));
    let asked = {
        let _hogs = Hogs::start(options.busy);
        let asker = start(lab, &addresses)?;
        lab.topology.lose(options.loss)?;
        linger(Duration::from_secs(options.seconds));
        let asked = asker.finish();
        lab.topology.mend()?;
        asked?
    };
    let unanswered = asked.questions.iter().filter(|one| one.answers.is_empty());
    tell(&format!(
        "{} of {} questions were not answered: lost on the way there or back",
        unanswered.count(),
        asked.questions.len()
    ));
    let mut figures = figures("calm", &asked, addresses.len());
    lab.whole()?;
    figures.extend(returning(lab, &addresses)?);
    Ok(figures)
}

/// A node dies, its addresses go to others, it returns: from then on nothing moves.
fn returning(lab: &mut Lab, addresses: &[Ipv4Addr]) -> Result<Vec<Figure>> {
    let Some(first) = addresses.first() else {
        bail!("nothing is watched")
    };
    let node = lab.settled_owner("calm-0", (*first).into())?;
    lab.kill(node)?;
    lab.wait("nobody takes the addresses over", NOTICED, |lab| {
        let mut taken = true;
        for (number, address) in addresses.iter().enumerate() {
            taken &= lab.reported_owner(&format!("calm-{number}"), (*address).into())? != node;
        }
        Ok(taken)
    })?;
    let asker = start(lab, addresses)?;
    lab.wait("an address is not answered for", PATIENCE, |_| {
        Ok(!asker.answering(Duration::from_millis(100)).is_empty())
    })?;
    lab.revive(node)?;
    lab.whole()?;
    linger(Duration::from_secs(10));
    Ok(figures("a node returns", &asker.finish()?, addresses.len()))
}

fn start(lab: &mut Lab, addresses: &[Ipv4Addr]) -> Result<Asker> {
    let (machine, name) = asker(lab)?;
    Asker::start(&machine, Stopwatch::start(), name, addresses)
}

/// How often each address moved, and how long two answered.
fn figures(title: &str, asked: &Asked, addresses: usize) -> Vec<Figure> {
    let moves: Vec<f64> = (0..addresses)
        .map(|about| asked.owners(about).len().saturating_sub(1))
        .map(|moves| u32::try_from(moves).unwrap_or(u32::MAX).into())
        .collect();
    let unheard = (0..addresses).filter(|about| asked.owners(*about).is_empty());
    let unheard = u32::try_from(unheard.count()).unwrap_or(u32::MAX);
    let doubled = asked.doubled();
    vec![
        Figure::new(
            &format!("{title}: moves of an address"),
            "",
            &moves,
            Some(0.0),
        ),
        Figure::new(
            &format!("{title}: addresses nobody answered for"),
            "",
            &[unheard.into()],
            Some(0.0),
        ),
        Figure::milliseconds(
            &format!("{title}: two answer"),
            &[doubled],
            Some(Duration::ZERO),
        ),
    ]
}
