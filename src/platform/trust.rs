//! The system's own trust store: which commands of its own tools put a root into it and take it out, and running them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian's tool looks for roots that did not come with the system.
const DEBIAN_FILE: &str = "/usr/local/share/ca-certificates/graphdeck.crt";
/// What Debian's tool tells of a change, so that Java's own store has it too. (It never tells of a file that has gone.)
const DEBIAN_JAVA: &str = "/etc/ca-certificates/update.d/jks-keystore";
/// Where tools for administrators are, which other users do not have on their path.
const ADMINISTRATORS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A kind of system, by the tool that its store is changed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// `update-ca-certificates`: Debian, Ubuntu, Alpine.
    Debian {
        /// Whether Java has a store of its own that follows the system's.
        java: bool,
    },
    /// `trust`, of p11-kit: Fedora, Arch, openSUSE.
    P11Kit,
    /// `security`: macOS.
    Mac,
    /// `certutil`: Windows.
    Windows,
}

/// A root certificate that is to be trusted, or no longer.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The PEM file that it is in.
    pub file: PathBuf,
    /// Its common name.
    pub name: String,
}

/// Why the system's store cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is none of the tools.
    #[error(
        "there is neither `update-ca-certificates` (as of Debian's package ca-certificates) nor `trust` (of p11-kit): install one of them, or put {} into the system's store by hand",
        .0.display()
    )]
    NoTool(PathBuf),
    /// Only root may do it.
    #[error("only root can do what {what}: run this yourself{}", lines(.commands, "sudo "))]
    NotRoot {
        /// What the commands do.
        what: String,
        /// The commands.
        commands: Vec<Vec<String>>,
    },
    /// Root would install a certificate of its own.
    #[error(
        "with sudo this would be about a certificate of root's own, not about {0}'s: run it as {0}, and it says which commands take sudo"
    )]
    Sudo(String),
    /// A command cannot be run.
    #[error("`{command}` cannot be run: {source}")]
    NotRun {
        /// The command.
        command: String,
        /// The reason.
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed with {status}: {said}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
}

impl System {
    /// The kind of system that this is; on Linux by the tools that are there.
    #[must_use]
    pub fn here() -> Option<Self> {
        if cfg!(target_os = "macos") {
            Some(Self::Mac)
        } else if cfg!(windows) {
            Some(Self::Windows)
        } else if Path::new("/etc/ca-certificates.conf").exists() && is_there("update-ca-certificates") {
            // openSUSE has a tool of that name too, which looks elsewhere.
            Some(Self::Debian { java: Path::new(DEBIAN_JAVA).exists() })
        } else {
            is_there("trust").then_some(Self::P11Kit)
        }
    }

    /// The commands that make it trust a certificate, in the place of those that this one replaced.
    #[must_use]
    pub fn install(self, certificate: &Certificate, replaced: &[Certificate], keychain: &Path) -> Vec<Vec<String>> {
        let file = text(&certificate.file);
        let own = match self {
            // Whichever was there, it was this file. Without `--fresh` the tool takes it for the one that it knows.
            Self::Debian { .. } => {
                let copy = words(&["install", "-D", "-m", "644", &file, DEBIAN_FILE]);
                return vec![copy, words(&["update-ca-certificates", "--fresh"])];
            }
            Self::P11Kit => words(&["trust", "anchor", "--store", &file]),
            Self::Mac => {
                let keychain = text(keychain);
                words(&["security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", &keychain, &file])
            }
            Self::Windows => words(&["certutil", "-user", "-addstore", "Root", &file]),
        };
        self.uninstall(replaced, keychain).into_iter().chain([own]).collect()
    }

    /// The commands after which it trusts them no longer.
    #[must_use]
    pub fn uninstall(self, certificates: &[Certificate], keychain: &Path) -> Vec<Vec<String>> {
        let keychain = text(keychain);
        let each = |command: &dyn Fn(&Certificate) -> Vec<String>| certificates.iter().map(command).collect();
        match self {
            Self::Debian { java } => {
                let remove = words(&["rm", "-f", DEBIAN_FILE]);
                let tell = format!("echo -/etc/ssl/certs/graphdeck.pem | {DEBIAN_JAVA}");
                let tell = java.then(|| words(&["sh", "-c", &tell]));
                [remove, words(&["update-ca-certificates", "--fresh"])].into_iter().chain(tell).collect()
            }
            Self::P11Kit => each(&|it| words(&["trust", "anchor", "--remove", &text(&it.file)])),
            Self::Mac => each(&|it| words(&["security", "delete-certificate", "-t", "-c", &it.name, &keychain])),
            Self::Windows => each(&|it| words(&["certutil", "-user", "-delstore", "Root", &it.name])),
        }
    }

    /// Whether only root may run the commands.
    #[must_use]
    pub fn takes_root(self) -> bool {
        matches!(self, Self::Debian { .. } | Self::P11Kit)
    }
}

/// The keychain that macOS opens for its user at the login.
#[must_use]
pub fn keychain() -> PathBuf {
    dirs::home_dir().unwrap_or_default().join("Library/Keychains/login.keychain-db")
}

/// Runs commands, one after another.
///
/// # Errors
/// When one of them cannot be run or fails: those after it are not run.
pub fn run(commands: &[Vec<String>]) -> Result<(), Fault> {
    for command in commands {
        let shown = line(command);
        let (program, arguments) = command.split_first().expect("a command has at least its name");
        let output = Command::new(program).args(arguments).env("PATH", path()).stdin(Stdio::null()).output();
        let output = output.map_err(|source| Fault::NotRun { command: shown.clone(), source })?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            return Err(Fault::Failed { command: shown, status: output.status.to_string(), said });
        }
    }
    Ok(())
}

/// Commands as lines that a shell takes, each on a line of its own behind `before`.
#[must_use]
pub fn lines(commands: &[Vec<String>], before: &str) -> String {
    commands.iter().map(|command| format!("\n  {before}{}", line(command))).collect()
}

fn line(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=\\".contains(c);
    let word = |word: &String| if word.chars().all(plain) { word.clone() } else { format!("\"{word}\"") };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn path() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&own).chain(ADMINISTRATORS.map(PathBuf::from));
    std::env::join_paths(all).unwrap_or(own)
}

fn is_there(tool: &str) -> bool {
    std::env::split_paths(&path()).any(|dir| dir.join(tool).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_is_asked_by_its_own_tool() {
        let certificate = |file: &str, day: &str| Certificate {
            file: file.into(),
            name: format!("Graphdeck root, made here on {day}"),
        };
        let new = certificate("/home/ada/.local/share/graphdeck/ca.pem", "2026-11-25");
        let old = certificate("/home/ada/.local/share/graphdeck/ca-old.pem", "2025-01-02");
        let keychain = Path::new("/Users/ada/Library/Keychains/login.keychain-db");
        let mut all = String::new();
        for system in [
            System::Debian { java: false },
            System::Debian { java: true },
            System::P11Kit,
            System::Mac,
            System::Windows,
        ] {
            let sudo = if system.takes_root() { "sudo " } else { "" };
            let (both, old) = ([new.clone(), old.clone()], std::slice::from_ref(&old));
            for (what, commands) in [
                ("install", system.install(&new, &[], keychain)),
                ("install in the place of another", system.install(&new, old, keychain)),
                ("uninstall, a replaced one too", system.uninstall(&both, keychain)),
            ] {
                all += &format!("{system:?}: {what}{}\n", lines(&commands, sudo));
            }
        }
        insta::assert_snapshot!(all);
    }

    #[cfg(unix)]
    #[test]
    fn what_goes_wrong_is_said_with_the_way_out() {
        let commands = System::Debian { java: false }.uninstall(&[], Path::new(""));
        let faults = [
            Fault::NoTool("/home/ada/.local/share/graphdeck/ca.pem".into()),
            Fault::NotRoot { what: "takes the certificate out of this system's trust".to_owned(), commands },
            Fault::Sudo("ada".to_owned()),
            run(&[words(&["no-such-tool", "a b"])]).unwrap_err(),
        ];
        insta::assert_snapshot!(faults.map(|fault| fault.to_string()).join("\n"));
    }

    #[cfg(unix)]
    #[test]
    fn what_fails_is_told_and_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = text(&dir.path().join("made"));
        let failing = words(&["sh", "-c", "echo no; exit 3"]);
        let fault = run(&[failing, words(&["touch", &file])]).unwrap_err();
        assert_eq!(fault.to_string(), "`sh -c \"echo no; exit 3\"` failed with exit status: 3: no");
        assert!(!dir.path().join("made").exists());
        run(&[words(&["touch", &file])]).unwrap();
        assert!(dir.path().join("made").exists());
    }
}
