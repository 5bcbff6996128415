//! Who is served when, and in what company.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{PATIENT, bits, climb, noise, open};
use crate::engine::toy::{Signals, Toy};
use crate::engine::{Engine, EngineConfig, Row};
use crate::loss::Loss;
use crate::oracle::Oracle;

/// Calls of two rows. Rows that have ended their attack but are still open are not waited for long.
const PAIRS: EngineConfig = EngineConfig { min_batch: 2, max_batch: 2, gather: Duration::from_millis(20), ..PATIENT };

fn engine(toy: Toy, config: EngineConfig) -> (Engine, Signals) {
    let signals = toy.signals.clone();
    (Engine::spawn(Box::new(toy), config).unwrap(), signals)
}

#[test]
fn a_single_question_is_not_starved_by_long_attacks() {
    let toy = Toy { pause: Duration::from_millis(2), ..Toy::default() };
    let (engine, signals) = engine(toy, PAIRS);
    let long: Vec<Row> = (0..7).map(|_| open(&engine, "liver", Loss::Bce)).collect();
    let mut short = open(&engine, "liver", Loss::Bce);
    let enough = AtomicBool::new(false);
    let mut waited = vec![];
    thread::scope(|scope| {
        for mut row in long {
            let enough = &enough;
            scope.spawn(move || {
                while !enough.load(Ordering::SeqCst) {
                    row.loss_and_gradient(&noise(1, 8, 8)).unwrap();
                }
            });
        }
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(5));
            let before = signals.calls.load(Ordering::SeqCst);
            short.logits(&noise(2, 8, 8)).unwrap();
            waited.push(signals.calls.load(Ordering::SeqCst) - before);
        }
        enough.store(true, Ordering::SeqCst);
    });
    // Seven before it in calls of two, its own, one more as it is of another kind, and one that had begun. On a loaded
    // machine this thread may be late with a question now and then, but not with most.
    waited.sort_unstable();
    assert!(waited[waited.len() / 2] <= 4 + 1 + 1 + 1, "it waited for {waited:?} calls");
}

#[test]
fn long_attacks_are_not_starved_by_many_short_ones() {
    let toy = Toy { pause: Duration::from_millis(2), ..Toy::default() };
    let (engine, signals) = engine(toy, PAIRS);
    let mut long = open(&engine, "liver", Loss::Bce);
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            let (engine, enough) = (&engine, &enough);
            scope.spawn(move || {
                while !enough.load(Ordering::SeqCst) {
                    open(engine, "liver", Loss::Bce).logits(&noise(2, 8, 8)).unwrap();
                }
            });
        }
        let before = signals.calls.load(Ordering::SeqCst);
        let steps = 21;
        climb(&mut long, &noise(1, 8, 8));
        let calls = signals.calls.load(Ordering::SeqCst) - before;
        enough.store(true, Ordering::SeqCst);
        assert!(calls <= steps * (3 + 1 + 1 + 1), "{steps} steps waited for {calls} calls");
    });
}

#[test]
fn the_number_of_rows_follows_what_calls_cost_and_changes_no_answer() {
    let measured =
        EngineConfig { min_batch: 1, max_batch: 8, longest_call: Duration::from_secs(2), ..EngineConfig::default() };
    let attack = |engine: &Engine| {
        let rows: Vec<Row> = (0..8).map(|_| open(engine, "liver", Loss::DiceCe)).collect();
        let found: Vec<_> = thread::scope(|scope| {
            let climbs = rows.into_iter().map(|mut row| scope.spawn(move || climb(&mut row, &noise(3, 9, 7))));
            let climbs: Vec<_> = climbs.collect();
            climbs.into_iter().map(|climb| bits(&climb.join().unwrap().1)).collect()
        });
        assert!(found.iter().all(|image| *image == found[0]));
        found[0].clone()
    };
    // A call that takes as long whatever its rows, and one that takes as long as its rows.
    let flat = Toy { pause: Duration::from_millis(25), ..Toy::default() };
    let steep = Toy { pause_per_row: Duration::from_millis(25), ..Toy::default() };
    let (flat, steep) = (engine(flat, measured).0, engine(steep, measured).0);
    let answers = [attack(&flat), attack(&steep), attack(&flat), attack(&steep)];
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert!(flat.stats().mean_rows() > 2. * steep.stats().mean_rows(), "{:?} {:?}", flat.stats(), steep.stats());
}
