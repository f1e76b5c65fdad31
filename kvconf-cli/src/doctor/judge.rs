//! From facts to findings. Pure.

use std::time::Duration;

use super::facts::{Answer, Cluster, Config, Facts, Judged, Server, Stream};
use super::{Finding, Verdict, permission};

/// From how many kept revisions on every state under concurrent writes can be proven exact.
const SAFE_HISTORY: i64 = 8;
/// What kvconf makes a bucket with.
const FULL_HISTORY: i64 = 64;
/// How many consumers a stream takes that names no number, from nats-server 2.15 on.
const DEFAULT_CONSUMERS: u64 = 1_000;
/// After how many milliseconds a server forgets a consumer of kvconf that nobody listens to.
const FORGOTTEN_AFTER: u128 = 10_000;
/// A difference of clocks that people notice in times of day.
const SKEW: Duration = Duration::from_secs(2);
/// A way to the server that makes every command feel slow.
const SLOW: Duration = Duration::from_millis(250);

/// All findings, in the order in which they build on each other: the first failure explains what follows.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let server = match &facts.connected {
        Ok(server) => server,
        Err(error) => {
            let mut finding = Finding::new("connection", Verdict::Fail, error.words.join(": "));
            finding.mend.clone_from(&error.hints);
            return vec![finding];
        }
    };
    findings.push(connection(facts, server));
    inboxes(facts, &mut findings);
    findings.push(version(server));
    findings.push(jetstream(facts, server));
    let Some(bucket) = &facts.bucket else {
        findings.push(unnamed(facts));
        return findings;
    };
    match &facts.stream {
        Some(Answer::Yes(stream)) => {
            findings.push(Finding::new("bucket", Verdict::Pass, found(bucket, stream)));
            settings(bucket, server, stream, &mut findings);
        }
        Some(other) => findings.push(no_bucket(facts, bucket, other)),
        None => {}
    }
    values(facts, &mut findings);
    permission::judge(facts, bucket, &mut findings);
    findings
}

/// Whether programs can read what stands there, as far as they have published their schemas.
fn values(facts: &Facts, findings: &mut Vec<Finding>) {
    for Judged { name, version, layers, refused } in facts.schemas.iter().flatten() {
        let layers = match layers.as_slice() {
            [] => String::new(),
            layers => format!(", in the layers {}", layers.join(", ")),
        };
        let check = format!("kvconf schema check {name}");
        findings.push(match refused.as_deref() {
            None => Finding::new(
                "values",
                Verdict::Unknown,
                format!("those of {name} {version} could not be read{layers}"),
            )
            .mend(check),
            Some([]) => Finding::new(
                "values",
                Verdict::Pass,
                format!("{name} {version} reads what stands there{layers}"),
            ),
            Some([first, more @ ..]) => {
                let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
                let found =
                    format!("{name} {version} would not take what stands there{layers}: {first}{more}");
                Finding::new("values", Verdict::Fail, found).mend(check)
            }
        });
    }
}

fn connection(facts: &Facts, server: &Server) -> Finding {
    let name = if server.name.is_empty() { "a server" } else { &server.name };
    let mut found = format!("{name} at {} as {}", facts.servers, facts.login);
    if let Some(context) = &facts.context {
        found += &format!(", by the context {context}");
    }
    let Some(round_trip) = server.round_trip else {
        let found = found + "; it does not answer a ping";
        return Finding::new("connection", Verdict::Warn, found);
    };
    found += &format!("; {} there and back", millis(round_trip));
    if round_trip <= SLOW {
        return Finding::new("connection", Verdict::Pass, found);
    }
    let finding = Finding::new("connection", Verdict::Warn, found + ": every question takes that long");
    finding.mend("connect to a server that is nearer: --server, or a leaf node")
}

fn inboxes(facts: &Facts, findings: &mut Vec<Finding>) {
    if facts.refused_inboxes.is_empty() {
        return;
    }
    let found = format!(
        "the user may not subscribe to {}: no answer can ever arrive",
        facts.refused_inboxes.join(", ")
    );
    findings.push(
        Finding::new("inbox", Verdict::Fail, found)
            .mend("--inbox-prefix PREFIX, or NATS_INBOX_PREFIX, with a prefix that the user may subscribe to")
            .mend("or allow the user to subscribe to _INBOX.>"),
    );
}

/// Major and minor version.
fn parts(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn version(server: &Server) -> Finding {
    let say = |verdict, text: String| {
        Finding::new("server", verdict, format!("nats-server {}{text}", server.version))
    };
    let upgrade = "upgrade the server: 2.12 is the first with all that kvconf uses";
    match parts(&server.version) {
        None => say(Verdict::Unknown, ": that is no version that is understood here".to_owned()),
        Some(found) if found < (2, 11) => {
            say(Verdict::Fail, " is too old: kvconf needs 2.11".to_owned()).mend(upgrade)
        }
        Some(found) if found < (2, 12) => {
            let text = " has no atomic batches: changes of several keys are refused, or written one by one"
                .to_owned();
            say(Verdict::Warn, text).mend(upgrade)
        }
        Some(_) => say(Verdict::Pass, String::new()),
    }
}

fn jetstream(facts: &Facts, server: &Server) -> Finding {
    let fail = |found: String| Finding::new("JetStream", Verdict::Fail, found);
    let off = || {
        fail("it is off: there can be no bucket".to_owned())
            .mend("jetstream { store_dir: \"/var/lib/nats\" }, in the server's configuration; or nats-server --jetstream")
    };
    match &facts.account {
        None => Finding::new("JetStream", Verdict::Unknown, "it was not asked"),
        Some(Answer::Yes(account)) => {
            let domain = account.domain.as_ref().map(|domain| format!(", in the domain {domain}")).unwrap_or_default();
            let limit = account.limits.max_storage;
            if limit > 0 && account.storage.saturating_mul(10) >= limit.saturating_mul(9) {
                let found = format!("the account uses {} of {limit} bytes of storage{domain}", account.storage);
                return Finding::new("JetStream", Verdict::Warn, found)
                    .mend("raise the account's max_file, or remove what is no longer needed");
            }
            Finding::new("JetStream", Verdict::Pass, format!("it is on{domain}"))
        }
        Some(Answer::Refused(10_039, _)) => fail("it is off for this account".to_owned())
            .mend("accounts { NAME { jetstream: enabled } }, in the server's configuration"),
        Some(Answer::Refused(10_008, words)) => fail(format!("it is not available at the moment: {words}"))
            .mend("a cluster needs most of its servers: start those that are down"),
        Some(Answer::Refused(code, words)) => fail(format!("{words} (error {code})")),
        Some(Answer::Denied) => {
            Finding::new("JetStream", Verdict::Unknown, "the user may not ask about the account")
                .mend("allow the user to publish to $JS.API.INFO, where this is to be looked at")
        }
        Some(Answer::Nobody) if server.jetstream => {
            fail("it is on, and nobody answers for this account: a domain or an API prefix is missing, or it is off for the account".to_owned())
                .mend("--js-domain NAME or --js-api-prefix SUBJECT")
                .mend("accounts { NAME { jetstream: enabled } }, in the server's configuration")
        }
        Some(Answer::Nobody) => off(),
        Some(Answer::Silence(after)) if server.jetstream => {
            fail(format!("it is on, and gives no answer within {}", millis(*after)))
                .mend("in a cluster, start those servers that are down: most of them have to run")
                .mend("or allow the user to publish to $JS.API.INFO and to subscribe to its inboxes")
        }
        Some(Answer::Silence(_)) => off(),
    }
}

fn unnamed(facts: &Facts) -> Finding {
    let finding = Finding::new("bucket", Verdict::Unknown, "none is named, so none was looked at");
    match facts.buckets.as_ref().and_then(Answer::yes) {
        Some(names) if !names.is_empty() => {
            finding.mend(format!("--bucket NAME; there are: {}", names.join(", ")))
        }
        Some(_) => finding.mend("kvconf bucket create NAME; there is none yet"),
        None => finding.mend("--bucket NAME, or KVCONF_BUCKET"),
    }
}

fn no_bucket(facts: &Facts, bucket: &str, answer: &Answer<Stream>) -> Finding {
    let say = |verdict, found: String| Finding::new("bucket", verdict, found);
    match answer {
        Answer::Refused(10_059, _) => {
            let finding = say(Verdict::Fail, format!("{bucket} does not exist"));
            let finding = match facts.buckets.as_ref().and_then(Answer::yes) {
                Some(names) if !names.is_empty() => finding.mend(format!("name another; there are: {}", names.join(", "))),
                _ => finding,
            };
            finding.mend(format!("kvconf bucket create {bucket}"))
        }
        Answer::Refused(code, words) => say(Verdict::Fail, format!("{bucket}: {words} (error {code})")),
        Answer::Denied => say(
            Verdict::Warn,
            format!("the settings of {bucket} may not be asked for: the least is assumed, and only one key is written at a time"),
        )
        .mend(format!("allow the user to publish to $JS.API.STREAM.INFO.KV_{bucket}, which tells the names of all keys")),
        Answer::Nobody | Answer::Silence(_) if matches!(facts.account, Some(Answer::Yes(_))) => {
            say(Verdict::Fail, format!("nobody answers for {bucket}: its servers elect a leader, or are down"))
                .mend(format!("nats stream cluster info KV_{bucket}; start the servers that are down"))
        }
        _ => say(Verdict::Unknown, format!("{bucket} was not to be had without JetStream")),
    }
}

fn found(bucket: &str, stream: &Stream) -> String {
    let s = if stream.state.messages == 1 { "entry" } else { "entries" };
    format!("{bucket} holds {} {s}, {} bytes", stream.state.messages, stream.state.bytes)
}

fn settings(bucket: &str, server: &Server, stream: &Stream, findings: &mut Vec<Finding>) {
    let config = &stream.config;
    if !origin(bucket, config, findings) {
        return;
    }
    history(bucket, config, findings);
    batches(bucket, server, config, findings);
    reads(bucket, config, findings);
    expiry(bucket, config, findings);
    consumers(bucket, server, stream, findings);
    room(bucket, stream, findings);
    keeping(bucket, config, findings);
    cluster(bucket, stream, findings);
    clock(stream, findings);
}

/// Where the keys come from. False where nothing else matters.
fn origin(bucket: &str, config: &Config, findings: &mut Vec<Finding>) -> bool {
    let origin_name = |name: &str| name.strip_prefix("KV_").unwrap_or(name).to_owned();
    if let Some(mirror) = &config.mirror {
        let of = origin_name(&mirror.name);
        if mirror.external.is_none() {
            let found = format!(
                "{bucket} is a mirror of {of} in the same account: its keys are under the other's name, and no client finds them"
            );
            findings.push(Finding::new("origin", Verdict::Fail, found).mend(format!("--bucket {of}")));
            return false;
        }
        let found = format!("{bucket} is a mirror of {of} elsewhere: reads are local, writes go there");
        findings.push(Finding::new("origin", Verdict::Pass, found));
        return true;
    }
    let bare = config.sources.iter().flatten().find(|source| {
        source.name != format!("KV_{bucket}") && source.subject_transforms.as_ref().is_none_or(Vec::is_empty)
    });
    if let Some(source) = bare {
        let of = origin_name(&source.name);
        let found = format!(
            "{bucket} copies from {of} without a subject transform: the keys of {of} are not found in it"
        );
        findings.push(
            Finding::new("origin", Verdict::Fail, found)
                .mend(format!("kvconf bucket update {bucket} --source {of}, which adds the transform")),
        );
        return false;
    }
    let own = format!("$KV.{bucket}.>");
    if !config.subjects.contains(&own) {
        let found =
            format!("the stream takes {}, and not {own}: it is no bucket", config.subjects.join(", "));
        findings.push(
            Finding::new("origin", Verdict::Fail, found)
                .mend(format!("kvconf bucket create {bucket}, under another name")),
        );
        return false;
    }
    if let Some(transform) =
        config.subject_transform.as_ref().filter(|transform| transform.src != transform.dest)
    {
        let found = format!(
            "the stream stores {} as {}: keys are not found under their names",
            transform.src, transform.dest
        );
        findings.push(
            Finding::new("origin", Verdict::Fail, found)
                .mend(format!("kvconf bucket create {bucket}, under another name")),
        );
        return false;
    }
    if config.retention == "interest" || config.retention == "workqueue" {
        let found =
            format!("the retention is {}: values go when they are read, or at once", config.retention);
        findings.push(
            Finding::new("retention", Verdict::Fail, found)
                .mend(format!("kvconf bucket create {bucket}, under another name")),
        );
        return false;
    }
    true
}

fn history(bucket: &str, config: &Config, findings: &mut Vec<Finding>) {
    let kept = config.max_msgs_per_subject;
    let mend = format!("kvconf bucket update {bucket} --history {FULL_HISTORY}");
    let say = |found: String| Finding::new("history", Verdict::Warn, found).mend(mend.clone());
    findings.push(match kept {
        kept if kept <= 0 => say("every revision is kept for ever: the bucket only grows".to_owned()),
        1 => say(
            "1 revision of a key is kept: nothing can be rolled back, and states under concurrent writes cannot be proven exact".to_owned(),
        ),
        kept if kept < SAFE_HISTORY => say(format!(
            "{kept} revisions of a key are kept: states under concurrent writes cannot be proven exact, and a rollback reaches no further"
        )),
        kept => Finding::new("history", Verdict::Pass, format!("{kept} revisions of a key are kept")),
    });
}

fn batches(bucket: &str, server: &Server, config: &Config, findings: &mut Vec<Finding>) {
    if config.allow_atomic {
        findings.push(Finding::new("batches", Verdict::Pass, "several keys change at once, all or none"));
        return;
    }
    let finding =
        Finding::new("batches", Verdict::Warn, "no atomic batches: changes of several keys are refused");
    let is_old = parts(&server.version).is_some_and(|found| found < (2, 12));
    findings.push(if is_old {
        finding.mend("upgrade the server to 2.12 first")
    } else {
        finding.mend(format!("kvconf bucket update {bucket} --atomic-batches true"))
    });
}

fn reads(bucket: &str, config: &Config, findings: &mut Vec<Finding>) {
    if config.allow_direct {
        return;
    }
    let found = "no direct reads: consistent reads and states of the past are not to be had";
    findings.push(
        Finding::new("direct reads", Verdict::Warn, found)
            .mend(format!("nats stream edit KV_{bucket} --allow-direct")),
    );
}

fn expiry(bucket: &str, config: &Config, findings: &mut Vec<Finding>) {
    let markers = config.subject_delete_marker_ttl > 0;
    let mend = format!("kvconf bucket update {bucket} --limit-markers 10s");
    let age = u64::try_from(config.max_age).ok().filter(|age| *age > 0).map(Duration::from_nanos);
    if let Some(age) = age {
        let mut found =
            format!("every value is removed {age:?} after it was written, whether it is in use or not");
        if !markers {
            found += "; without a marker, readers notice within a minute only";
        }
        let finding = Finding::new("expiry", Verdict::Warn, found)
            .mend(format!("kvconf bucket update {bucket} --max-age 0"));
        findings.push(if markers { finding } else { finding.mend(mend) });
    } else if !markers || !config.allow_msg_ttl {
        let found = "no markers for expired keys: values with a time to live, and changes that go back unless they are confirmed, are refused";
        findings.push(Finding::new("expiry", Verdict::Warn, found).mend(mend));
    } else {
        findings.push(Finding::new("expiry", Verdict::Pass, "expired keys leave a marker"));
    }
}

fn consumers(bucket: &str, server: &Server, stream: &Stream, findings: &mut Vec<Finding>) {
    let count = stream.state.consumer_count;
    let forgotten = u64::try_from(stream.config.consumer_limits.inactive_threshold).unwrap_or(0);
    if (1..FORGOTTEN_AFTER).contains(&Duration::from_nanos(forgotten).as_millis()) {
        let found = format!(
            "the stream forgets consumers after {:?}: those of kvconf ask for 10s, and are refused",
            Duration::from_nanos(forgotten)
        );
        findings.push(
            Finding::new("consumers", Verdict::Fail, found)
                .mend(format!("nats stream edit KV_{bucket} --limit-consumer-inactive 10s")),
        );
    }
    let named = u64::try_from(stream.config.max_consumers).ok().filter(|most| *most > 0);
    let by_default =
        parts(&server.version).is_some_and(|found| found >= (2, 15)).then_some(DEFAULT_CONSUMERS);
    let Some(most) = named.or(by_default) else {
        findings.push(Finding::new("consumers", Verdict::Pass, format!("{count} read it, without a limit")));
        return;
    };
    let found = format!("{count} of at most {most} read it; each process that watches takes one");
    if count.saturating_mul(10) >= most.saturating_mul(9) {
        findings.push(Finding::new("consumers", Verdict::Fail, found).mend(more_consumers(bucket)));
    } else if named.is_none() {
        findings.push(
            Finding::new(
                "consumers",
                Verdict::Warn,
                found + ", and no number is named: this server's default holds",
            )
            .mend("jetstream { limits { default_max_consumers: -1 } }, in the server's configuration")
            .mend(more_consumers(bucket)),
        );
    } else {
        findings.push(Finding::new("consumers", Verdict::Pass, found));
    }
}

/// The number is fixed when the bucket is made.
fn more_consumers(bucket: &str) -> String {
    format!(
        "kvconf export --bucket {bucket} > all.jsonl; kvconf bucket create OTHER --max-consumers 100000; kvconf import all.jsonl --bucket OTHER"
    )
}

fn room(bucket: &str, stream: &Stream, findings: &mut Vec<Finding>) {
    let config = &stream.config;
    if let Some(most) = u64::try_from(config.max_bytes).ok().filter(|most| *most > 0)
        && stream.state.bytes.saturating_mul(10) >= most.saturating_mul(9)
    {
        let verdict = if stream.state.bytes >= most { Verdict::Fail } else { Verdict::Warn };
        let found = format!(
            "{} of {most} bytes are in use: when it is full, nothing can be changed",
            stream.state.bytes
        );
        findings.push(
            Finding::new("room", verdict, found)
                .mend(format!("kvconf bucket update {bucket} --max-bytes {}", most.saturating_mul(2))),
        );
    }
    let drops = config.discard == "old" && (config.max_bytes > 0 || config.max_msgs > 0);
    if drops {
        findings.push(
            Finding::new("room", Verdict::Fail, "a full bucket drops its oldest values without a word")
                .mend(format!("nats stream edit KV_{bucket} --discard new")),
        );
    }
}

fn keeping(bucket: &str, config: &Config, findings: &mut Vec<Finding>) {
    if config.no_ack {
        let found = "no write is acknowledged: each takes five seconds, until it is looked for";
        findings.push(
            Finding::new("writes", Verdict::Fail, found).mend(format!("nats stream edit KV_{bucket} --ack")),
        );
    }
    if config.discard_new_per_subject {
        let found = format!(
            "a key that has {} revisions takes no more: nothing makes room but a purge",
            config.max_msgs_per_subject
        );
        findings.push(
            Finding::new("writes", Verdict::Fail, found)
                .mend(format!("nats stream edit KV_{bucket} --no-discard-per-subject")),
        );
    }
    if config.sealed {
        findings.push(Finding::new(
            "storage",
            Verdict::Fail,
            "the stream is sealed: nothing can ever be changed",
        ));
    }
    if config.storage == "memory" && config.num_replicas < 2 {
        let found = "it is kept in the memory of one server: gone when that server ends";
        findings.push(Finding::new("storage", Verdict::Warn, found).mend(format!(
            "kvconf export --bucket {bucket} > all.jsonl; kvconf bucket create OTHER --storage file; kvconf import all.jsonl --bucket OTHER"
        )));
    }
    if !config.allow_rollup_hdrs {
        findings.push(
            Finding::new("purge", Verdict::Warn, "keys cannot be purged, only deleted")
                .mend(format!("nats stream edit KV_{bucket} --allow-rollup")),
        );
    }
}

fn cluster(bucket: &str, stream: &Stream, findings: &mut Vec<Finding>) {
    let replicas = stream.config.num_replicas;
    let Some(Cluster { name: Some(_), leader, replicas: others }) = &stream.cluster else {
        return;
    };
    if leader.as_ref().is_none_or(String::is_empty) {
        findings.push(
            Finding::new("leader", Verdict::Fail, "no server leads the bucket: nothing can be written")
                .mend(format!("nats stream cluster info KV_{bucket}; start the servers that are down")),
        );
    }
    let others = others.iter().flatten();
    let behind: Vec<String> = others
        .filter(|replica| replica.offline || !replica.current)
        .map(|replica| {
            let why = if replica.offline { "offline".to_owned() } else { format!("{} behind", replica.lag) };
            format!("{} ({why})", replica.name)
        })
        .collect();
    if !behind.is_empty() {
        let found = format!("copies that do not keep up: {}", behind.join(", "));
        findings.push(
            Finding::new("copies", Verdict::Warn, found).mend("start those servers, or look at their logs"),
        );
    } else if replicas < 3 {
        let s = if replicas == 1 { "y" } else { "ies" };
        let found = format!(
            "{replicas} cop{s} in a cluster: a server that ends takes the bucket with it for so long"
        );
        findings.push(
            Finding::new("copies", Verdict::Warn, found)
                .mend(format!("kvconf bucket update {bucket} --replicas 3")),
        );
    } else {
        findings.push(Finding::new("copies", Verdict::Pass, format!("{replicas} copies, all current")));
    }
}

fn clock(stream: &Stream, findings: &mut Vec<Finding>) {
    let Some((theirs, ours)) = stream.clocks else {
        return;
    };
    let (ahead, by) = match theirs.duration_since(ours) {
        Ok(by) => ("ahead of", by),
        Err(behind) => ("behind", behind.duration()),
    };
    if by <= SKEW + stream.took {
        findings.push(Finding::new(
            "clock",
            Verdict::Pass,
            format!("the server's agrees with this one, within {}", millis(by.max(stream.took))),
        ));
        return;
    }
    let found = format!(
        "the server's is {} {ahead} this one: times typed here, such as `--to 14:02`, are taken by the server's, \
         rules of flags that ask for the time by this one",
        millis(by)
    );
    findings.push(
        Finding::new("clock", Verdict::Warn, found)
            .mend("timedatectl set-ntp true, on the machine that is wrong"),
    );
}

/// To a digit that matters.
fn millis(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..=9_999 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..=999_999 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", duration.as_secs()),
    }
}
