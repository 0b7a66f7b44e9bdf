//! Settings: a flag comes before the environment, that before the file, the file before the default.

use crate::support::deck::Project;

const EMPTY: &str = "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}";

/// What the deck says at its end, with these settings.
fn said(project: &Project, flags: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = project.command(&[&["replay"], flags, &["--", "true"]].concat());
    let output = command.envs(environment.iter().copied()).output().unwrap();
    project.tidy(&String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_flag_comes_before_the_environment_and_that_before_the_file() {
    let project = Project::new();
    for name in ["cassettes/user-statuses", "cassettes/by-file", "by-env/by-file", "by-flag/by-file"] {
        project.write(&format!("{name}.json"), EMPTY);
    }
    let replayed = |text: &str, name: &str| assert!(text.contains(&format!("replayed {name}: 0 answered")), "{text}");
    replayed(&said(&project, &[], &[]), "user-statuses");

    project.write("config.toml", "cassette = \"by-file\"\n[replay]\nstrict = true\n");
    replayed(&said(&project, &[], &[]), "by-file");

    let environment = [("GRAPHDECK_CASSETTES", "by-env"), ("GRAPHDECK_CASSETTE", "missing")];
    assert!(said(&project, &[], &environment).contains("there is no cassette by-env/missing.json; there are: by-file"));
    replayed(&said(&project, &["by-file"], &environment), "by-file");
    let flags = ["by-file", "--cassettes", "by-flag", "--listen", "127.0.0.2:0"];
    let text = said(&project, &flags, &[("GRAPHDECK_CASSETTES", "nowhere"), ("GRAPHDECK_LISTEN", "127.0.0.3:0")]);
    assert!(text.contains("replaying by-file on http://127.0.0.2:"), "{text}");
    let text = said(&project, &["by-file"], &[("GRAPHDECK_LISTEN", "127.0.0.3:0")]);
    assert!(text.contains("replaying by-file on http://127.0.0.3:"), "{text}");

    let strict = said(&project, &["by-file", "--strict"], &[]);
    replayed(&strict, "by-file");
    for (flags, environment, code) in
        [(&[][..], "1", 1), (&[], "0", 0), (&["--strict"], "0", 1), (&["--strict=false"], "1", 0)]
    {
        project.write("cassettes/strict.json", include_str!("../../cassettes/user-statuses.json"));
        let mut command = project.command(&[&["replay", "strict"], flags, &["--", "true"]].concat());
        let ended = command.env("GRAPHDECK_STRICT", environment).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{flags:?} {environment}");
    }

    project.write("other.toml", "cassettes = \"by-flag\"\ncassette = \"by-file\"\n");
    replayed(&said(&project, &[], &[("GRAPHDECK_CONFIG", "other.toml")]), "by-file");
}

#[test]
fn the_help_of_every_command_is_as_it_is_written_down() {
    let project = Project::new();
    let mut all = String::new();
    for arguments in [
        &["--help"][..],
        &["record", "--help"],
        &["replay", "--help"],
        &["cassette", "--help"],
        &["cassette", "export", "--help"],
        &["cassette", "import", "--help"],
        &["ca", "--help"],
    ] {
        all += &format!("$ graphdeck {}\n{}\n", arguments.join(" "), project.run(arguments).stdout);
    }
    insta::assert_snapshot!(all);
}
