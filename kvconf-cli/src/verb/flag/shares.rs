//! From shares as people write them to weights. Pure.

use std::fmt;

use kvconf::flag::{DefaultVariant, FlagDefinition};
use serde_json::Value as Json;

/// A share of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Weight(u32),
    /// In thousandths of a percent.
    Percent(u32),
}

/// All of it, in thousandths of a percent.
const WHOLE: u32 = 100_000;

/// Why shares cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, derive_more::Display, derive_more::Error)]
pub(super) enum ShareError {
    #[display("either all shares are percentages or none is")]
    Mixed,
    #[display("{_0} are more than all")]
    TooMuch(#[error(not(source))] Percentage),
    #[display("nobody gets the {_0} that are left: the flag has no default variant besides those named")]
    NobodyLeft(#[error(not(source))] Percentage),
}

/// `12.5 %`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Percentage(u64);

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// `on=20%` or `on=1`.
pub(super) fn parse(text: &str) -> Result<(String, Share), String> {
    let (variant, share) = text.rsplit_once('=').ok_or("expected VARIANT=SHARE, such as on=20%")?;
    let share = match share.strip_suffix('%') {
        Some(percent) => Share::Percent(
            thousandths(percent).ok_or_else(|| format!("{share:?} is no percentage up to 100%"))?,
        ),
        None => Share::Weight(share.parse().map_err(|_| format!("the weight {share:?} is no whole number"))?),
    };
    Ok((variant.to_owned(), share))
}

/// Up to three places behind the point.
fn thousandths(percent: &str) -> Option<u32> {
    let (whole, places) = percent.split_once('.').unwrap_or((percent, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(places) || places.len() > 3 || whole.len() > 3 {
        return None;
    }
    let places: u32 = format!("{places:0<3}").parse().ok()?;
    Some(whole.parse::<u32>().ok()? * 1_000 + places).filter(|percent| *percent <= WHOLE)
}

/// The weights of these shares in this flag. Of percentages the default variant gets what is left, and where the flag has
/// such shares already they stay in their order: another one would move more people than it has to.
pub(super) fn weights(
    flag: &FlagDefinition,
    shares: &[(String, Share)],
) -> Result<Vec<(String, u32)>, ShareError> {
    let mut percentages = Vec::new();
    let mut weights = Vec::new();
    for (variant, share) in shares {
        match share {
            Share::Weight(weight) => weights.push((variant.clone(), *weight)),
            Share::Percent(percent) => percentages.push((variant.clone(), *percent)),
        }
    }
    match (percentages.is_empty(), weights.is_empty()) {
        (true, _) => return Ok(weights),
        (false, false) => return Err(ShareError::Mixed),
        (false, true) => {}
    }
    let sum: u64 = percentages.iter().map(|(_, percent)| u64::from(*percent)).sum();
    let left = u64::from(WHOLE).checked_sub(sum).ok_or(ShareError::TooMuch(Percentage(sum)))?;
    let is_named = |variant: &str| shares.iter().any(|(named, _)| named == variant);
    match flag.default_variant() {
        DefaultVariant::Named(default) if !is_named(default) => {
            percentages.push((default.clone(), u32::try_from(left).unwrap_or_default()));
        }
        _ if left > 0 => return Err(ShareError::NobodyLeft(Percentage(left))),
        _ => {}
    }
    let order = flag.targeting().map(order).unwrap_or_default();
    let place = |variant: &str| order.iter().position(|known| known == variant);
    if percentages.iter().all(|(variant, _)| place(variant).is_some()) {
        percentages.sort_by_key(|(variant, _)| place(variant));
    }
    // In the roundest numbers that are exact.
    let unit =
        [1_000, 100, 10].into_iter().find(|unit| percentages.iter().all(|(_, percent)| percent % unit == 0));
    let unit = unit.unwrap_or(1);
    Ok(percentages.into_iter().map(|(variant, percent)| (variant, percent / unit)).collect())
}

/// The variants of the first shares in a rule, in their order.
fn order(rule: &Json) -> Vec<String> {
    match rule {
        Json::Object(entries) => match entries.get("fractional").and_then(Json::as_array) {
            Some(shares) => {
                let names = shares.iter().filter_map(|share| share.as_array()?.first()?.as_str());
                names.map(str::to_owned).collect()
            }
            None => entries.values().map(order).find(|order| !order.is_empty()).unwrap_or_default(),
        },
        Json::Array(items) => items.iter().map(order).find(|order| !order.is_empty()).unwrap_or_default(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(rule: &str) -> FlagDefinition {
        let variants = r#"{"on": true, "off": false, "beta": true}"#;
        let text = format!(
            r#"{{"state": "ENABLED", "variants": {variants}, "defaultVariant": "off", "targeting": {rule}}}"#
        );
        FlagDefinition::parse(&text).unwrap()
    }

    fn weighed(rule: &str, shares: &[&str]) -> Result<String, String> {
        let shares: Vec<_> = shares.iter().map(|share| parse(share)).collect::<Result<_, _>>()?;
        let weights = weights(&flag(rule), &shares).map_err(|error| error.to_string())?;
        Ok(weights
            .iter()
            .map(|(variant, weight)| format!("{variant} {weight}"))
            .collect::<Vec<_>>()
            .join(", "))
    }

    #[test]
    fn the_default_variant_gets_what_percentages_leave() {
        assert_eq!(weighed("{}", &["on=20%"]), Ok("on 20, off 80".to_owned()));
        assert_eq!(weighed("{}", &["on=100%"]), Ok("on 100, off 0".to_owned()));
        assert_eq!(weighed("{}", &["on=12.5%", "beta=0.25%"]), Ok("on 1250, beta 25, off 8725".to_owned()));
        assert_eq!(weighed("{}", &["on=30%", "off=70%"]), Ok("on 30, off 70".to_owned()));
        assert_eq!(weighed("{}", &["on=1", "off=2"]), Ok("on 1, off 2".to_owned()));
    }

    #[test]
    fn shares_that_are_there_stay_in_their_order() {
        let rule = r#"{"if": [{"var": "a"}, {"fractional": [{"var": "email"}, ["off", 90], ["on", 10]]}]}"#;
        assert_eq!(weighed(rule, &["on=20%"]), Ok("off 80, on 20".to_owned()));
        assert_eq!(weighed(rule, &["beta=20%"]), Ok("beta 20, off 80".to_owned()));
    }

    #[test]
    fn what_cannot_be_given_is_told() {
        let told = |shares: &[&str]| weighed("{}", shares).unwrap_err();
        assert_eq!(told(&["on=20%", "off=1"]), "either all shares are percentages or none is");
        assert_eq!(told(&["on=60%", "beta=60%"]), "120 % are more than all");
        let left = "nobody gets the 0.5 % that are left: the flag has no default variant besides those named";
        assert_eq!(told(&["off=99.5%"]), left);
        assert_eq!(told(&["on"]), "expected VARIANT=SHARE, such as on=20%");
        assert_eq!(told(&["on=x"]), "the weight \"x\" is no whole number");
        for wrong in ["on=101%", "on=-1%", "on=%", "on=1.2345%", "on=1.%", "on=1e1%"] {
            let share = wrong.trim_start_matches("on=");
            assert_eq!(told(&[wrong]), format!("{share:?} is no percentage up to 100%"));
        }
    }
}
