//! How many instances are enough.

use std::str::FromStr;

use derive_more::{Display, Error};

/// How many of the instances that were asked must have taken a change.
///
/// ```
/// use kvconf::fleet::Share;
///
/// assert_eq!("95%".parse(), Ok(Share::percent(95.0).unwrap()));
/// assert_eq!("all".parse(), Ok(Share::ALL));
/// assert_eq!(Share::percent(95.0).unwrap().of(21), 20); // rounded up
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[display("{}%", f64::from(*hundredths) / 100.0)]
pub struct Share {
    /// Of a percent.
    hundredths: u32,
}

/// Why a text or a number is no share.
#[derive(Debug, Clone, PartialEq, Eq, Display, Error)]
#[display("{found:?} is no share: `all`, or a percentage above 0 and up to 100, such as `95%`")]
pub struct ShareError {
    /// What was given.
    found: String,
}

impl Share {
    /// All of them.
    pub const ALL: Self = Self { hundredths: 10_000 };

    /// So many in a hundred, to two places after the point.
    ///
    /// # Errors
    /// [`ShareError`] unless it is above 0 and at most 100.
    pub fn percent(percent: f64) -> Result<Self, ShareError> {
        let hundredths = (percent * 100.0).round();
        if (1.0..=10_000.0).contains(&hundredths) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10 000")]
            return Ok(Self { hundredths: hundredths as u32 });
        }
        Err(ShareError { found: format!("{percent}%") })
    }

    /// How many of so many instances that is, rounded up.
    #[must_use]
    pub const fn of(self, instances: usize) -> usize {
        let wanted = (instances as u128 * self.hundredths as u128).div_ceil(10_000);
        // At most as many as there are.
        wanted as usize
    }
}

/// All of them.
impl Default for Share {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromStr for Share {
    type Err = ShareError;
    fn from_str(text: &str) -> Result<Self, ShareError> {
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("all") {
            return Ok(Self::ALL);
        }
        let number = trimmed.strip_suffix('%').map(str::trim_end);
        let percent = number.and_then(|number| number.parse::<f64>().ok());
        percent
            .and_then(|percent| Self::percent(percent).ok())
            .ok_or_else(|| ShareError { found: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_and_exact() {
        for (share, of, wanted) in [
            ("95%", 20, 19),
            ("95%", 21, 20),
            ("0.01%", 1, 1),
            ("50%", 0, 0),
            ("all", 1_000, 1_000),
            ("99.5 %", 1_000, 995),
        ] {
            assert_eq!(share.parse::<Share>().unwrap().of(of), wanted, "{share} of {of}");
        }
        assert_eq!("99.5%".parse::<Share>().unwrap().to_string(), "99.5%");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "95", "0%", "101%", "-1%", "NaN%", "inf%", "some"] {
            let error = text.parse::<Share>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{text:?} is no share: `all`, or a percentage above 0 and up to 100, such as `95%`")
            );
        }
    }
}
