//! `onecopy config` and the settings of `onecopy server`, from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GOOD: &str = r#"
node = 2
cluster = "test"
data = "/tmp/nowhere"
redis = "127.0.0.1:1"
http = "127.0.0.1:2"
peer = "127.0.0.1:3"
view_nodes = [1, 2, 3]
log_bytes = "16mb"

[nodes]
1 = "127.0.0.1:4"
3 = "one.example:5"

[timeouts]
ping_ms = 20
"#;

fn onecopy(arguments: &[&str]) -> Command {
    let mut command = Command::new(onecopy_harness::executable());
    command.args(arguments).env_remove("ONECOPY_COPIES");
    command
}

fn file(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("node.toml");
    std::fs::write(&file, text).unwrap();
    file
}

fn check(text: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = onecopy(&["config", "check", "--config"]);
    command.arg(file(directory.path(), text)).args(arguments).env("ONECOPY_COPIES", "3").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The line of the table on one setting, without the blanks of the columns.
fn line(output: &Output, setting: &str) -> String {
    let output = text(&output.stdout);
    let line = output.lines().find(|line| line.split_whitespace().next() == Some(setting));
    line.unwrap_or_else(|| panic!("no {setting} in {output}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn good_settings_are_shown_with_their_origin() {
    let output = check(GOOD, &["--durability", "memory", "--timeouts-failure-ms", "900"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).starts_with("ok\n"));
    assert!(line(&output, "node").starts_with("node 2 file, line 2 The id"));
    assert!(line(&output, "copies").starts_with("copies 3 ONECOPY_COPIES"));
    assert!(line(&output, "durability").starts_with("durability \"memory\" --durability"));
    assert!(
        line(&output, "timeouts.failure_ms").starts_with("timeouts.failure_ms 900 --timeouts-failure-ms")
    );
    assert!(line(&output, "timeouts.ping_ms").starts_with("timeouts.ping_ms 20 file, line 16"));
    assert!(line(&output, "log_bytes").starts_with("log_bytes 16777216 file, line 9"));
    assert!(line(&output, "limits.clients").starts_with("limits.clients 10000 default"));
    assert!(line(&output, "nodes").contains("1=127.0.0.1:4,3=one.example:5"));
}

#[test]
fn passwords_are_not_shown() {
    let output = check(GOOD, &["--requirepass", "sesame"]);
    assert!(line(&output, "requirepass").contains("(hidden)"));
    assert!(!text(&output.stdout).contains("sesame"));
}

#[test]
fn all_mistakes_are_said_at_once() {
    let bad = format!("{GOOD}pingg_ms = 3\nfailure_ms = \"long\"\n").replace("cluster =", "clustre =");
    let output = check(&bad, &["--copies", "many"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for part in [
        "line 3: there is no setting clustre: did you mean cluster?",
        "line 17: there is no setting timeouts.pingg_ms: did you mean timeouts.ping_ms?",
        "line 18: timeouts.failure_ms: \"long\" is not a number",
        "--copies: \"many\" is not a number",
        "cluster is missing",
    ] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
}

#[test]
fn contradictions_are_explained() {
    let output = check(&GOOD.replace("[1, 2, 3]", "[1, 3]"), &["--copies", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("view_nodes names 2 nodes") && said.contains("copies = 0"), "{said}");
}

#[test]
fn what_is_no_toml_is_named_by_line() {
    let output = check("node = 1\ncluster == 3\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("line 2: "), "{}", text(&output.stdout));
}

#[test]
fn the_example_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let example = onecopy(&["config", "example"]).output().unwrap();
    let file = file(directory.path(), &text(&example.stdout));
    let output = onecopy(&["config", "check", "--config"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn a_node_does_not_start_with_wrong_settings() {
    let output = onecopy(&["server", "--node", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cluster is missing"), "{}", text(&output.stderr));
    let output = onecopy(&["server", "--config", "/nowhere/node.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot read /nowhere/node.toml"), "{}", text(&output.stderr));
}

/// What `config check` says about timeouts.
fn complaint(arguments: &[&str]) -> String {
    let output = check(GOOD, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

#[test]
fn timeouts_that_do_not_fit_together_are_refused_with_the_reason() {
    assert!(complaint(&["--timeouts-lease-ms", "90"]).contains("two heartbeats"));
    assert!(complaint(&["--timeouts-lease-ms", "400"]).contains("not less than timeouts.failure_ms"));
    assert!(complaint(&["--timeouts-refused-ms", "30"]).contains("less than two pings"));
    assert!(complaint(&["--timeouts-refused-ms", "500"]).contains("no better than a silent one"));
    assert!(complaint(&["--timeouts-request-ms", "700"]).contains("every failover"));
    assert!(complaint(&["--clock-drift-ppm", "200000"]).contains("reads = \"confirm\""));
}

#[test]
fn without_leases_nobody_asks_about_clocks() {
    let arguments = ["--reads", "confirm", "--timeouts-lease-ms", "0", "--clock-drift-ppm", "999999"];
    let output = check(GOOD, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(line(&output, "reads").starts_with("reads \"confirm\" --reads"));
}

#[test]
fn only_so_many_threads_serve_the_data() {
    for threads in ["1", "64"] {
        let output = check(GOOD, &["--threads", threads]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(line(&output, "threads").starts_with(&format!("threads {threads} --threads")));
    }
    for threads in ["0", "65"] {
        let output = check(GOOD, &["--threads", threads]);
        assert!(!output.status.success());
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains(&format!("threads = {threads}: 1 to 64")), "{said}");
    }
}
