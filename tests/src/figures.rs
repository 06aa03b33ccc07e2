//! Figures of a run, as a table for people or one JSON object a line for scripts.

use std::time::Duration;

use serde::Serialize;

/// Several measurements of one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Of every number here.
    pub unit: &'static str,
    /// How many measurements.
    pub runs: usize,
    /// The least.
    pub min: f64,
    /// The middle one (of an even number, the upper).
    pub median: f64,
    /// The one 95 % are not above.
    pub p95: f64,
    /// The greatest.
    pub max: f64,
    /// What the greatest may be; none where nothing was promised.
    pub wanted: Option<f64>,
    /// Whether it is.
    pub ok: bool,
}

impl Figure {
    /// From durations, in milliseconds.
    pub fn milliseconds(name: &str, measured: &[Duration], wanted: Option<Duration>) -> Self {
        let mut sorted: Vec<f64> = measured
            .iter()
            .map(|one| (one.as_secs_f64() * 1e4).round() / 10.0)
            .collect();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = (sorted.len() * percent)
                .div_ceil(100)
                .clamp(1, sorted.len().max(1))
                - 1;
            sorted.get(index).copied().unwrap_or_default()
        };
        let max = sorted.last().copied().unwrap_or_default();
        let wanted = wanted.map(|wanted| wanted.as_secs_f64() * 1e3);
        Self {
            name: name.to_owned(),
            unit: "ms",
            runs: sorted.len(),
            min: sorted.first().copied().unwrap_or_default(),
            median: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
            p95: at(95),
            max,
            wanted,
            ok: !sorted.is_empty() && wanted.is_none_or(|wanted| max <= wanted),
        }
    }
}

/// Prints figures; whether all are as wanted.
pub fn print(figures: &[Figure], json: bool) -> bool {
    if json {
        for figure in figures {
            println!("{}", serde_json::to_string(figure).unwrap_or_default());
        }
    } else if !figures.is_empty() {
        println!(
            "{:<44} {:>4} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "", "runs", "min", "median", "p95", "max", "wanted"
        );
        for figure in figures {
            let wanted = figure
                .wanted
                .map_or_else(|| "-".to_owned(), |wanted| format!("{wanted:.0}"));
            println!(
                "{:<44} {:>4} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {wanted:>10} {} {}",
                figure.name,
                figure.runs,
                figure.min,
                figure.median,
                figure.p95,
                figure.max,
                figure.unit,
                if figure.ok { "" } else { "NOT OK" }
            );
        }
    }
    figures.iter().all(|figure| figure.ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_ok_when_its_greatest_is_not_above_what_is_wanted() {
        let measured = [30, 10, 20].map(Duration::from_millis);
        let figure = Figure::milliseconds("x", &measured, Some(Duration::from_millis(30)));
        assert_eq!(
            (figure.min, figure.median, figure.p95, figure.max),
            (10.0, 20.0, 30.0, 30.0)
        );
        assert!(figure.ok);
        let strict = Figure::milliseconds("x", &measured, Some(Duration::from_millis(29)));
        assert!(!strict.ok);
        assert!(
            !Figure::milliseconds("x", &[], None).ok,
            "nothing measured is not ok"
        );
    }
}
