//! Durations as people write them: `90s`, `1h30m`, `8h`.

use std::time::Duration;

/// What is wrong with a duration's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DurationError {
    /// A number without a unit.
    NoUnit,
    /// Something else than numbers with units, from the longest to the shortest.
    Form,
    /// More than can be counted.
    TooLong,
}

const UNITS: &[(char, u64)] = &[('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut units = UNITS;
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(DurationError::Form);
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at_checked(digits).ok_or(DurationError::Form)?;
        if number.is_empty() {
            return Err(DurationError::Form);
        }
        let mut letters = behind.chars();
        let unit = letters.next().ok_or(DurationError::NoUnit)?;
        let at = units.iter().position(|(letter, _)| *letter == unit).ok_or(DurationError::Form)?;
        let (_, seconds) = units.get(at).ok_or(DurationError::Form)?;
        units = units.get(at.saturating_add(1)..).unwrap_or_default();
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        total = number.checked_mul(*seconds).and_then(|part| total.checked_add(part)).ok_or(DurationError::TooLong)?;
        rest = letters.as_str();
    }
    Ok(Duration::from_secs(total))
}

/// A duration as `parse` reads it; parts of a second are left out.
pub fn shown(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut text = String::new();
    for (letter, seconds) in UNITS {
        let count = rest.checked_div(*seconds).unwrap_or(0);
        rest = rest.checked_rem(*seconds).unwrap_or(0);
        if count > 0 {
            text.push_str(&format!("{count}{letter}"));
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in
            [("90s", 90), ("1h", 3600), ("8h30m", 30600), ("1d", 86400), ("1h30m5s", 5405), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for (text, error) in [
            ("", DurationError::Form),
            ("3600", DurationError::NoUnit),
            ("1h30", DurationError::NoUnit),
            ("h", DurationError::Form),
            ("1w", DurationError::Form),
            ("30m1h", DurationError::Form),
            ("1h1h", DurationError::Form),
            ("-1s", DurationError::Form),
            ("1.5h", DurationError::Form),
            ("99999999999999999999s", DurationError::TooLong),
            ("9999999999999999999d", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_duration_reads_as_it_was_written() {
        for text in ["90s", "1h", "8h30m", "1d", "0s"] {
            let duration = parse(text).unwrap();
            assert_eq!(parse(&shown(duration)), Ok(duration));
        }
        assert_eq!(shown(Duration::from_secs(30600)), "8h30m");
        assert_eq!(shown(Duration::from_secs(90)), "1m30s");
    }
}
