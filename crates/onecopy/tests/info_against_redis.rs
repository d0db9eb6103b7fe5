//! `INFO` has the fields of a Redis, but those of which docs/tools.md says why not.

use std::collections::BTreeSet;

use onecopy_harness::{Cluster, Options, RedisServer, free_port, run};

const PAGE: &str = include_str!("../../../docs/tools.md");

/// The names of the fields that a server tells of everything.
fn fields(client: &mut redis::Connection) -> BTreeSet<String> {
    let info: String = run(client, "INFO everything");
    let names = info.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name);
    // The client itself says what a Redis 7.0 does not know.
    names.filter(|name| !name.starts_with("errorstat_")).map(str::to_owned).collect()
}

/// The names in the first column of the table of fields that are not there.
fn left_out() -> BTreeSet<String> {
    let (_, rest) = PAGE.split_once("<!-- fields that INFO does not have -->").expect("the table is there");
    let rows = rest.trim_start().lines().take_while(|line| line.starts_with('|'));
    let named =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|names| names.split('`').skip(1).step_by(2));
    named.map(str::to_owned).collect()
}

#[test]
fn info_has_the_fields_of_redis_but_those_that_the_docs_name() {
    if !RedisServer::is_installed() {
        return;
    }
    let redis = RedisServer::start(free_port(), &[]).expect("redis-server");
    let cluster = Cluster::start(Options { nodes: 1, copies: 1, view_nodes: 1, ..Options::default() });
    let clients = [redis.address(), cluster.redis_address(1)];
    let [theirs, ours] = clients.map(|address| {
        let client = redis::Client::open(format!("redis://{address}")).expect("an address");
        fields(&mut client.get_connection().expect("a connection"))
    });
    let missing: BTreeSet<String> = theirs.difference(&ours).cloned().collect();
    let named = left_out();
    assert!(named.len() > 20, "{named:?}");
    // Each way: what is missing is named, and what is named is missing.
    assert_eq!(missing, named);
}
