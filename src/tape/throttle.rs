//! Throttling as Intune does it: so many requests in a sliding window, by app and by tenant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// Limits within a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// How long the window is, in milliseconds.
    window: u64,
    /// The most POST, PUT, PATCH and DELETE requests of an app in a tenant, and of a tenant.
    writes: [usize; 2],
    /// The most requests of any method.
    all: Option<[usize; 2]>,
}

/// What Microsoft's documentation says of Intune's device configuration service
/// (<https://learn.microsoft.com/graph/throttling-limits#intune-service-limits>).
const INTUNE: Throttle = Throttle { window: 20_000, writes: [100, 200], all: Some([1000, 2000]) };

impl Throttle {
    /// Reads `none`, `intune`, or `WRITES/SECONDSs` such as `5/2s`, in which a tenant may have twice of it.
    ///
    /// # Errors
    /// Words for what is wrong.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        match text {
            "none" => return Ok(None),
            "intune" => return Ok(Some(INTUNE)),
            _ => {}
        }
        let own = text.split_once('/').and_then(|(writes, window)| {
            let writes: usize = writes.parse().ok().filter(|writes| (1..=100_000).contains(writes))?;
            let window: u64 = window.strip_suffix('s')?.parse().ok().filter(|seconds| (1..=3600).contains(seconds))?;
            Some(Self { window: window * 1000, writes: [writes, writes * 2], all: None })
        });
        own.map(Some).ok_or_else(|| {
            format!(
                "`{text}` is none of `none`, `intune` and WRITES/SECONDS, such as `5/2s` for five writes in two seconds"
            )
        })
    }
}

/// Whose request it is: digests of its token's app and tenant, which say no more than whether two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    app: u64,
    tenant: u64,
}

impl Caller {
    /// Who sends an `Authorization` header; all whose token does not say it are one.
    #[must_use]
    pub fn of(authorization: Option<&str>) -> Self {
        let claims = || -> Option<Value> {
            let (scheme, token) = authorization?.split_once(' ')?;
            let claims = token.trim().split('.').nth(1).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
            serde_json::from_slice(&BASE64.decode(claims.trim_end_matches('=')).ok()?).ok()
        };
        let claims = claims().unwrap_or_default();
        let claim = |name: &str| claims.get(name).and_then(Value::as_str);
        let digest = |claim: Option<&str>| claim.map_or(0, |claim| super::faults::drawn(&[claim.as_bytes()]));
        Self { app: digest(claim("appid").or(claim("azp"))), tenant: digest(claim("tid")) }
    }
}

/// The requests of a session that count.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// The times of the last requests, as many as a limit has: for writes or all, for a tenant, and for an app or all of it.
    last: HashMap<(bool, u64, Option<u64>), VecDeque<u64>>,
}

impl Windows {
    /// Counts a request at `now`, in milliseconds, and tells after how many seconds to ask again if it is one too many.
    ///
    /// A refused request counts too, as it does at Graph: who asks on and on is not let in.
    pub fn strike(&mut self, throttle: &Throttle, method: &str, caller: Caller, now: u64) -> Option<u32> {
        let writes = matches!(method, "POST" | "PUT" | "PATCH" | "DELETE").then_some((true, throttle.writes));
        let limits = writes.into_iter().chain(throttle.all.map(|all| (false, all)));
        let mut ready = now;
        for (writes, [app, tenant]) in limits {
            for (whose, most) in [(Some(caller.app), app), (None, tenant)] {
                let last = self.last.entry((writes, caller.tenant, whose)).or_default();
                let oldest = if last.len() == most { last.pop_front() } else { None };
                last.push_back(now);
                if oldest.is_some_and(|oldest| oldest + throttle.window > now) {
                    // Then the next of them is out of the window, this one counted.
                    ready = ready.max(last.front().copied().unwrap_or(now) + throttle.window);
                }
            }
        }
        let wait = (ready - now).div_ceil(1000);
        (wait > 0).then(|| u32::try_from(wait).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Caller = Caller { app: 1, tenant: 1 };

    fn posts(windows: &mut Windows, caller: Caller, times: impl IntoIterator<Item = u64>) -> Vec<Option<u32>> {
        times.into_iter().map(|now| windows.strike(&INTUNE, "POST", caller, now)).collect()
    }

    #[test]
    fn the_hundred_and_first_write_waits_until_there_is_room() {
        let mut windows = Windows::default();
        assert!(posts(&mut windows, A, (0..100).map(|n| n * 50)).iter().all(Option::is_none));
        assert_eq!(posts(&mut windows, A, [5000]), [Some(16)], "the second request leaves the window at 20.05 s");
        assert_eq!(windows.strike(&INTUNE, "GET", A, 5000), None, "reads have a limit of their own");
        assert_eq!(posts(&mut windows, A, [21_000]), [None]);
    }

    #[test]
    fn who_waits_as_long_as_told_is_let_in() {
        let mut windows = Windows::default();
        let mut now = 0;
        for _ in 0..1000 {
            while let Some(wait) = windows.strike(&INTUNE, "PATCH", A, now) {
                now += u64::from(wait) * 1000;
                assert_eq!(windows.clone().strike(&INTUNE, "PATCH", A, now), None, "at {now}");
            }
            now += 10;
        }
        assert!((180_000..240_000).contains(&now), "a thousand writes take about two hundred seconds, not {now} ms");
    }

    #[test]
    fn who_asks_on_and_on_is_not_let_in() {
        let mut windows = Windows::default();
        let told = posts(&mut windows, A, (0..10_000).map(|n| n * 10));
        assert!(told[..100].iter().all(Option::is_none) && told[100..].iter().all(Option::is_some));
    }

    #[test]
    fn apps_and_tenants_are_counted_apart() {
        let mut windows = Windows::default();
        let of = |app, tenant| Caller { app, tenant };
        for app in [1, 2] {
            assert!(posts(&mut windows, of(app, 1), [0; 100]).iter().all(Option::is_none));
        }
        assert_eq!(posts(&mut windows, of(3, 1), [0]), [Some(20)], "the tenant has had its two hundred");
        assert_eq!(posts(&mut windows, of(1, 2), [0]), [None]);
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let bearer = |claims: &str| format!("Bearer x.{}.", BASE64.encode(claims));
        let of = |claims: &str| Caller::of(Some(&bearer(claims)));
        assert_eq!(of(r#"{"appid":"a","tid":"t"}"#), of(r#"{"azp":"a","tid":"t"}"#));
        assert_ne!(of(r#"{"appid":"a","tid":"t"}"#), of(r#"{"appid":"b","tid":"t"}"#));
        for none in [None, Some("Bearer opaque"), Some("Basic a.b.c"), Some("Bearer a.%%.c"), Some("Bearer ")] {
            assert_eq!(Caller::of(none), Caller::default(), "{none:?}");
        }
    }

    #[test]
    fn limits_of_ones_own_are_read() {
        let own = Throttle { window: 2000, writes: [5, 10], all: None };
        assert_eq!(Throttle::parse("5/2s"), Ok(Some(own)));
        assert_eq!((Throttle::parse("none"), Throttle::parse("intune")), (Ok(None), Ok(Some(INTUNE))));
        for wrong in ["", "5", "0/2s", "5/0s", "5/2", "Intune", "5/2m", "-1/1s"] {
            assert!(Throttle::parse(wrong).is_err(), "{wrong}");
        }
    }
}
