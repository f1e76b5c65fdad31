//! The subjects that a user needs, and what is missing without each.

use super::facts::{Allowed, Answer, Facts, Probe, Purpose};
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
fn meaning(purpose: Purpose, bucket: &str, prefix: &str, keys: &str) -> Meaning {
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
        Purpose::AskFleet => say(
            "permission to ask the fleet",
            if prefix.is_empty() {
                format!("kvconf.{bucket}.>")
            } else {
                format!("kvconf.{bucket}.*.{prefix}")
            },
            "instances are asked neither before a change nor after it",
            Verdict::Warn,
        ),
        Purpose::AnswerFleet => say(
            "permission to answer the fleet",
            format!(
                "kvconf.{bucket}.who and kvconf.{bucket}.*.{}",
                if prefix.is_empty() { "+" } else { prefix }
            ),
            "a service of this user is not asked; who only changes settings does not need it",
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
    let stream = facts.stream.as_ref().and_then(Answer::yes);
    let direct = stream.is_none_or(|stream| stream.config.allow_direct);
    for probe in &facts.probes {
        let is_direct = matches!(probe.purpose, Purpose::ReadKey | Purpose::ReadMany);
        if is_direct && !direct && probe.allowed == Allowed::Unknown {
            // Nobody is there, which has been said already.
            continue;
        }
        let Meaning { check, allow, without, verdict } = meaning(probe.purpose, bucket, &facts.prefix, &keys);
        match probe.allowed {
            Allowed::Yes => allowed.push(check.trim_start_matches("permission ")),
            Allowed::No => findings.push(mended(
                Finding::new(
                    check,
                    verdict,
                    format!("{} {} forbidden: {without}", probe.subject, are(&probe.subject)),
                ),
                probe,
                &allow,
            )),
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

fn are(subjects: &str) -> &'static str {
    if subjects.contains(" and ") { "are" } else { "is" }
}

fn mended(finding: Finding, probe: &Probe, allow: &str) -> Finding {
    if probe.purpose == Purpose::AnswerFleet {
        return finding
            .mend(format!("allow the user to subscribe to {allow}"))
            .mend("and to answer: allow_responses: { max: 2, expires: \"2m\" }");
    }
    finding.mend(format!("allow the user to publish to {allow}"))
}

/// Whether a forbidden subject has keys in it, so that fewer keys could be allowed.
fn is_about_keys(probe: &Probe) -> bool {
    probe.allowed == Allowed::No
        && matches!(probe.purpose, Purpose::Watch | Purpose::ReadKey | Purpose::Write)
}
