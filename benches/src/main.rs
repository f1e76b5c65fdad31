//! Measures everything and prints the table: `cargo run --release -p kvconf-benches --bin table [rows…]`.

use anyhow::Result;
use kvconf_benches::figures::Row;
use kvconf_benches::{
    allocations, arrival, burst, change, command, history, reads, rollback, start, tree, under_changes,
    writes,
};

#[global_allocator]
static COUNTING: allocations::Counting = allocations::Counting;

/// The groups of rows, in the order of the table.
const GROUPS: [&str; 11] = [
    "reads", "load", "arrival", "writes", "start", "change", "history", "rollback", "tree", "command",
    "burst",
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if let Some((burst::PUBLISH, rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return runtime.block_on(burst::publish(rest));
    }
    if let Some(unknown) = arguments.iter().find(|name| !GROUPS.contains(&name.as_str())) {
        anyhow::bail!("{unknown} is none of {GROUPS:?}");
    }
    println!("| what | bound | measured | how |\n|---|---|---|---|");
    let mut missed = 0;
    for group in GROUPS {
        if !arguments.is_empty() && !arguments.iter().any(|name| name == group) {
            continue;
        }
        for row in rows(group, runtime.handle())? {
            println!("{row}");
            missed += usize::from(row.holds == Some(false));
        }
    }
    eprintln!("{missed} bounds missed");
    Ok(())
}

fn rows(group: &str, runtime: &tokio::runtime::Handle) -> Result<Vec<Row>> {
    match group {
        "reads" => reads::rows(),
        "load" => under_changes::rows(),
        "arrival" => runtime.block_on(async { tokio::spawn(arrival::rows()).await? }),
        "writes" => runtime.block_on(async { tokio::spawn(writes::rows()).await? }),
        // Where a service starts: in its main function, which is no task.
        "start" => runtime.block_on(start::rows()),
        "change" => change::rows(),
        "history" => runtime.block_on(async { tokio::spawn(history::rows()).await? }),
        "rollback" => runtime.block_on(async { tokio::spawn(rollback::rows()).await? }),
        "command" => runtime.block_on(command::rows()),
        "tree" => Ok(vec![tree::row()?]),
        _ => burst::rows(runtime),
    }
}
