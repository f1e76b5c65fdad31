//! Medians, and rows of the table.

use std::time::Duration;

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What is promised; empty where nothing is.
    pub bound: &'static str,
    /// What was found.
    pub found: String,
    /// Whether the bound holds; `None` where there is none.
    pub holds: Option<bool>,
    /// How: samples, and the absolute figures behind a ratio.
    pub how: String,
}

impl Row {
    /// A ratio with the most that it may be.
    pub fn ratio(what: &str, ratio: f64, most: Option<(f64, &'static str)>, how: String) -> Self {
        Self {
            what: what.to_owned(),
            bound: most.map_or("", |(_, text)| text),
            found: format!("{ratio:.2} ×"),
            holds: most.map(|(most, _)| ratio <= most),
            how,
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = match self.holds {
            Some(true) => " ✓",
            Some(false) => " ✗",
            None => "",
        };
        write!(f, "| {} | {} | {}{verdict} | {} |", self.what, self.bound, self.found, self.how)
    }
}

/// The value below which `part` of the samples lie.
pub fn quantile(samples: &[f64], part: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The middle one.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// The median of the ratios of samples that were taken in the same round.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

/// In microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// In milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
