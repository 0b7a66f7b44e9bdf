//! The certificates as others check them: OpenSSL at its strictest, and Python's default since 3.13.

use crate::support::certificates::{key_file, make_root};
use crate::support::client::bare;
use crate::support::deck::Project;
use crate::support::have;
use std::process::{Command, Stdio};

/// The certificates that the deck shows to a client with these options: the leaf, and what is above it.
fn shown(project: &Project, address: &str, options: &[&str]) -> [std::path::PathBuf; 2] {
    let shown = Command::new("openssl")
        .args(["s_client", "-showcerts", "-connect", address])
        .args(options)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let pems = pem::parse_many(&shown.stdout).unwrap();
    assert_eq!(pems.len(), 2, "{}", String::from_utf8_lossy(&shown.stdout));
    [project.write("leaf.pem", pem::encode(&pems[0])), project.write("above.pem", pem::encode(&pems[1]))]
}

#[test]
fn certificates_verify_in_strict_checkers() {
    if !have("openssl") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.replay("user-statuses", &[]);
    assert_eq!(project.run(&["ca", "--out", "ca.pem"]).code, Some(0));
    let address = deck.address.to_string();
    for (options, check) in [
        (["-servername", "graph.microsoft.com"].as_slice(), ["-verify_hostname", "graph.microsoft.com"]),
        (&["-servername", "login.microsoftonline.com"], ["-verify_hostname", "login.microsoftonline.com"]),
        (&["-servername", "localhost"], ["-verify_hostname", "localhost"]),
        (&["-noservername"], ["-verify_ip", "127.0.0.1"]),
    ] {
        let [leaf, above] = shown(&project, &address, options);
        let verified = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver"])
            .args(check)
            .arg("-CAfile")
            .arg(project.file("ca.pem"))
            .arg("-untrusted")
            .args([above, leaf])
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&verified.stdout), String::from_utf8_lossy(&verified.stderr));
        assert!(verified.status.success(), "{options:?}: {said}");
    }
}

#[test]
fn a_client_as_strict_as_pythons_default_is_content() {
    if !have("python3") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let script = project.write(
        "strict.py",
        "import os, ssl, socket\n\
         context = ssl.create_default_context(cafile=os.environ['GRAPHDECK_CA'])\n\
         context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN\n\
         host, port = os.environ['GRAPHDECK_URL'].removeprefix('http://').split(':')\n\
         stream = socket.create_connection((host, int(port)))\n\
         print(context.wrap_socket(stream, server_hostname='graph.microsoft.com').version())\n",
    );
    let ended = project.run(&["replay", "user-statuses", "--", "python3", &script.to_string_lossy()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "TLSv1.3\n"), "{}", ended.stderr);
}

#[test]
fn names_that_are_not_graphs_get_no_certificate() {
    if !have("openssl") {
        return;
    }
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.replay("user-statuses", &[]);
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &deck.address.to_string(), "-servername", "bank.example"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&shown.stdout).contains("BEGIN CERTIFICATE"));
}

/// What the program says to these arguments, with days, numbers of days and certificates left out.
fn said(project: &Project, arguments: &[&str]) -> String {
    let ended = project.run(arguments);
    let day = regex::Regex::new(r"\d{4}-\d\d-\d\d").unwrap();
    let certificate = regex::Regex::new(r"(?s)(-----BEGIN CERTIFICATE-----).*?\n(-----END)").unwrap();
    let text = format!("{}{}exit code {}\n\n", ended.stdout, ended.stderr, ended.code.unwrap());
    let text = certificate.replace_all(&text, "$1 … $2");
    format!("$ graphdeck {}\n{}", arguments.join(" "), day.replace_all(&text, "DAY"))
}

#[test]
fn what_is_wrong_with_a_root_is_said_with_the_way_out() {
    let project = Project::new();
    project.write("cassettes/empty.json", "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}");
    let replay = ["replay", "empty", "--", "true"];
    let mut all = said(&project, &["ca"]);
    all += "(the settings name hosts of their own)\n";
    project.write("config.toml", "[graph]\nhosts = [\"graph.test\"]\nreverse = \"reverse.test\"\n");
    all += &[said(&project, &replay), said(&project, &["ca", "--renew"]), said(&project, &replay)].concat();
    all += "(and no more)\n";
    std::fs::remove_file(project.file("config.toml")).unwrap();
    all += &said(&project, &replay);
    all += "(others can read the key)\n";
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(key_file(&project), readable).unwrap();
    all += &said(&project, &replay);
    all += "(it ends soon)\n";
    make_root(&project, time::Duration::days(10) + time::Duration::HOUR);
    all += &[said(&project, &replay), said(&project, &["ca"])].concat();
    all += "(it has ended)\n";
    make_root(&project, -time::Duration::HOUR);
    all += &[said(&project, &replay), said(&project, &["ca"])].concat();
    all += "(it is of an earlier version, which had no issuing certificate)\n";
    let pem = std::fs::read_to_string(key_file(&project)).unwrap();
    let parts = pem::parse_many(&pem).unwrap();
    project.write("data/graphdeck/root.pem", pem::encode(&parts[0]) + &pem::encode(&parts[2]));
    all += &[said(&project, &replay), said(&project, &["ca", "--renew", "--out", "ca.pem"]), said(&project, &replay)]
        .concat();
    insta::assert_snapshot!(all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_of_the_settings_is_opened_with_a_renewed_root() {
    let project = Project::new();
    project.write("cassettes/empty.json", "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}");
    let old = project.run(&["ca"]).stdout;
    project.write("config.toml", "[graph]\nhosts = [\"graph.test\"]\n");
    let renewed = project.run(&["ca", "--renew"]).stdout;
    let deck = project.replay("empty", &[]);
    for (ca_pem, trusted) in [(renewed, true), (old, false)] {
        let client = bare(&ca_pem).resolve("graph.test", deck.address).build().unwrap();
        let answer = client.get(format!("https://graph.test:{}/v1.0/users", deck.address.port())).send().await;
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 501), trusted);
    }
}
