//! The subjects that a user needs, and what is missing without each.

use super::facts::{Allowed, Facts, Probe, Purpose};
use super::{Finding, Verdict};

/// The line of configuration that gives a permission, and what goes wrong without it.
struct Meaning {
    check: &'static str,
    /// The subject to allow: wider than the one that was tried.
    allow: String,
    without: &'static str,
    /// How bad it is to lack it.
    verdict: Verdict,
}

/// What a permission means for a bucket and a prefix.
fn meaning(purpose: Purpose, bucket: &str, keys: &str) -> Meaning {
    let say = |check, allow, without, verdict| Meaning { check, allow, without, verdict };
    let stream = format!("KV_{bucket}");
    match purpose {
        Purpose::Watch => say(
            "permission to watch",
            format!("$JS.API.CONSUMER.CREATE.{stream}.*.$KV.{bucket}.{keys}"),
            "no service can follow these keys, and none starts",
            Verdict::Fail,
        ),
        Purpose::EndWatch => say(
            "permission to end a watch",
            format!("$JS.API.CONSUMER.DELETE.{stream}.*"),
            "the server forgets a consumer ten seconds late",
            Verdict::Warn,
        ),
        Purpose::FlowControl => say(
            "permission for flow control",
            format!("$JS.FC.{stream}.>"),
            "a load of many keys stalls",
            Verdict::Warn,
        ),
        Purpose::ReadKey => say(
            "permission to read a key",
            format!("$JS.API.DIRECT.GET.{stream}.$KV.{bucket}.{keys}"),
            "`kvconf get` does not work, and a conflict cannot name the other author",
            Verdict::Warn,
        ),
        Purpose::ReadMany => say(
            "permission for consistent reads",
            format!("$JS.API.DIRECT.GET.{stream}"),
            "no states of the past and no rollback; whoever has it reads the whole bucket",
            Verdict::Warn,
        ),
        Purpose::ReadAtLeader => say(
            "permission to read at the leader",
            format!("$JS.API.STREAM.MSG.GET.{stream}"),
            "a read can lag behind one's own writes; whoever has it reads the whole bucket",
            Verdict::Warn,
        ),
        Purpose::Write => say(
            "permission to write",
            format!("$KV.{bucket}.{keys}"),
            "this user changes nothing",
            Verdict::Warn,
        ),
    }
}

/// Judges each permission that was tried out.
pub(super) fn judge(facts: &Facts, bucket: &str, findings: &mut Vec<Finding>) {
    let keys = if facts.prefix.is_empty() { ">".to_owned() } else { format!("{}.>", facts.prefix) };
    if facts.probes.is_empty() {
        return;
    }
    let mut allowed = Vec::new();
    for probe in &facts.probes {
        let Meaning { check, allow, without, verdict } = meaning(probe.purpose, bucket, &keys);
        match probe.allowed {
            Allowed::Yes => allowed.push(check.trim_start_matches("permission ")),
            Allowed::No => findings.push(
                Finding::new(check, verdict, format!("{} is forbidden: {without}", probe.subject))
                    .mend(format!("allow the user to publish to {allow}")),
            ),
            Allowed::Unknown => findings.push(Finding::new(
                check,
                Verdict::Unknown,
                format!("no answer on {}: forbidden, or nobody there", probe.subject),
            )),
        }
    }
    if !allowed.is_empty() {
        let found = format!("allowed for {keys}: {}", allowed.join(", "));
        findings.push(Finding::new("permissions", Verdict::Pass, found));
    }
    if facts.prefix.is_empty() && facts.probes.iter().any(is_about_keys) {
        let narrower = Finding::new(
            "scope",
            Verdict::Unknown,
            "all keys were asked for; a user with less can be looked at by the prefix that it has",
        );
        findings.push(narrower.mend("kvconf doctor --prefix PREFIX"));
    }
}

/// Whether a forbidden subject has keys in it, so that fewer keys could be allowed.
fn is_about_keys(probe: &Probe) -> bool {
    probe.allowed == Allowed::No
        && matches!(probe.purpose, Purpose::Watch | Purpose::ReadKey | Purpose::Write)
}
