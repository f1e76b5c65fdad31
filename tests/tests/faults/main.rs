//! Everything that can go wrong around a bucket, on real servers.
//!
//! ```sh
//! cargo test -p kvconf-tests --test faults                            # all, several at a time, and a table of them
//! cargo test -p kvconf-tests --test faults -- cut black_holed         # some
//! cargo test -p kvconf-tests --test faults -- --test-threads=1        # one after the other: what the docs show
//! ```
//!
//! Each fault is a test: it fails when readers get a state that the bucket never had or an older one, when an acknowledged
//! write is lost, when the health says something untrue, or when one of these takes longer than the test states. They
//! mostly wait, so more of them run at a time than there are processors; that is why they have a runner of their own.

mod access;
mod bucket;
mod cluster;
mod connection;
mod ledger;
mod load;
mod origin;
mod runner;
mod scene;
mod soak;
mod table;
mod watched;

use runner::faults;

fn main() -> std::process::ExitCode {
    // In the order of the table.
    let all = faults![
        connection::killed_and_restarted,
        connection::cut,
        connection::black_holed,
        connection::slow,
        connection::far_away,
        connection::answers_held_back,
        connection::requests_held_back,
        connection::frozen,
        connection::jetstream_off,
        bucket::consumer_deleted,
        bucket::deleted,
        bucket::recreated_with_lower_revisions,
        bucket::recreated_with_higher_revisions,
        bucket::purged,
        bucket::full,
        bucket::value_too_large,
        access::permission_revoked,
        access::flow_control_forbidden,
        access::server_too_old,
        load::starved,
        origin::mirror_cut_off,
        cluster::leader_killed,
        cluster::leader_steps_down,
        cluster::lame_duck,
        cluster::upgraded_node_by_node,
        cluster::minority,
        cluster::minority_with_its_consumer,
        cluster::quorum_lost,
        cluster::storage_wiped,
        soak::at_random,
    ];
    // These take longest.
    let first = [
        "requests_held_back",
        "upgraded_node_by_node",
        "quorum_lost",
        "at_random",
        "minority_with_its_consumer",
    ];
    runner::run(all, &first)
}
