//! How long a replayed answer takes: no time, the time that Graph took, or one that is drawn for the request.

use super::faults::drawn;
use super::matching::Key;

/// The longest latency that can be asked for, in milliseconds.
const LONGEST: u64 = 600_000;

/// How long answers take, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// As long as it takes to speak them.
    #[default]
    None,
    /// As long as Graph took, where that is on tape.
    Recorded,
    /// Between two times.
    Between(u64, u64),
}

impl Latency {
    /// Reads `none`, `recorded`, `100ms` or `50ms..200ms`; `s` stands for seconds.
    ///
    /// # Errors
    /// Words for what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" => return Ok(Self::None),
            "recorded" => return Ok(Self::Recorded),
            _ => {}
        }
        let wrong = || {
            let longest = LONGEST / 1000;
            format!(
                "`{text}` is none of `none`, `recorded`, a time such as `100ms` and a range such as `50ms..200ms`, up to {longest}s"
            )
        };
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = (millis(least.trim()).ok_or_else(wrong)?, millis(most.trim()).ok_or_else(wrong)?);
        if least <= most { Ok(Self::Between(least, most)) } else { Err(format!("`{text}` ends before it begins")) }
    }

    /// How long the answer to a request takes: `key` tells what request it is, `took` how long Graph took.
    #[must_use]
    pub fn of(self, seed: &str, took: Option<u64>, key: impl FnOnce() -> Key) -> u64 {
        match self {
            Self::None => 0,
            Self::Recorded => took.unwrap_or(0).min(LONGEST),
            Self::Between(least, most) if least == most => least,
            Self::Between(least, most) => least + drawn(&[b"latency", seed.as_bytes(), &key().0]) % (most - least + 1),
        }
    }
}

/// A time in milliseconds.
fn millis(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(unit).filter(|millis| *millis <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ranges_are_read() {
        for (text, latency) in [
            ("none", Latency::None),
            ("recorded", Latency::Recorded),
            ("100ms", Latency::Between(100, 100)),
            ("50ms..200ms", Latency::Between(50, 200)),
            ("50ms .. 2s", Latency::Between(50, 2000)),
            ("0ms", Latency::Between(0, 0)),
        ] {
            assert_eq!(Latency::parse(text), Ok(latency), "{text}");
        }
        let told = ["", "100", "50..200", "200ms..50ms", "1h", "-1ms", "601s", "always"]
            .map(|text| Latency::parse(text).unwrap_err());
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_range_is_used_all_over_and_draws_the_same_for_the_same_request() {
        let of = |n: u64, seed| Latency::Between(50, 59).of(seed, None, || Key(u128::from(n).to_le_bytes()));
        let drawn: std::collections::BTreeSet<u64> = (0..1000).map(|n| of(n, "a")).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), (50..60).collect::<Vec<_>>());
        assert_eq!((0..100).map(|n| of(n, "a")).collect::<Vec<_>>(), (0..100).map(|n| of(n, "a")).collect::<Vec<_>>());
        assert_ne!((0..100).map(|n| of(n, "a")).collect::<Vec<_>>(), (0..100).map(|n| of(n, "b")).collect::<Vec<_>>());
        assert_eq!(Latency::Recorded.of("", Some(7), || unreachable!("no draw")), 7);
    }
}
