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
    /// What the middle one may be, where that was promised too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_median: Option<f64>,
    /// Whether both are.
    pub ok: bool,
}

impl Figure {
    /// From durations, in milliseconds.
    pub fn milliseconds(name: &str, measured: &[Duration], wanted: Option<Duration>) -> Self {
        let values: Vec<f64> = measured
            .iter()
            .map(|one| (one.as_secs_f64() * 1e4).round() / 10.0)
            .collect();
        Self::new(
            name,
            "ms",
            &values,
            wanted.map(|one| one.as_secs_f64() * 1e3),
        )
    }

    /// From numbers of any unit.
    pub fn new(name: &str, unit: &'static str, values: &[f64], wanted: Option<f64>) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        let max = sorted.last().copied().unwrap_or_default();
        Self {
            name: name.to_owned(),
            unit,
            runs: sorted.len(),
            min: sorted.first().copied().unwrap_or_default(),
            median: sorted.get(sorted.len() / 2).copied().unwrap_or_default(),
            p95: at(95),
            max,
            wanted,
            wanted_median: None,
            ok: !sorted.is_empty() && wanted.is_none_or(|wanted| max <= wanted),
        }
    }

    /// With a wish for the middle one too.
    #[must_use]
    pub fn with_median(self, wanted: f64) -> Self {
        Self {
            wanted_median: Some(wanted),
            ok: self.ok && self.median <= wanted,
            ..self
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
        let names = figures.iter().map(|figure| figure.name.chars().count());
        let width = names.max().unwrap_or_default();
        println!(
            "{:<width$} {:>4} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "", "runs", "min", "median", "p95", "max", "wanted"
        );
        for figure in figures {
            let wanted = match (figure.wanted_median, figure.wanted) {
                (Some(median), Some(max)) => format!("{median:.0}/{max:.0}"),
                (Some(median), None) => format!("{median:.0}/-"),
                (None, Some(max)) => format!("{max:.0}"),
                (None, None) => "-".to_owned(),
            };
            println!(
                "{:<width$} {:>4} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {wanted:>10} {} {}",
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
        let typical = figure.clone().with_median(20.0);
        assert!(typical.ok);
        assert!(!figure.with_median(19.0).ok, "the middle one is above");
        assert!(
            !Figure::milliseconds("x", &[], None).ok,
            "nothing measured is not ok"
        );
    }
}
