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
        if options.loss > 0 {
            lab.topology.lose(options.loss)?;
        }
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
    let mut figures = Vec::from(figures("calm", &asked, addresses.len()));
    lab.whole()?;
    figures.extend(returning(lab, &addresses)?);
    Ok(figures)
}

/// A node dies, its addresses go to others, it returns: from then on nothing moves.
fn returning(lab: &mut Lab, addresses: &[Ipv4Addr]) -> Result<[Figure; 3]> {
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
fn figures(title: &str, asked: &Asked, addresses: usize) -> [Figure; 3] {
    let moves: Vec<f64> = (0..addresses)
        .map(|about| asked.owners(about).len().saturating_sub(1))
        .map(|moves| u32::try_from(moves).unwrap_or(u32::MAX).into())
        .collect();
    let unheard = (0..addresses).filter(|about| asked.owners(*about).is_empty());
    let unheard = u32::try_from(unheard.count()).unwrap_or(u32::MAX);
    let doubled = asked.doubled();
    [
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::asker::{Mac, Question};

    #[test]
    fn each_change_of_who_answers_is_a_move_and_a_lost_answer_is_none() {
        let (one, two): (Mac, Mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let answers = [
            (0, Some(one)),
            (1, Some(two)),
            (0, None),
            (1, Some(one)),
            (0, Some(one)),
            (1, Some(two)),
        ];
        let questions = (0..).zip(answers).map(|(n, (about, mac))| Question {
            at: Duration::from_millis(5 * n),
            about,
            answers: mac.into_iter().collect::<BTreeSet<Mac>>(),
        });
        let asked = Asked {
            questions: questions.collect(),
            interval: Duration::from_millis(10),
        };
        let [moves, unheard, doubled] = figures("x", &asked, 3);
        assert_eq!((moves.runs, moves.min, moves.max), (3, 0.0, 2.0));
        assert_eq!(unheard.max, 1.0, "nobody answers for the third");
        assert!(!moves.ok && !unheard.ok && doubled.ok);
    }
}
