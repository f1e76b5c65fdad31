use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::settings::{Login, Settings, Surroundings, resolve};
use super::{ConnectArgs, ConnectError};

/// An environment and a disk.
#[derive(Default)]
struct World {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
}

impl World {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.insert(name, value);
        self
    }

    fn file(mut self, path: &'static str, text: &'static str) -> Self {
        self.files.insert(path, text);
        self
    }

    fn at_home() -> Self {
        Self::default().with("HOME", "/home/ops")
    }

    fn selected() -> Self {
        Self::at_home().file("/home/ops/.config/nats/context.txt", "prod\n").file(
            "/home/ops/.config/nats/context/prod.json",
            r#"{"url":"nats://prod:4222","user":"ops","password":"p","jetstream_domain":"hub","unknown":1}"#,
        )
    }

    fn resolve(&self, args: &ConnectArgs) -> Result<Settings, ConnectError> {
        let read = |path: &Path| {
            let text = self.files.get(path.to_str().unwrap());
            text.map(|text| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        resolve(
            args,
            &Surroundings {
                variable: &|name| self.variables.get(name).map(|value| (*value).to_owned()),
                read: &read,
                names: &|_| vec!["dev".to_owned(), "prod".to_owned()],
            },
        )
    }
}

fn flags(set: impl FnOnce(&mut ConnectArgs)) -> ConnectArgs {
    let mut args = ConnectArgs::default();
    set(&mut args);
    args
}

fn user(name: &str, password: &str) -> Login {
    Login::User { name: name.to_owned(), password: password.to_owned() }
}

#[test]
fn without_anything_it_is_the_local_server() {
    let settings = World::default().resolve(&ConnectArgs::default()).unwrap();
    assert_eq!((settings.servers.as_str(), settings.login), ("nats://127.0.0.1:4222", Login::Nobody));
    assert_eq!(settings.timeout, Duration::from_secs(5));
}

#[test]
fn the_selected_context_is_used_and_the_environment_wins_over_it() {
    let settings = World::selected().resolve(&ConnectArgs::default()).unwrap();
    assert_eq!((settings.servers.as_str(), settings.login), ("nats://prod:4222", user("ops", "p")));
    assert_eq!((settings.js_domain.as_deref(), settings.context.as_deref()), (Some("hub"), Some("prod")));

    let world = World::selected().with("NATS_URL", "nats://other").with("NATS_TOKEN", "t");
    let settings = world.resolve(&ConnectArgs::default()).unwrap();
    assert_eq!((settings.servers.as_str(), settings.login), ("nats://other", Login::Token("t".to_owned())));
}

#[test]
fn a_context_that_a_flag_names_wins_over_the_environment_and_flags_over_all() {
    let world = World::selected().with("NATS_URL", "nats://other").with("NATS_TOKEN", "t");
    let named = |args: &mut ConnectArgs| args.context = Some("prod".to_owned());
    let settings = world.resolve(&flags(named)).unwrap();
    assert_eq!((settings.servers.as_str(), settings.login), ("nats://prod:4222", user("ops", "p")));
    let settings = world
        .resolve(&flags(|args| {
            named(args);
            args.server = Some("nats://flag".to_owned());
            args.user = Some("me".to_owned());
            args.password = Some("x".to_owned());
        }))
        .unwrap();
    assert_eq!((settings.servers.as_str(), settings.login), ("nats://flag", user("me", "x")));
}

#[test]
fn files_are_found_from_the_home_folder() {
    let world = World::at_home()
        .file("/home/ops/a.creds", "creds")
        .file("/home/ops/b.nk", "# ours\nSUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y\n");
    let settings = world.resolve(&flags(|args| args.creds = Some("~/a.creds".to_owned()))).unwrap();
    let path = "/home/ops/a.creds".into();
    assert_eq!(settings.login, Login::Credentials { path, text: "creds".to_owned() });
    let settings = world.resolve(&flags(|args| args.nkey = Some("~/b.nk".to_owned()))).unwrap();
    let path = "/home/ops/b.nk".into();
    assert_eq!(
        settings.login,
        Login::Nkey { path, seed: "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y".to_owned() }
    );
    let error = world.resolve(&flags(|args| args.creds = Some("/none".to_owned()))).unwrap_err();
    assert_eq!(error.to_string(), "/none cannot be read");
}

#[test]
fn what_cannot_be_used_is_named() {
    let told = |world: World, args: ConnectArgs| world.resolve(&args).unwrap_err().to_string();
    let named = |name: &str| flags(|args| args.context = Some(name.to_owned()));
    assert_eq!(told(World::selected(), named("staging")), "there is no context staging");
    let broken = World::at_home().file("/home/ops/.config/nats/context/x.json", "{");
    assert_eq!(told(broken, named("x")), "the context /home/ops/.config/nats/context/x.json cannot be used");
    let nsc = World::at_home().file("/home/ops/.config/nats/context/x.json", r#"{"nsc":"nsc://o/a/u"}"#);
    assert_eq!(
        told(nsc, named("x")),
        "the context x asks for the `nsc` command for its login, which kvconf cannot use"
    );
    let store = World::at_home()
        .file("/home/ops/.config/nats/context/x.json", r#"{"windows_cert_store":"windowscurrentuser"}"#);
    assert_eq!(
        told(store, named("x")),
        "the context x asks for the certificate store of Windows, which kvconf cannot use"
    );
    let proxy = World::at_home().with("NATS_SOCKS_PROXY", "localhost:1080");
    assert_eq!(
        told(proxy, ConnectArgs::default()),
        "NATS_SOCKS_PROXY asks for a SOCKS proxy, which kvconf cannot use"
    );
    let no_seed = World::at_home().file("/home/ops/b.nk", "UABC\nSUABC\n");
    let nkey = flags(|args| args.nkey = Some("~/b.nk".to_owned()));
    assert_eq!(told(no_seed, nkey), "/home/ops/b.nk has no usable seed of an nkey");
    let wait = flags(|args| args.timeout = Some("soon".to_owned()));
    assert_eq!(told(World::default(), wait), "\"soon\" is no time to wait");
    let half = flags(|args| args.tlskey = Some("k.pem".to_owned()));
    assert_eq!(told(World::default(), half), "--tlskey is given without --tlscert");
}

#[test]
fn a_jwt_of_a_context_needs_no_seed_where_it_is_one_for_whoever_has_it() {
    let context = "/home/ops/.config/nats/context/x.json";
    let resolved = |text: &'static str| {
        let args = flags(|args| args.context = Some("x".to_owned()));
        World::at_home().file(context, text).resolve(&args).unwrap().login
    };
    assert_eq!(resolved(r#"{"user_jwt":"j.w.t"}"#), Login::Bearer("j.w.t".to_owned()));
    let Login::Credentials { text, .. } = resolved(r#"{"user_jwt":"j.w.t","user_seed":"SUABC"}"#) else {
        panic!("a JWT with its seed is a login by credentials")
    };
    assert!(text.contains("\nj.w.t\n") && text.contains("\nSUABC\n"), "{text}");
}

#[test]
fn a_selection_that_was_left_behind_is_no_reason_to_stop() {
    let world = World::at_home().file("/home/ops/.config/nats/context.txt", "gone");
    assert_eq!(world.resolve(&ConnectArgs::default()).unwrap().servers, "nats://127.0.0.1:4222");
}

#[test]
fn no_message_shows_a_password() {
    // P11
    let args = flags(|args| args.server = Some("nats://ops:hunter2@a:4222, tls://b, c:p@d".to_owned()));
    let settings = World::default().resolve(&args).unwrap();
    assert_eq!(settings.shown_servers(), "nats://a:4222,tls://b,d");
    let args = flags(|args| {
        args.user = Some("ops".to_owned());
        args.password = Some("hunter2".to_owned());
    });
    let settings = World::default().resolve(&args).unwrap();
    assert_eq!(format!("{:?}", settings.login), "the user ops with this password");
}
