//! The root certificate as the settings need it: opened or made, told of before it expires, renewed.

use super::{Fault, say};
use crate::config::Config;
use crate::platform;
use crate::tape::graph;
use crate::wire::authority::Authority;
use crate::wire::root::{self, Root};
use std::path::Path;
use time::OffsetDateTime;

/// Opens the certificate authority, and sees that it is good for every host that the settings let the deck open.
///
/// What is made where there is none is good for the hosts of the shipped settings alone: a `config.toml` that came with
/// somebody's repository does not widen what people trust. [`renew`] does, and says so.
///
/// # Errors
/// When the root cannot be used, or is not good for a host of the settings.
pub fn open(config: &Config) -> Result<Authority, Fault> {
    let now = OffsetDateTime::now_utc();
    let root = Root::open(&root::default_dir()?, &opened(&Config::default()), now)?;
    root.covers(&opened(config))?;
    if !platform::is_private(root.key_file()) {
        let file = root.key_file().display();
        say(format!(
            "warning: others can read {file}, which holds a key: `chmod 600` it, and if somebody may have read it, `graphdeck ca --renew`"
        ));
    }
    if let Some(days) = root.days_left(now) {
        say(format!(
            "warning: the root certificate expires on {}, in {days} days: `graphdeck ca --renew` makes a new one, to be trusted in its place",
            root.last_day()
        ));
    }
    Ok(Authority::new(root)?)
}

/// Makes a new root for the hosts of the shipped settings and of these, in the place of any other.
///
/// # Errors
/// When it cannot be made or written.
pub fn renew(config: &Config) -> Result<Authority, Fault> {
    let mut hosts = opened(&Config::default());
    hosts.extend(opened(config));
    let root = Root::renew(&root::default_dir()?, &hosts, OffsetDateTime::now_utc())?;
    say(format!("made a new root certificate, {}, valid until {}", root.public_file().display(), root.last_day()));
    say(format!("it is good for {} and what is below them, and for loopback addresses", root.names().join(", ")));
    say(
        "trust it wherever the old one was trusted, and remove the old one there; a deck that runs keeps the old one to its end",
    );
    Ok(Authority::new(root)?)
}

/// An authority of its own, kept in `dir`, that nobody trusts yet.
pub(super) fn fresh(config: &Config, dir: &Path) -> Result<Authority, Fault> {
    Ok(Authority::new(Root::open(dir, &opened(config), OffsetDateTime::now_utc())?)?)
}

/// The hosts that the deck opens with these settings.
fn opened(config: &Config) -> Vec<String> {
    let sign_in = graph::SIGN_IN_HOSTS.map(str::to_owned);
    config.hosts.iter().chain([&config.reverse]).cloned().chain(sign_in).collect()
}
