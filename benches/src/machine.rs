//! On what it was measured: date, machine, versions.

use crate::Fault;
use std::fs;
use std::process::Command;

pub(crate) fn facts(deck: &str) -> Result<Vec<(String, String)>, Fault> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output.map_or_else(|| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    Ok(vec![
        ("date".into(), said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        (
            "machine".into(),
            format!("{cores} cores, {}, {}", model.trim_start_matches([' ', '\t', ':']), said("uname", &["-sr"])),
        ),
        ("load before".into(), load),
        ("versions".into(), format!("{}, {}", said(deck, &["--version"]), said("rustc", &["--version"]))),
        ("commit".into(), said("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
    ])
}
