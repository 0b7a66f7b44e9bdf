//! Files of other tools, made into cassettes: all of a file or nothing, and nothing of its secrets.

use super::Fault;
use super::progress::Progress;
use super::sealing::as_cassette;
use crate::config::Config;
use crate::formats::{File, Left, Origin};
use crate::tape::cassette::Cassette;
use crate::tape::exchange::{Exchange, Headers};
use crate::tape::secrets::Secrets;
use crate::tape::{batch, redact, row, scribe};
use crate::wire::coding;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

/// How many entries are told one by one that are left for one reason.
const TOLD: usize = 10;

/// The longest address that is told, in characters.
const LONGEST: usize = 160;

/// The cassette that a file of another tool makes, and what is to be said of it.
pub(super) fn cassette(config: &Config, path: &Path, text: &str) -> Result<(Cassette, String), Fault> {
    let fault = |why: String| Fault::Import { path: path.to_owned(), why };
    let file = File::parse(text).map_err(|why| fault(why.to_string()))?;
    let format = file.format();
    let mut found = file.read(&config.hosts).map_err(|why| fault(format!("taken for {format}: {why}")))?;
    let progress = Progress::of(&format!("importing {}", path.display()), found.exchanges.len());
    let mut taped = Vec::new();
    for (number, exchange) in std::mem::take(&mut found.exchanges) {
        let (method, url) = (exchange.request.method.clone(), exchange.request.url());
        match standing_alone(exchange, config.body_limit) {
            Ok(parts) => {
                for one in parts {
                    let one = scribe::tape_exchange(one, config.rules.secrets());
                    // What a cassette cannot hold is told by its entry.
                    row::write(&one).map_err(|why| fault(format!("taken for {format}: entry {number}: {why}")))?;
                    taped.push(one);
                }
            }
            Err(why) => found.left.push(Left { entry: number, method, url, why, whole: true }),
        }
        progress.step();
    }
    let left: Vec<String> = list(&found.left, config.rules.secrets());
    let left: String = left.iter().fold(String::new(), |text, line| text + "\n  " + line);
    if taped.is_empty() {
        let none = match found.entries {
            0 => "there is nothing in it".to_owned(),
            1 => "its one entry cannot be carried over".to_owned(),
            count => format!("none of its {count} entries can be carried over"),
        };
        return Err(fault(format!("taken for {format}: {none}{left}")));
    }
    let cassette = match found.origin {
        // Its ids are other ones where stand-ins take the place of people.
        Some(Origin { ids, people }) if !config.rules.ids().people => scribe::seal_with(&taped, &ids, people),
        _ => as_cassette(taped, config)?,
    };
    let lost: HashSet<_> = found.left.iter().filter(|left| left.whole).map(|left| left.entry).collect();
    Ok((cassette, format!(", taken for {format}: {} of {} entries{left}", found.entries - lost.len(), found.entries)))
}

/// What an entry holds: its exchange, or of a batch each part that was answered, since a replay opens every batch.
fn standing_alone(exchange: Exchange, limit: usize) -> Result<Vec<Exchange>, String> {
    let exchange = decoded(exchange, limit)?;
    let parts = batch::exchanges(&exchange).unwrap_or_else(|| vec![exchange]);
    if parts.is_empty() { Err("no request of this batch has an answer in it".to_owned()) } else { Ok(parts) }
}

/// An exchange whose bodies are as they were meant. Some tools keep them as they came, and others decode them and keep
/// the header that says how they came: what is text is decoded already.
fn decoded(mut exchange: Exchange, limit: usize) -> Result<Exchange, String> {
    let plain = |headers: &Headers, body: &mut Bytes, whose: &str| {
        if let Some(codings) = headers.get("content-encoding").filter(|_| std::str::from_utf8(body).is_err()) {
            let fault = |why| format!("the body of its {whose} cannot be decoded: {why}");
            *body = coding::decode(codings, std::mem::take(body), limit).map_err(fault)?;
        }
        Ok::<_, String>(())
    };
    let Exchange { request, response, .. } = &mut exchange;
    plain(&request.headers, &mut request.body, "request")?;
    plain(&response.headers, &mut response.body, "answer")?;
    Ok(exchange)
}

/// What was left, a line each, and of many for one reason the first ones.
fn list(left: &[Left], secrets: &Secrets) -> Vec<String> {
    let mut count: HashMap<(bool, &str), usize> = HashMap::new();
    let mut lines = Vec::new();
    for Left { entry, method, url, why, whole } in left {
        let told = count.entry((*whole, why)).or_default();
        *told += 1;
        if *told <= TOLD {
            let what = if *whole { "left out" } else { "carried over in part" };
            lines.push(format!(
                "entry {entry}, {} {}: {what}: {why}",
                redact::shown(method, secrets),
                address(url, secrets)
            ));
        }
    }
    let mut more: Vec<_> = count.into_iter().filter(|(_, told)| *told > TOLD).collect();
    more.sort_unstable();
    for ((whole, why), told) in more {
        let mut line = String::new();
        let what = if whole { "left out" } else { "carried over in part" };
        write!(line, "and {} more entries are {what}: {why}", told - TOLD).expect("a text takes a line");
        lines.push(line);
    }
    lines
}

/// An address as it may be shown: no query, which may hold anything, and nobody's name and password.
fn address(url: &str, secrets: &Secrets) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = match path.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
        Some((scheme, (authority, path))) => {
            format!("{scheme}://{}/{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => path.to_owned(),
    };
    let shown = redact::shown(&path, secrets);
    match shown.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &shown[..at]),
        None => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_what_may_be_secret() {
        for (url, told) in [
            ("https://graph.microsoft.com/v1.0/users/*?$top=1", "https://graph.microsoft.com/v1.0/users/*"),
            ("https://me:Hunter2@h:8/a#Hunter2", "https://h:8/a"),
            ("https://h", "https://h/"),
            ("/a\u{1b}[1m?x", "/a\u{fffd}[1m"),
            ("https://h/eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", "https://h/REDACTED"),
        ] {
            assert_eq!(address(url, &Secrets::default()), told, "{url}");
        }
        assert_eq!(address(&"ä".repeat(500), &Secrets::default()).chars().count(), LONGEST + 1);
    }
}
