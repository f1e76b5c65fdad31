//! Faults at random, for as long as `KVCONF_SOAK_SECONDS` says.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use kvconf_tests::server::Server;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::scene::{PROMPT, Scene, stream};
use super::table::Row;

/// How long it takes unless told otherwise: shorter than the longest of the other faults.
const SECONDS: u64 = 12;

/// Within which time a handle follows again after any of them. The last attempt to begin may have been waiting for an
/// answer for five seconds, or for four before the next.
const BACK: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Killed,
    Cut,
    Held,
    Slow,
    ConsumersDeleted,
    JetStreamOff,
    CutWhileHeld,
    KilledWhileSlow,
}

const FAULTS: [Fault; 8] = [
    Fault::Killed,
    Fault::Cut,
    Fault::Held,
    Fault::Slow,
    Fault::ConsumersDeleted,
    Fault::JetStreamOff,
    Fault::CutWhileHeld,
    Fault::KilledWhileSlow,
];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

/// P1, P2, P4, P5, P6
pub async fn at_random() -> Row {
    let length = Duration::from_secs(number("KVCONF_SOAK_SECONDS").unwrap_or(SECONDS));
    let seed = number("KVCONF_SOAK_SEED").unwrap_or_else(|| rand::random::<u32>().into());
    println!("soak: {} s of faults; the same ones by KVCONF_SOAK_SEED={seed}", length.as_secs());
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::start().await;
    let writers = scene.writers().await;
    let (begun, mut faults, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < length {
        let fault = FAULTS[random.random_range(0..FAULTS.len())];
        let lasting = Duration::from_millis(random.random_range(0..4_000));
        println!("soak: {:.1} s: {fault:?} for {lasting:?}", begun.elapsed().as_secs_f64());
        break_for(&mut scene, fault, lasting).await;
        let healed = Instant::now();
        slowest = slowest.max(scene.watched.converges(healed, writers.newest(), BACK).await);
        writers.go_on(PROMPT).await;
        scene.watched.converges(Instant::now(), writers.newest(), BACK).await;
        faults += 1;
    }
    assert!(faults > 0);
    let row = Row::new("soak: faults at random").told(format!("{faults} faults in {} s", length.as_secs()));
    let row = scene.converges(row, writers, Instant::now(), BACK).await;
    row.converged(slowest, BACK).note("the slowest of them")
}

/// Makes a fault, and heals it when it has lasted.
async fn break_for(scene: &mut Scene, fault: Fault, lasting: Duration) {
    match fault {
        Fault::Killed | Fault::KilledWhileSlow => {
            if matches!(fault, Fault::KilledWhileSlow) {
                scene.proxy.slow(256, Duration::from_millis(20));
            }
            scene.server.kill();
        }
        Fault::Cut => scene.proxy.cut(),
        Fault::Held | Fault::CutWhileHeld => scene.proxy.hold(),
        Fault::Slow => scene.proxy.slow(256, Duration::from_millis(20)),
        Fault::JetStreamOff => scene.server.restart_with(Server::builder().without_jetstream()).await,
        Fault::ConsumersDeleted => {
            let admin = stream(&scene.server.client().await).await;
            let names: Vec<_> = admin.consumer_names().collect().await;
            for name in names.into_iter().flatten() {
                // Some are gone by themselves meanwhile.
                let _ = admin.delete_consumer(&name).await;
            }
        }
    }
    tokio::time::sleep(lasting).await;
    match fault {
        Fault::Killed | Fault::KilledWhileSlow => scene.server.restart().await,
        Fault::JetStreamOff => scene.server.restart_with(Server::builder()).await,
        Fault::CutWhileHeld => scene.proxy.cut(),
        Fault::Cut | Fault::Held | Fault::Slow | Fault::ConsumersDeleted => {}
    }
    scene.proxy.resume();
}
