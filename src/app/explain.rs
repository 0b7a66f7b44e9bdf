//! What would answer a request, without a run: `graphdeck explain`.

use super::Fault;
use super::opening::Opening;
use crate::config::Config;
use crate::session::report::Mode;
use crate::session::sessions::Name;
use crate::tape::{differences, request_text};
use std::io::Read;
use std::path::Path;

/// The largest file of requests that is read, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Says of each request in a file what would answer it, and why, or why nothing would; and whether all are answered.
/// They are asked one after another, as in one run.
///
/// # Errors
/// When the cassette or the file cannot be used.
pub fn explain(config: &Config, name: &str, file: &Path) -> Result<(String, bool), Fault> {
    let unreadable = |source| Fault::File { path: file.to_owned(), what: "read", source };
    let mut text = String::new();
    let opened: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(unreadable)?),
    };
    opened.take(LIMIT).read_to_string(&mut text).map_err(unreadable)?;
    let requests = request_text::parse(&text)
        .map_err(|why| Fault::Flag { flag: "FILE", why: format!("{}: {why}", file.display()) })?;
    let player = Opening::new(config.clone(), Mode::Replay, name, None).player(&Name::default())?;
    let (mut told, mut all) = (Vec::new(), true);
    for request in requests {
        let request = player.taped(request);
        let line = format!("{} {}", request.method, request.url());
        match player.answer(&request) {
            Ok(answer) => {
                let rules =
                    answer.allowed.iter().map(|rule| format!(", by the rule for `{}`", player.rule_name(*rule)));
                let rules: String = rules.collect();
                let body = String::from_utf8_lossy(answer.response.body());
                let body = if body.is_empty() { String::new() } else { format!("\n  {}", differences::shorten(&body)) };
                let (exchange, status) = (answer.exchange, answer.response.status().as_u16());
                told.push(format!("{line}\n  is answered by exchange {exchange}{rules}: {status}{body}"));
            }
            Err(miss) => {
                all = false;
                told.push(miss.to_string());
            }
        }
    }
    Ok((told.join("\n\n") + "\n", all))
}
