//! `graphdeck ca --install`: the system trusts the deck's root, and programs that read nothing else; and no longer.

use crate::support::deck::{Ended, Project};
use crate::support::{CONFIG, have, left_out, statuses};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Takes the root out again, however the test ends.
struct Installed<'a>(&'a Project);

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        self.0.run(&["ca", "--uninstall"]);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a program beside the deck with nothing but the proxy.
fn beside(project: &Project, line: &str) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(project.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    project.end(command)
}

#[test]
fn what_the_system_trusts_curl_and_java_trust() {
    let wanted = ["CI", "GRAPHDECK_TEST_TRUST"].iter().any(|name| std::env::var_os(name).is_some());
    if !wanted || !is_root() {
        return left_out("it changes the system's trust store: run it as root with GRAPHDECK_TEST_TRUST=1");
    }
    if !have("update-ca-certificates") || !have("java") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    project.write("Ask.java", ASK_JAVA);
    let deck = project.replay("user-statuses", &[]);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let (proxy, port) = (format!("http://{}", deck.address), deck.address.port());
    let java = format!("java -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort={port} Ask.java '{url}'");
    let curl = format!("HTTPS_PROXY={proxy} curl -sS -o /dev/null -w '%{{http_code}}' '{url}'");
    assert_eq!(beside(&project, &curl).code, Some(60), "nobody trusts it yet");

    let undo = Installed(&project);
    let installed = project.run(&["ca", "--install"]);
    assert_eq!((installed.code, installed.stdout.as_str()), (Some(0), ""), "{}", installed.stderr);
    assert_eq!(beside(&project, &curl).stdout, "200");
    assert_eq!(beside(&project, &java).stdout, "200\n");

    let renewed = project.run(&["ca", "--renew", "--out", "ca.pem"]);
    let day = regex::Regex::new(r"\d{4}-\d\d-\d\d").unwrap();
    let again = project.run(&["ca", "--install"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(!project.file("data/graphdeck/ca-old.pem").exists(), "nothing of the old one is left");
    assert_eq!(beside(&project, &curl).code, Some(60), "the deck shows certificates of the old one");
    assert!(beside(&project, &java).stderr.contains("PKIX"), "Java too trusts the new one alone");
    let uninstalled = project.run(&["ca", "--uninstall"]);
    assert_eq!(uninstalled.code, Some(0), "{}", uninstalled.stderr);
    drop(undo);
    deck.stop();
    let deck = project.replay("user-statuses", &[]);
    let curl = curl.replace(&format!(":{port}"), &format!(":{}", deck.address.port()));
    let java = java.replace(&format!("Port={port}"), &format!("Port={}", deck.address.port()));
    assert_eq!(beside(&project, &curl).code, Some(60), "nobody trusts it any longer");
    assert!(beside(&project, &java).stderr.contains("PKIX path building failed"));
    let said = [installed.stderr, renewed.stderr, uninstalled.stderr].join("---\n");
    insta::assert_snapshot!(day.replace_all(&said, "DAY"));
}

#[test]
fn who_may_not_is_told_which_commands_to_run() {
    if !have("update-ca-certificates") {
        return;
    }
    let project = Project::new();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(project.path(), everybody).unwrap();
    let told = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        if is_root() {
            // As nobody in particular.
            command.uid(65534).gid(65534);
        }
        let ended = project.end(command);
        format!("$ graphdeck {}\n{}exit code {}\n\n", arguments.join(" "), ended.stderr, ended.code.unwrap())
    };
    let mut all = told(&["ca", "--uninstall"]) + &told(&["ca", "--install"]) + &told(&["ca", "--uninstall"]);
    let mut by_sudo = project.command(&["ca", "--install"]);
    by_sudo.env("SUDO_USER", "ada");
    all += &format!("$ sudo graphdeck ca --install\n{}", project.end(by_sudo).stderr);
    insta::assert_snapshot!(all);
}

const ASK_JAVA: &str = r#"import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.discarding()).statusCode());
    }
}
"#;
