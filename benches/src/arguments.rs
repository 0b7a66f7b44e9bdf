//! Words of a command line: `--name value`, `--name`, and the rest.

use crate::Fault;
use std::collections::HashMap;
use std::str::FromStr;

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) plain: Vec<String>,
    named: HashMap<String, String>,
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Self {
        let mut found = Self::default();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                None => found.plain.push(word),
                Some(name) => {
                    let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
                    found.named.insert(name.to_owned(), value);
                }
            }
        }
        found
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    pub(crate) fn needed<T: FromStr>(&self, name: &str) -> Result<T, Fault> {
        let text = self.text(name).ok_or_else(|| format!("--{name} is missing"))?;
        text.parse().map_err(|_| format!("--{name} {text} makes no sense").into())
    }

    pub(crate) fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T, Fault> {
        if self.has(name) { self.needed(name) } else { Ok(default) }
    }
}
