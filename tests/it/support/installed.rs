//! Programs in other languages, and what `tests/clients/install.sh` installed for them.

use super::deck::Project;
use super::left_out;
use std::path::{Path, PathBuf};

/// The file in what was installed; `None`, once it is told, where nothing was. CI leaves nothing out.
pub fn installed(file: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/clients").join(file);
    if path.exists() {
        return Some(path.to_string_lossy().into_owned());
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI leaves no test out", path.display());
    left_out("`tests/clients/install.sh` (some minutes) has not installed what it needs");
    None
}

/// The command line of a program in a folder of `tests/clients`, which is copied into a project, with what npm installed
/// beside it where that is there. What begins with `@/` among its runner is a file of that folder.
pub fn program(project: &Project, folder: &str, runner: &[String], file: &str) -> Vec<String> {
    let to = copied(project, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(folder));
    let inside = |file: &str| to.join(file).to_string_lossy().into_owned();
    let runner = runner.iter().map(|part| part.strip_prefix("@/").map_or_else(|| part.clone(), inside));
    runner.chain([inside(file)]).collect()
}

fn copied(project: &Project, from: &Path) -> PathBuf {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        project.write(&format!("program/{}", file.file_name().to_string_lossy()), std::fs::read(file.path()).unwrap());
    }
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/clients/node/node_modules");
    // It may be there already, of another program of the project.
    let _ = std::os::unix::fs::symlink(modules, project.file("program/node_modules"));
    project.file("program")
}
