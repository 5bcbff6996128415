//! What rows are told when something goes wrong, and what their neighbours do not notice.

use std::sync::atomic::Ordering;
use std::thread;

use candle_core::{DType, Device, Tensor};

use super::{bits, climb, engine, noise, open, spec};
use crate::engine::toy::{SIZE, Toy};
use crate::engine::{Engine, EngineConfig, EngineError, EngineStats, Row, RowSpec, Space};
use crate::loss::Loss;
use crate::model::Question;
use crate::oracle::{Oracle, OracleError};

#[test]
fn a_panic_in_the_model_is_an_answer_and_the_end_of_its_service() {
    let (engine, signals) = engine(Toy::default());
    let mut rows: Vec<Row> = (0..3).map(|_| open(&engine, "liver", Loss::Bce)).collect();
    signals.panic.store(true, Ordering::SeqCst);
    let answers: Vec<_> = thread::scope(|scope| {
        let asks: Vec<_> =
            rows.iter_mut().map(|row| scope.spawn(|| row.loss_and_gradient(&noise(7, 8, 8)).map(|_| ()))).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    for answer in answers {
        assert!(answer.is_err_and(|error| error.to_string().contains("a bug in the model")));
    }
    assert!(engine.failure().is_some_and(|failure| failure.contains("a bug in the model")));
    rows.truncate(1);
    assert!(matches!(rows[0].logits(&noise(7, 8, 8)), Err(OracleError::Model(_))));
    assert!(matches!(engine.open(spec(&engine, "liver", Loss::Bce)), Err(OracleError::Model(_))));
    assert!(matches!(engine.prepare("another"), Err(EngineError::Stopped(_))));
    assert_eq!(signals.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_gradient_that_is_not_finite_concerns_its_row_only() {
    for strict in [false, true] {
        let (engine, _) = engine(Toy { strict, ..Toy::default() });
        let mut healthy = open(&engine, "liver", Loss::DiceCe);
        let expected = climb(&mut healthy, &noise(8, 8, 8));
        let mut poisoned = open(&engine, "nan", Loss::DiceCe);
        let (found, error) = thread::scope(|scope| {
            let ask = scope.spawn(move || poisoned.loss_and_gradient(&noise(8, 8, 8)).unwrap_err());
            (climb(&mut healthy, &noise(8, 8, 8)), ask.join().unwrap())
        });
        assert!(matches!(error, OracleError::Gradient(_)), "strict {strict}: {error}");
        assert_eq!((found.0, bits(&found.1)), (expected.0, bits(&expected.1)), "strict {strict}");
        assert!(engine.stats().batches_by_rows.contains_key(&2), "the rows never met");
    }
}

#[test]
fn a_batch_that_does_not_fit_is_halved_and_the_size_remembered() {
    let (engine, signals) = engine(Toy::default());
    signals.fits.store(1, Ordering::SeqCst);
    let alone: Vec<_> =
        (0..4).map(|i| bits(&climb(&mut open(&engine, "liver", Loss::Bce), &noise(i, 8, 8)).1)).collect();
    let rows: Vec<Row> = (0..4).map(|_| open(&engine, "liver", Loss::Bce)).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let climbs = rows.into_iter().enumerate();
        let climbs: Vec<_> =
            climbs.map(|(i, mut row)| scope.spawn(move || bits(&climb(&mut row, &noise(i, 8, 8)).1))).collect();
        climbs.into_iter().map(|climb| climb.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
    let stats = engine.stats();
    let most = |stats: &EngineStats| stats.calls[&Question::Gradient].most_rows;
    assert_eq!(most(&stats), 1, "four, then two, then ones: {stats:?}");
    assert!(stats.halvings >= 2, "{stats:?}");

    // Whoever took the memory is gone: after a while full batches come back.
    signals.fits.store(4, Ordering::SeqCst);
    let mut row = open(&engine, "liver", Loss::Bce);
    for _ in 0..600 {
        row.loss_and_gradient(&noise(0, 8, 8)).unwrap();
    }
    let later = engine.stats();
    assert_eq!((later.halvings, most(&later)), (stats.halvings, 4), "{later:?}");
}

#[test]
fn one_row_that_does_not_fit_says_so() {
    let (engine, signals) = engine(Toy::default());
    signals.fits.store(0, Ordering::SeqCst);
    let error = open(&engine, "liver", Loss::Bce).logits(&noise(1, 8, 8)).unwrap_err();
    assert!(matches!(error, OracleError::Model(ref text) if text.contains("OUT_OF_MEMORY")), "{error}");
}

#[test]
fn a_batch_beyond_the_memory_is_never_formed() {
    let toy = Toy { bytes_per_row: Some(100), ..Toy::default() };
    let signals = toy.signals.clone();
    signals.fits.store(2, Ordering::SeqCst);
    let config = EngineConfig { memory: Some(250), ..super::PATIENT };
    let engine = Engine::spawn(Box::new(toy), config).unwrap();
    let rows: Vec<Row> = (0..4).map(|_| open(&engine, "liver", Loss::Bce)).collect();
    thread::scope(|scope| {
        rows.into_iter().for_each(|mut row| drop(scope.spawn(move || climb(&mut row, &noise(1, 8, 8)))));
    });
    let stats = engine.stats();
    assert_eq!((stats.halvings, stats.batches_by_rows.keys().max()), (0, Some(&2)), "{stats:?}");

    let toy = Toy { bytes_per_row: Some(5 << 20), ..Toy::default() };
    let refused = Engine::spawn(Box::new(toy), EngineConfig { memory: Some(4 << 20), ..super::PATIENT });
    assert!(refused.is_err_and(|error| error.to_string().contains("5 MiB")));
}

#[test]
fn after_a_shutdown_rows_are_told() {
    let (engine, signals) = engine(Toy::default());
    let mut row = open(&engine, "liver", Loss::Bce);
    engine.clone().shutdown();
    assert!(signals.model_is_freed());
    assert!(matches!(row.logits(&noise(1, 8, 8)), Err(OracleError::Model(text)) if text.contains("stopped")));
    engine.shutdown();
}

#[test]
fn points_and_masks_of_the_wrong_shape_are_errors() {
    let (engine, _) = engine(Toy::default());
    let mut wrong = spec(&engine, "liver", Loss::Bce);
    wrong.objective.target = Tensor::zeros((SIZE, SIZE + 1), DType::F32, &Device::Cpu).unwrap();
    assert!(engine.open(wrong).is_err_and(|error| error.to_string().contains("8x8")));
    assert_eq!(engine.stats().rows, 0);

    let mut row = engine.open(RowSpec { space: Space::PixelValues, ..spec(&engine, "liver", Loss::Bce) }).unwrap();
    assert!(row.logits(&noise(1, 9, 8)).is_err_and(|error| error.to_string().contains("9x8")));
    drop(row);
    let mut row = open(&engine, "liver", Loss::Bce);
    assert!(row.logits(&noise(1, 8, 8).to_dtype(DType::F64).unwrap()).is_err());
    assert!(row.logits(&noise(1, 8, 8).get(0).unwrap()).is_err());
}
