//! The root certificate as the settings need it: opened or made, told of before it expires, renewed; trusted by the system.

use super::{Fault, say};
use crate::config::Config;
use crate::platform::{self, trust};
use crate::tape::graph;
use crate::wire::authority::Authority;
use crate::wire::root::{self, Public, Root};
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
    let dir = root::default_dir()?;
    let trusted = Public::current(&dir).filter(|old| old.trusted);
    if let Some(old) = &trusted {
        old.keep(&dir)?;
    }
    let root = Root::renew(&dir, &hosts, OffsetDateTime::now_utc())?;
    say(format!("made a new root certificate, {}, valid until {}", root.public_file().display(), root.last_day()));
    say(format!("it is good for {} and what is below them, and for loopback addresses", root.names().join(", ")));
    say(
        "trust it wherever the old one was trusted, and remove the old one there; a deck that runs keeps the old one to its end",
    );
    if trusted.is_some() {
        say(
            "this system still trusts the old one: `graphdeck ca --install` puts the new one in its place, `graphdeck ca --uninstall` takes it out",
        );
    }
    Ok(Authority::new(root)?)
}

/// An authority of its own, kept in `dir`, that nobody trusts yet.
pub(super) fn fresh(config: &Config, dir: &Path) -> Result<Authority, Fault> {
    Ok(Authority::new(Root::open(dir, &opened(config), OffsetDateTime::now_utc())?)?)
}

/// Makes the system trust the root, in the place of one that it replaced.
///
/// # Errors
/// When there is no root that can be used, or the system's tools do not do it.
pub fn install(config: &Config) -> Result<(), Fault> {
    not_by_sudo()?;
    let dir = root::default_dir()?;
    let root = open(config)?;
    let replaced = Public::replaced(&dir);
    let current = Public::current(&dir).expect("it was opened above");
    let system = system(root.public_file())?;
    // One that somebody took out already is not there to be taken out.
    let still: Vec<_> = replaced.iter().filter(|old| old.trusted).map(named).collect();
    let commands = system.install(&named(&current), &still, &trust::keychain());
    let what = format!("makes this system, and every program that asks it, trust {}", current.file.display());
    run(system, &what, &commands)?;
    replaced.map_or(Ok(()), Public::forget)?;
    say("done: programs that are running may have to be started anew; `graphdeck ca --uninstall` undoes it");
    Ok(())
}

/// Takes the root, and one that it replaced, out of the system's trust.
///
/// # Errors
/// When the system's tools do not do it.
pub fn uninstall() -> Result<(), Fault> {
    not_by_sudo()?;
    let dir = root::default_dir()?;
    let replaced = Public::replaced(&dir);
    let all: Vec<_> = Public::current(&dir).into_iter().chain(replaced.clone().filter(|old| old.trusted)).collect();
    if all.is_empty() {
        say(format!("there is no root certificate in {}, so none of it is trusted", dir.display()));
        return Ok(());
    }
    let system = system(&all[0].file)?;
    let commands = system.uninstall(&all.iter().map(named).collect::<Vec<_>>(), &trust::keychain());
    run(system, &format!("takes {} out of this system's trust", all[0].file.display()), &commands)?;
    replaced.map_or(Ok(()), Public::forget)?;
    say("done: programs that are running may have to be started anew");
    Ok(())
}

fn named(public: &Public) -> trust::Certificate {
    trust::Certificate { file: public.file.clone(), name: public.name.clone() }
}

fn system(file: &Path) -> Result<trust::System, Fault> {
    trust::System::here().ok_or_else(|| trust::Fault::NoTool(file.to_owned()).into())
}

/// Says what the commands do and which they are, and runs them; who may not is told to.
fn run(system: trust::System, what: &str, commands: &[Vec<String>]) -> Result<(), Fault> {
    if system.takes_root() && !platform::is_root() {
        return Err(trust::Fault::NotRoot { what: what.to_owned(), commands: commands.to_vec() }.into());
    }
    say(format!("this {what}, by{}", trust::lines(commands, "")));
    Ok(trust::run(commands)?)
}

/// Sees that the root certificate is not that of root, when it is its user's that is meant.
fn not_by_sudo() -> Result<(), Fault> {
    match std::env::var("SUDO_USER") {
        Ok(user) if user != "root" && !user.is_empty() => Err(trust::Fault::Sudo(user).into()),
        _ => Ok(()),
    }
}

/// The hosts that the deck opens with these settings.
fn opened(config: &Config) -> Vec<String> {
    let sign_in = graph::SIGN_IN_HOSTS.map(str::to_owned);
    config.hosts.iter().chain([&config.reverse]).cloned().chain(sign_in).collect()
}
