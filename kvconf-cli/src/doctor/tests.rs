use std::time::{Duration, SystemTime};

use insta::assert_snapshot;

use super::facts::{
    Account, Allowed, Answer, Cluster, Config, Facts, Judged, Limits, Origin, Probe, Purpose, Replica,
    Server, State, Stream, Transform, Unconnected,
};
use super::judge::judge;

/// Of a bucket that kvconf has made, on a server of today.
fn sound() -> Facts {
    Facts {
        login: "a client without a login".to_owned(),
        servers: "nats://127.0.0.1:4222".to_owned(),
        context: None,
        connected: Ok(Server {
            name: "n1".to_owned(),
            version: "2.15.1".to_owned(),
            jetstream: true,
            round_trip: Some(Duration::from_micros(400)),
        }),
        account: Some(Answer::Yes(Account::default())),
        bucket: Some("prod".to_owned()),
        prefix: String::new(),
        stream: Some(Answer::Yes(made_by_kvconf())),
        buckets: None,
        probes: [Purpose::Watch, Purpose::ReadKey, Purpose::Write]
            .map(|purpose| probe(purpose, Allowed::Yes))
            .to_vec(),
        schemas: Some(Vec::new()),
        refused_inboxes: Vec::new(),
    }
}

fn made_by_kvconf() -> Stream {
    Stream {
        config: Config {
            subjects: vec!["$KV.prod.>".to_owned()],
            max_msgs_per_subject: 64,
            max_bytes: -1,
            max_msgs: -1,
            max_consumers: 100_000,
            storage: "file".to_owned(),
            num_replicas: 1,
            discard: "new".to_owned(),
            allow_direct: true,
            allow_atomic: true,
            allow_msg_ttl: true,
            allow_rollup_hdrs: true,
            subject_delete_marker_ttl: 10_000_000_000,
            ..Config::default()
        },
        state: State { messages: 3, bytes: 300, consumer_count: 2 },
        cluster: None,
        clocks: Some((SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH)),
        took: Duration::from_micros(700),
    }
}

fn probe(purpose: Purpose, allowed: Allowed) -> Probe {
    Probe { purpose, subject: format!("subject.of.{purpose:?}"), allowed }
}

/// The findings that are no pass, with what mends them.
fn complaints(facts: &Facts) -> String {
    told(facts, |word| word != "pass")
}

fn told(facts: &Facts, wanted: impl Fn(&str) -> bool) -> String {
    let findings = judge(facts).into_iter().filter(|finding| wanted(finding.verdict.word()));
    let told = findings.map(|finding| {
        let mend: String = finding.mend.iter().map(|line| format!("\n  help: {line}")).collect();
        format!("{} {}: {}{mend}", finding.verdict.word(), finding.check, finding.found)
    });
    told.collect::<Vec<_>>().join("\n")
}

fn with_stream(change: impl FnOnce(&mut Stream)) -> Facts {
    let mut stream = made_by_kvconf();
    change(&mut stream);
    Facts { stream: Some(Answer::Yes(stream)), ..sound() }
}

#[test]
fn nothing_is_wrong_with_a_bucket_that_kvconf_made() {
    assert_snapshot!(told(&sound(), |_| true), @r"
    pass connection: n1 at nats://127.0.0.1:4222 as a client without a login; 0.4 ms there and back
    pass server: nats-server 2.15.1
    pass JetStream: it is on
    pass bucket: prod holds 3 entries, 300 bytes
    pass history: 64 revisions of a key are kept
    pass batches: several keys change at once, all or none
    pass expiry: expired keys leave a marker
    pass consumers: 2 of at most 100000 read it; each process that watches takes one
    pass clock: the server's agrees with this one, within 0.7 ms
    pass permissions: allowed for >: to watch, to read a key, to write
    ");
}

#[test]
fn without_a_connection_that_is_all_there_is_to_say() {
    let error = Unconnected {
        words: vec!["no server at nats://127.0.0.1:1".to_owned(), "connection refused".to_owned()],
        hints: vec!["name another with --server".to_owned()],
    };
    assert_snapshot!(told(&Facts { connected: Err(error), ..sound() }, |_| true), @r"
    fail connection: no server at nats://127.0.0.1:1: connection refused
      help: name another with --server
    ");
}

#[test]
fn a_bucket_of_the_stock_tool_lacks_what_kvconf_adds() {
    let facts = with_stream(|stream| {
        stream.config.max_msgs_per_subject = 1;
        stream.config.allow_atomic = false;
        stream.config.allow_msg_ttl = false;
        stream.config.subject_delete_marker_ttl = 0;
        stream.config.max_consumers = -1;
    });
    assert_snapshot!(complaints(&facts), @r"
    warn history: 1 revision of a key is kept: nothing can be rolled back, and states under concurrent writes cannot be proven exact
      help: kvconf bucket update prod --history 64
    warn batches: no atomic batches: changes of several keys are refused
      help: kvconf bucket update prod --atomic-batches true
    warn expiry: no markers for expired keys: values with a time to live, and changes that go back unless they are confirmed, are refused
      help: kvconf bucket update prod --limit-markers 10s
    warn consumers: 2 of at most 1000 read it; each process that watches takes one, and no number is named: this server's default holds
      help: jetstream { limits { default_max_consumers: -1 } }, in the server's configuration
      help: kvconf export --bucket prod > all.jsonl; kvconf bucket create OTHER --max-consumers 100000; kvconf import all.jsonl --bucket OTHER
    ");
}

#[test]
fn versions_are_judged_by_what_they_can_do() {
    let of = |version: &str| {
        let server = Server { version: version.to_owned(), jetstream: true, ..Server::default() };
        let facts = Facts { connected: Ok(server), bucket: None, ..sound() };
        complaints(&facts).lines().find(|line| line.contains("server:")).map(str::to_owned)
    };
    assert_eq!(
        of("2.10.29").as_deref(),
        Some("fail server: nats-server 2.10.29 is too old: kvconf needs 2.11")
    );
    assert_eq!(
        of("2.11.11").as_deref(),
        Some(
            "warn server: nats-server 2.11.11 has no atomic batches: changes of several keys are refused, or written one by one"
        )
    );
    assert_eq!(of("2.12.0"), None);
    assert_eq!(of("3.0"), None);
    assert_eq!(
        of("edge").as_deref(),
        Some("unknown server: nats-server edge: that is no version that is understood here")
    );
}

#[test]
fn jetstream_that_does_not_answer_is_told_apart_by_how() {
    let of = |is_on: bool, answer: Answer<Account>| {
        let server = Server {
            jetstream: is_on,
            version: "2.15.1".to_owned(),
            round_trip: Some(Duration::ZERO),
            ..Server::default()
        };
        complaints(&Facts { connected: Ok(server), account: Some(answer), bucket: None, ..sound() })
    };
    assert_snapshot!([
        of(false, Answer::Nobody),
        of(true, Answer::Refused(10_039, "JetStream not enabled for account".to_owned())),
        of(true, Answer::Refused(10_008, "JetStream system temporarily unavailable".to_owned())),
        of(true, Answer::Denied),
        of(true, Answer::Nobody),
        of(true, Answer::Silence(Duration::from_secs(2))),
        of(true, Answer::Yes(Account { storage: 95, limits: Limits { max_storage: 100 }, domain: Some("hub".to_owned()) })),
    ].join("\n---\n"), @r#"
    fail JetStream: it is off: there can be no bucket
      help: jetstream { store_dir: "/var/lib/nats" }, in the server's configuration; or nats-server --jetstream
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    fail JetStream: it is off for this account
      help: accounts { NAME { jetstream: enabled } }, in the server's configuration
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    fail JetStream: it is not available at the moment: JetStream system temporarily unavailable
      help: a cluster needs most of its servers: start those that are down
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    unknown JetStream: the user may not ask about the account
      help: allow the user to publish to $JS.API.INFO, where this is to be looked at
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    fail JetStream: it is on, and nobody answers for this account: a domain or an API prefix is missing, or it is off for the account
      help: --js-domain NAME or --js-api-prefix SUBJECT
      help: accounts { NAME { jetstream: enabled } }, in the server's configuration
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    fail JetStream: it is on, and gives no answer within 2 s
      help: in a cluster, start those servers that are down: most of them have to run
      help: or allow the user to publish to $JS.API.INFO and to subscribe to its inboxes
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ---
    warn JetStream: the account uses 95 of 100 bytes of storage, in the domain hub
      help: raise the account's max_file, or remove what is no longer needed
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    "#);
}

#[test]
fn a_bucket_that_is_not_to_be_had_is_told_apart_by_why() {
    let of = |answer: Answer<Stream>| {
        let buckets = Some(Answer::Yes(vec!["dev".to_owned(), "staging".to_owned()]));
        complaints(&Facts { stream: Some(answer), buckets, probes: Vec::new(), ..sound() })
    };
    assert_snapshot!([
        of(Answer::Refused(10_059, "stream not found".to_owned())),
        of(Answer::Denied),
        of(Answer::Nobody),
        of(Answer::Refused(10_003, "bad request".to_owned())),
    ].join("\n---\n"), @r"
    fail bucket: prod does not exist
      help: name another; there are: dev, staging
      help: kvconf bucket create prod
    ---
    warn bucket: the settings of prod may not be asked for: the least is assumed, and only one key is written at a time
      help: allow the user to publish to $JS.API.STREAM.INFO.KV_prod, which tells the names of all keys
    ---
    fail bucket: nobody answers for prod: its servers elect a leader, or are down
      help: nats stream cluster info KV_prod; start the servers that are down
    ---
    fail bucket: prod: bad request (error 10003)
    ");
}

#[test]
fn where_no_bucket_is_named_those_that_are_there_are() {
    let of = |buckets| complaints(&Facts { bucket: None, stream: None, buckets, ..sound() });
    assert_snapshot!([
        of(Some(Answer::Yes(vec!["dev".to_owned()]))),
        of(Some(Answer::Yes(Vec::new()))),
        of(Some(Answer::Denied)),
    ].join("\n---\n"), @r"
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME; there are: dev
    ---
    unknown bucket: none is named, so none was looked at
      help: kvconf bucket create NAME; there is none yet
    ---
    unknown bucket: none is named, so none was looked at
      help: --bucket NAME, or KVCONF_BUCKET
    ");
}

#[test]
fn copies_of_other_buckets_that_show_no_keys_are_found_out() {
    let origin = |external| Origin { name: "KV_hub".to_owned(), external, subject_transforms: None };
    let mirror = |external| with_stream(|stream| stream.config.mirror = Some(origin(external)));
    assert_snapshot!([
        complaints(&mirror(None)),
        complaints(&mirror(Some(serde_json::json!({ "api": "$JS.hub.API" })))),
        complaints(&with_stream(|stream| stream.config.sources = Some(vec![origin(None)]))),
        complaints(&with_stream(|stream| stream.config.subjects = vec!["orders.>".to_owned()])),
    ].join("\n---\n"), @r"
    fail origin: prod is a mirror of hub in the same account: its keys are under the other's name, and no client finds them
      help: --bucket hub
    ---

    ---
    fail origin: prod copies from hub without a subject transform: the keys of hub are not found in it
      help: kvconf bucket update prod --source hub, which adds the transform
    ---
    fail origin: the stream takes orders.>, and not $KV.prod.>: it is no bucket
      help: kvconf bucket create prod, under another name
    ");
}

#[test]
fn settings_that_lose_or_refuse_something_are_named() {
    let facts = with_stream(|stream| {
        stream.config.max_msgs_per_subject = 3;
        stream.config.max_age = 3_600_000_000_000;
        stream.config.max_bytes = 1_000;
        stream.state.bytes = 950;
        stream.config.discard = "old".to_owned();
        stream.config.storage = "memory".to_owned();
        stream.config.allow_direct = false;
        stream.config.allow_rollup_hdrs = false;
        stream.state.consumer_count = 95_000;
    });
    assert_snapshot!(complaints(&facts), @r"
    warn history: 3 revisions of a key are kept: states under concurrent writes cannot be proven exact, and a rollback reaches no further
      help: kvconf bucket update prod --history 64
    warn direct reads: no direct reads: consistent reads and states of the past are not to be had
      help: nats stream edit KV_prod --allow-direct
    warn expiry: every value is removed 3600s after it was written, whether it is in use or not
      help: kvconf bucket update prod --max-age 0
    fail consumers: 95000 of at most 100000 read it; each process that watches takes one
      help: kvconf export --bucket prod > all.jsonl; kvconf bucket create OTHER --max-consumers 100000; kvconf import all.jsonl --bucket OTHER
    warn room: 950 of 1000 bytes are in use: when it is full, nothing can be changed
      help: kvconf bucket update prod --max-bytes 2000
    fail room: a full bucket drops its oldest values without a word
      help: nats stream edit KV_prod --discard new
    warn storage: it is kept in the memory of one server: gone when that server ends
      help: kvconf export --bucket prod > all.jsonl; kvconf bucket create OTHER --storage file; kvconf import all.jsonl --bucket OTHER
    warn purge: keys cannot be purged, only deleted
      help: nats stream edit KV_prod --allow-rollup
    ");
}

#[test]
fn a_cluster_tells_who_leads_and_who_lags() {
    let with = |leader: Option<&str>, replicas: u64, others: Vec<Replica>| {
        complaints(&with_stream(|stream| {
            stream.config.num_replicas = replicas;
            stream.cluster = Some(Cluster {
                name: Some("c".to_owned()),
                leader: leader.map(str::to_owned),
                replicas: Some(others),
            });
        }))
    };
    let copy = |name: &str, current, offline, lag| Replica { name: name.to_owned(), current, offline, lag };
    assert_snapshot!([
        with(Some("n0"), 3, vec![copy("n1", true, false, 0), copy("n2", true, false, 0)]),
        with(None, 3, vec![copy("n1", false, true, 0), copy("n2", false, false, 7)]),
        with(Some("n0"), 1, Vec::new()),
    ].join("\n---\n"), @r"
    ---
    fail leader: no server leads the bucket: nothing can be written
      help: nats stream cluster info KV_prod; start the servers that are down
    warn copies: copies that do not keep up: n1 (offline), n2 (7 behind)
      help: start those servers, or look at their logs
    ---
    warn copies: 1 copy in a cluster: a server that ends takes the bucket with it for so long
      help: kvconf bucket update prod --replicas 3
    ");
}

#[test]
fn a_clock_is_judged_by_how_long_the_answer_took() {
    let skewed = |seconds: u64, took: u64| {
        complaints(&with_stream(|stream| {
            let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
            stream.clocks = Some((ours - Duration::from_secs(seconds), ours));
            stream.took = Duration::from_secs(took);
        }))
    };
    assert_snapshot!(skewed(90, 0), @r"
    warn clock: the server's is 90 s behind this one: times typed here, such as `--to 14:02`, are taken by the server's, rules of flags that ask for the time by this one
      help: timedatectl set-ntp true, on the machine that is wrong
    ");
    assert_eq!(skewed(3, 2), "");
}

#[test]
fn a_missing_permission_is_named_with_what_it_is_for() {
    let probes = vec![
        probe(Purpose::Watch, Allowed::No),
        probe(Purpose::EndWatch, Allowed::No),
        probe(Purpose::FlowControl, Allowed::No),
        probe(Purpose::ReadKey, Allowed::No),
        probe(Purpose::ReadMany, Allowed::No),
        probe(Purpose::ReadAtLeader, Allowed::Unknown),
        probe(Purpose::Write, Allowed::Yes),
    ];
    let facts = Facts { probes, refused_inboxes: vec!["_INBOX.x.*".to_owned()], ..sound() };
    assert_snapshot!(complaints(&facts), @r"
    fail inbox: the user may not subscribe to _INBOX.x.*: no answer can ever arrive
      help: --inbox-prefix PREFIX, or NATS_INBOX_PREFIX, with a prefix that the user may subscribe to
      help: or allow the user to subscribe to _INBOX.>
    fail permission to watch: subject.of.Watch is forbidden: no service can follow these keys, and none starts
      help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>
    warn permission to end a watch: subject.of.EndWatch is forbidden: the server forgets a consumer ten seconds late
      help: allow the user to publish to $JS.API.CONSUMER.DELETE.KV_prod.*
    warn permission for flow control: subject.of.FlowControl is forbidden: a load of many keys stalls
      help: allow the user to publish to $JS.FC.KV_prod.>
    warn permission to read a key: subject.of.ReadKey is forbidden: `kvconf get` does not work, and a conflict cannot name the other author
      help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod.$KV.prod.>
    warn permission for consistent reads: subject.of.ReadMany is forbidden: no states of the past and no rollback; whoever has it reads the whole bucket
      help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod
    unknown permission to read at the leader: no answer on subject.of.ReadAtLeader: forbidden, or nobody there
    unknown scope: all keys were asked for; a user with less can be looked at by the prefix that it has
      help: kvconf doctor --prefix PREFIX
    ");
    let scoped =
        Facts { prefix: "checkout".to_owned(), probes: vec![probe(Purpose::Write, Allowed::No)], ..sound() };
    assert_snapshot!(complaints(&scoped), @r"
    warn permission to write: subject.of.Write is forbidden: this user changes nothing
      help: allow the user to publish to $KV.prod.checkout.>
    ");
}

#[test]
fn values_that_programs_would_not_take_are_told_with_the_schema() {
    let judged = |refused: Option<&[&str]>| Judged {
        name: "checkout".to_owned(),
        version: "1.4.0".to_owned(),
        layers: vec!["base".to_owned(), "host.*".to_owned()],
        refused: refused.map(|all| all.iter().map(|it| (*it).to_owned()).collect()),
    };
    let of = |refused| {
        told(&Facts { schemas: Some(vec![judged(refused)]), ..sound() }, |_| true)
            .lines()
            .skip_while(|line| !line.contains(" values: "))
            .take_while(|line| !line.contains(" permissions: "))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!([of(Some(&[])), of(Some(&["a: 1", "b: 2", "c: 3"])), of(None)].join("\n"), @r"
    pass values: checkout 1.4.0 reads what stands there, in the layers base, host.*
    fail values: checkout 1.4.0 would not take what stands there, in the layers base, host.*: a: 1, and 2 more
      help: kvconf schema check checkout
    unknown values: those of checkout 1.4.0 could not be read, in the layers base, host.*
      help: kvconf schema check checkout
    ");
}

#[test]
fn a_stream_that_is_set_as_no_bucket_is_says_why_nothing_works() {
    let loses = with_stream(|stream| stream.config.retention = "interest".to_owned());
    assert_snapshot!(complaints(&loses), @r"
    fail retention: the retention is interest: values go when they are read, or at once
      help: kvconf bucket create prod, under another name
    ");
    let renames = with_stream(|stream| {
        let (src, dest) = ("$KV.prod.>".to_owned(), "other.>".to_owned());
        stream.config.subject_transform = Some(Transform { src, dest });
    });
    assert_snapshot!(complaints(&renames), @r"
    fail origin: the stream stores $KV.prod.> as other.>: keys are not found under their names
      help: kvconf bucket create prod, under another name
    ");
    let odd = with_stream(|stream| {
        stream.config.no_ack = true;
        stream.config.discard_new_per_subject = true;
        stream.config.consumer_limits.inactive_threshold = 5_000_000_000;
    });
    assert_snapshot!(complaints(&odd), @r"
    fail consumers: the stream forgets consumers after 5s: those of kvconf ask for 10s, and are refused
      help: nats stream edit KV_prod --limit-consumer-inactive 10s
    fail writes: no write is acknowledged: each takes five seconds, until it is looked for
      help: nats stream edit KV_prod --ack
    fail writes: a key that has 64 revisions takes no more: nothing makes room but a purge
      help: nats stream edit KV_prod --no-discard-per-subject
    ");
}

#[test]
fn without_direct_reads_nobody_is_taken_for_forbidden_to_make_them() {
    let mut facts = with_stream(|stream| stream.config.allow_direct = false);
    facts.probes =
        vec![probe(Purpose::ReadKey, Allowed::Unknown), probe(Purpose::ReadMany, Allowed::Unknown)];
    assert_snapshot!(complaints(&facts), @r"
    warn direct reads: no direct reads: consistent reads and states of the past are not to be had
      help: nats stream edit KV_prod --allow-direct
    ");
}
