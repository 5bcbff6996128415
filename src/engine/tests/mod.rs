//! An engine around the toy model.

mod failures;
mod scheduling;
mod texts;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use candle_core::{DType, Device, Result, Tensor};

use super::toy::{SIZE, Signals, Toy};
use super::{CancelToken, Engine, EngineConfig, Goal, Objective, Row, RowSpec, Space};
use crate::imaging::Mask;
use crate::loss::{Counted, Loss};
use crate::oracle::{Measure, Oracle, OracleError};

/// Waits for every live row, so that what shares a batch does not depend on timing.
const PATIENT: EngineConfig = EngineConfig {
    min_batch: 4,
    max_batch: 4,
    max_rows: 8,
    gather: Duration::from_secs(600),
    longest_call: Duration::from_secs(600),
    memory: None,
};

fn engine(toy: Toy) -> (Engine, Signals) {
    let signals = toy.signals.clone();
    (Engine::spawn(Box::new(toy), PATIENT).unwrap(), signals)
}

/// Repeatable noise in [0, 1), `[3, h, w]`.
fn noise(seed: usize, h: usize, w: usize) -> Tensor {
    let value = |i: usize| (((i + 1) as f32 * 12.9898 + seed as f32 * 78.233).sin() * 437.585).rem_euclid(1.);
    Tensor::from_vec((0..3 * h * w).map(value).collect(), (3, h, w), &Device::Cpu).unwrap()
}

fn spec(engine: &Engine, prompt: &str, loss: Loss) -> RowSpec {
    let inside = |at: usize| f32::from(u8::from((2..6).contains(&(at / SIZE)) && (1..5).contains(&(at % SIZE))));
    let target = Tensor::from_vec((0..SIZE * SIZE).map(inside).collect(), (SIZE, SIZE), &Device::Cpu).unwrap();
    RowSpec {
        conditioning: engine.prepare(prompt).unwrap(),
        objective: Objective { loss, target, goal: Goal::Untargeted, counted: None },
        space: Space::Pixels,
        cancel: CancelToken::default(),
    }
}

fn open(engine: &Engine, prompt: &str, loss: Loss) -> Row {
    engine.open(spec(engine, prompt, loss)).unwrap()
}

fn floats(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1()).unwrap()
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.flatten_all().and_then(|x| x.to_vec1::<f32>()).unwrap().into_iter().map(f32::to_bits).collect()
}

/// Twenty steps along the sign of the gradient, as an attack would take them.
fn climb(row: &mut Row, start: &Tensor) -> (Vec<f32>, Tensor) {
    let mut x = start.clone();
    let mut losses = Vec::new();
    for _ in 0..20 {
        let answer = row.loss_and_gradient(&x).unwrap();
        losses.push(answer.loss);
        x = answer.gradient.sign().and_then(|sign| (&x + sign * (2. / 255.))?.clamp(0f32, 1.)).unwrap();
    }
    losses.push(row.loss(&x).unwrap().0);
    (losses, x)
}

#[test]
fn the_gradient_reaches_the_image_through_the_resize() -> Result<()> {
    let (engine, _) = engine(Toy::default());
    // losses that are smooth, and through all of which a gradient flows
    let smooth =
        [Loss::DiceCe, Loss::DiceCePaper, Loss::Bce, Loss::SoftDice, Loss::SegPgd, Loss::Jsd, Loss::BoundaryCe];
    for (h, w) in [(21, 13), (5, 6), (SIZE, SIZE)] {
        for loss in smooth {
            let mut row = open(&engine, "kidney", loss);
            let (x, direction) = (noise(1, h, w), noise(2, h, w));
            let answer = row.loss_and_gradient(&x).unwrap();
            assert_eq!(answer.gradient.dims(), [3, h, w]);
            let slope: f64 = floats(&answer.gradient).iter().zip(floats(&direction)).map(|(g, d)| g * d).sum();

            // The toy is affine, so two points give its logits along the line, and the loss there in f64.
            let from = row.logits(&x).unwrap().to_dtype(DType::F64)?;
            let along = (row.logits(&(&x + &direction)?).unwrap().to_dtype(DType::F64)? - &from)?;
            let target = spec(&engine, "kidney", loss).objective.target.to_dtype(DType::F64)?;
            let at = |t: f64| loss.value(&(&from + (&along * t)?)?, &target)?.to_scalar::<f64>();
            let difference = (at(1e-4)? - at(-1e-4)?) / 2e-4;
            assert!((slope - difference).abs() < 2e-6 + 1e-5 * slope.abs(), "{loss} {h}x{w}: {slope} {difference}");
            assert!(slope.abs() > 1e-4, "{loss} {h}x{w}: {slope}");
        }
    }
    Ok(())
}

#[test]
fn loss_alone_is_the_loss_that_comes_with_a_gradient() {
    let (engine, _) = engine(Toy::default());
    for loss in Loss::ALL {
        let mut row = open(&engine, "liver", loss);
        let x = noise(3, 9, 17);
        let answer = row.loss_and_gradient(&x).unwrap();
        let (value, logits) = row.loss(&x).unwrap();
        assert_eq!(value.to_bits(), answer.loss.to_bits(), "{loss}");
        assert_eq!(bits(&logits), bits(&answer.logits), "{loss}");
        assert_eq!(bits(&logits), bits(&row.logits(&x).unwrap()), "{loss}");
        drop(row);
        assert_eq!(bits(&logits), bits(&engine.segment(&engine.prepare("liver").unwrap(), &x).unwrap()));
    }
}

#[test]
fn a_targeted_objective_is_the_negated_loss() {
    let (engine, _) = engine(Toy::default());
    let x = noise(4, 12, 8);
    let ask = |goal: Goal| {
        let mut spec = spec(&engine, "spleen", Loss::DiceCe);
        spec.objective.goal = goal;
        let mut row = engine.open(spec).unwrap();
        (row.loss_and_gradient(&x).unwrap(), row.loss(&x).unwrap().0)
    };
    let ((away, up), (towards, down)) = (ask(Goal::Untargeted), ask(Goal::Targeted));
    assert!(away.loss > 0.);
    assert_eq!((towards.loss, down), (-away.loss, -up));
    assert_eq!(bits(&towards.gradient), bits(&away.gradient.neg().unwrap()));
}

#[test]
fn a_question_may_name_its_loss_its_progress_and_its_mask() -> Result<()> {
    let (engine, _) = engine(Toy::default());
    let x = noise(4, 12, 8);
    let other = Tensor::from_vec((0..SIZE * SIZE).map(|i| (i % 3 / 2) as f32).collect(), (SIZE, SIZE), &Device::Cpu)?;
    let ask = |objective: Objective, measure: &Measure| {
        let mut row = engine.open(RowSpec { objective, ..spec(&engine, "spleen", Loss::Bce) }).unwrap();
        let answer = row.gradient_by(&x, measure).unwrap();
        assert_eq!(row.loss_by(&x, measure).unwrap().0.to_bits(), answer.loss.to_bits());
        (answer.loss.to_bits(), bits(&answer.gradient))
    };
    for goal in [Goal::Untargeted, Goal::Targeted] {
        let bce = Objective { goal, ..spec(&engine, "spleen", Loss::Bce).objective };
        for loss in Loss::ALL {
            let named = Measure { loss: Some(loss), ..Measure::default() };
            assert_eq!(ask(bce.clone(), &named), ask(Objective { loss, ..bce.clone() }, &Measure::default()), "{loss}");
            let moved = Measure { target: Some(other.clone()), ..named };
            let there = Objective { loss, target: other.clone(), goal, counted: None };
            assert_eq!(ask(bce.clone(), &moved), ask(there, &Measure::default()), "{loss}");
        }
        let seg = Objective { loss: Loss::SegPgd, ..bce.clone() };
        let masked = Objective { loss: Loss::MaskedCe, ..bce };
        assert_eq!(ask(seg.clone(), &Measure::after(0, 9)).1, ask(masked, &Measure::default()).1);
        assert_ne!(ask(seg.clone(), &Measure::after(4, 9)).1, ask(seg, &Measure::after(5, 9)).1);
    }
    let mut row = open(&engine, "spleen", Loss::Bce);
    let small = Measure { target: Some(other.narrow(0, 0, 3)?), ..Measure::default() };
    assert!(row.loss_by(&x, &small).unwrap_err().to_string().contains("resize it"));
    Ok(())
}

#[test]
fn pixels_that_do_not_count_and_weights_of_ones_own_share_a_batch_with_other_rows() -> Result<()> {
    let (engine, _) = engine(Toy::default());
    let ignored = Mask::from_fn(SIZE, SIZE, |x, y| x > 2 && y < 4);
    let counted = Counted::outside(&ignored, &Device::Cpu).unwrap();
    let weights =
        Tensor::from_vec((0..SIZE * SIZE).map(|i| (i % 5) as f32 - 2.).collect(), (SIZE, SIZE), &Device::Cpu)?;
    let measures = [
        Measure { counted: counted.clone(), ..Measure::default() },
        Measure::default(),
        Measure { weights: Some(weights.clone()), ..Measure::default() },
        Measure::default(),
    ];
    for goal in [Goal::Untargeted, Goal::Targeted] {
        let row = || {
            let objective = Objective { goal, ..spec(&engine, "liver", Loss::DiceCe).objective };
            engine.open(RowSpec { objective, ..spec(&engine, "liver", Loss::DiceCe) }).unwrap()
        };
        let ask = |row: &mut Row, at: usize| {
            let answer = row.gradient_by(&noise(at, 9, 9), &measures[at]).unwrap();
            (answer.loss.to_bits(), bits(&answer.gradient))
        };
        let alone: Vec<_> = (0..4).map(|at| ask(&mut row(), at)).collect();
        let rows: Vec<Row> = (0..4).map(|_| row()).collect();
        let together: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> =
                rows.into_iter().enumerate().map(|(at, mut row)| scope.spawn(move || ask(&mut row, at))).collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert_eq!(together, alone);

        // A weighted sum is what it is, whatever the goal; the toy's gradient along a direction is exact.
        let (x, direction) = (noise(2, 9, 9), noise(5, 9, 9));
        let mut row = row();
        let weighed = |row: &mut Row, x: &Tensor| {
            let products = floats(&row.logits(x).unwrap()).into_iter().zip(floats(&weights));
            products.map(|(z, weight)| z * weight).sum::<f64>()
        };
        let answer = row.gradient_by(&x, &measures[2]).unwrap();
        let here = weighed(&mut row, &x);
        assert!((f64::from(answer.loss) - here).abs() < 1e-4 * (1. + here.abs()), "{} {here}", answer.loss);
        assert_eq!(row.loss_by(&x, &measures[2]).unwrap().0.to_bits(), answer.loss.to_bits());
        let slope: f64 = floats(&answer.gradient).iter().zip(floats(&direction)).map(|(g, d)| g * d).sum();
        let there = weighed(&mut row, &(&x + &direction)?);
        assert!((slope - (there - here)).abs() < 1e-3 * (1. + slope.abs()), "{slope} {}", there - here);

        drop(row);
        let in_objective =
            Objective { counted: counted.clone(), goal, ..spec(&engine, "liver", Loss::DiceCe).objective };
        let mut own = engine.open(RowSpec { objective: in_objective, ..spec(&engine, "liver", Loss::DiceCe) }).unwrap();
        let answer = own.loss_and_gradient(&noise(0, 9, 9)).unwrap();
        assert_eq!((answer.loss.to_bits(), bits(&answer.gradient)), alone[0]);
        let small = Counted::outside(&Mask::from_fn(3, 3, |x, _| x == 0), &Device::Cpu).unwrap();
        let wrong = Measure { counted: small, ..Measure::default() };
        assert!(own.loss_by(&x, &wrong).unwrap_err().to_string().contains("resize"));
    }
    Ok(())
}

#[test]
fn rows_at_different_steps_share_a_batch_and_get_the_bytes_they_get_alone() {
    let (engine, _) = engine(Toy::default());
    let measures = [Measure::after(0, 10), Measure::after(3, 10), Measure::after(3, 10), Measure::default()];
    let ask = |row: &mut Row, at: usize| bits(&row.gradient_by(&noise(at, 9, 9), &measures[at]).unwrap().gradient);
    let alone: Vec<_> = (0..4).map(|at| ask(&mut open(&engine, "liver", Loss::SegPgd), at)).collect();
    let rows: Vec<Row> = (0..4).map(|_| open(&engine, "liver", Loss::SegPgd)).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let asked: Vec<_> =
            rows.into_iter().enumerate().map(|(at, mut row)| scope.spawn(move || ask(&mut row, at))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
    assert_eq!(engine.stats().batches_by_rows.get(&4), Some(&1));
}

#[test]
fn pixel_values_are_used_as_they_are() -> Result<()> {
    let (engine, _) = engine(Toy::default());
    let x = noise(5, SIZE, SIZE);
    let mut pixels = open(&engine, "cyst", Loss::DiceCe);
    let image = pixels.loss_and_gradient(&x).unwrap();
    drop(pixels);
    let mut row = engine.open(RowSpec { space: Space::PixelValues, ..spec(&engine, "cyst", Loss::DiceCe) }).unwrap();
    let network = row.loss_and_gradient(&engine.input().normalise(&x)?).unwrap();
    assert!((image.loss - network.loss).abs() < 1e-6);
    let pulled = engine.input().pull_back(&network.gradient, (SIZE, SIZE))?;
    let worst = (pulled - image.gradient)?.abs()?.max_all()?.to_scalar::<f32>()?;
    assert!(worst < 1e-6, "{worst}");
    Ok(())
}

#[test]
fn concurrent_attacks_get_the_bytes_they_get_alone() {
    let (engine, _) = engine(Toy::default());
    let cases: Vec<(&str, Loss, Tensor)> = ["kidney", "liver", "polyp", "lesion", "tumour", "spleen"]
        .into_iter()
        .enumerate()
        .map(|(i, prompt)| (prompt, Loss::ALL[i % 3], noise(i, 7 + 3 * i, 16 - i)))
        .collect();
    let alone: Vec<_> = cases.iter().map(|(prompt, loss, x)| climb(&mut open(&engine, prompt, *loss), x)).collect();
    assert_eq!(engine.stats().batches_by_rows.into_keys().collect::<Vec<_>>(), [1]);

    let rows: Vec<Row> = cases.iter().map(|(prompt, loss, _)| open(&engine, prompt, *loss)).collect();
    let together: Vec<_> = thread::scope(|scope| {
        let climbs: Vec<_> =
            rows.into_iter().zip(&cases).map(|(mut row, case)| scope.spawn(move || climb(&mut row, &case.2))).collect();
        climbs.into_iter().map(|climb| climb.join().unwrap()).collect()
    });
    for (((prompt, ..), (losses, x)), (expected, y)) in cases.iter().zip(&together).zip(&alone) {
        assert_eq!(losses, expected, "{prompt}");
        assert_eq!(bits(x), bits(y), "{prompt}");
        assert!(losses[20] > losses[0] + 0.1, "{prompt}: {losses:?}");
    }
    let stats = engine.stats();
    assert!(stats.batches_by_rows.get(&4).is_some_and(|full| *full >= 15), "{stats:?}");
    assert!(stats.mean_rows() > 1.2 && stats.steps > 120 && stats.rows == 0, "{stats:?}");
}

#[test]
fn a_cancelled_row_does_no_more_work() {
    let (engine, signals) = engine(Toy::default());
    let spec = spec(&engine, "liver", Loss::Bce);
    let cancel = spec.cancel.clone();
    let mut row = engine.open(spec).unwrap();
    let x = noise(6, 8, 8);
    row.loss_and_gradient(&x).unwrap();
    cancel.cancel();
    assert!(matches!(row.loss_and_gradient(&x), Err(OracleError::Cancelled)));
    assert!(matches!(row.logits(&x), Err(OracleError::Cancelled)));
    assert_eq!(signals.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_row_cancelled_while_it_waits_does_no_work() {
    let (engine, signals) = engine(Toy::default());
    let spec = spec(&engine, "liver", Loss::Bce);
    let cancel = spec.cancel.clone();
    let (mut waiting, late) = (engine.open(spec).unwrap(), open(&engine, "liver", Loss::Bce));
    let waiter = thread::spawn(move || waiting.logits(&noise(6, 8, 8)));
    // The step waits for the second row; cancelled before that row leaves, the first is never run.
    thread::sleep(Duration::from_millis(20));
    cancel.cancel();
    drop(late);
    assert!(matches!(waiter.join().unwrap(), Err(OracleError::Cancelled)));
    assert_eq!(signals.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn a_step_does_not_wait_for_a_row_that_left() {
    let (engine, _) = engine(Toy::default());
    let (mut stays, leaves) = (open(&engine, "liver", Loss::Bce), open(&engine, "liver", Loss::Bce));
    let asks = thread::spawn(move || stays.logits(&noise(6, 8, 8)).map(|_| ()));
    thread::sleep(Duration::from_millis(20));
    assert!(!asks.is_finished());
    drop(leaves);
    asks.join().unwrap().unwrap();
}

#[test]
fn a_full_engine_refuses_until_a_row_is_dropped() {
    let (engine, _) = engine(Toy::default());
    let mut rows: Vec<Row> = (0..8).map(|_| open(&engine, "liver", Loss::Bce)).collect();
    assert_eq!(engine.stats().rows, 8);
    let refused = engine.open(spec(&engine, "liver", Loss::Bce));
    assert!(matches!(refused, Err(OracleError::Full { rows: 8 })));
    rows.pop();
    open(&engine, "liver", Loss::Bce);
}

#[test]
fn the_thread_ends_with_the_last_handle_and_row() {
    let (engine, signals) = engine(Toy::default());
    let mut row = open(&engine, "liver", Loss::Bce);
    drop(engine);
    row.logits(&noise(1, 8, 8)).unwrap();
    assert!(!signals.model_is_freed());
    drop(row);
    assert!(signals.model_is_freed(), "the model should be freed once nothing can ask it");
}

#[test]
fn a_prompt_is_encoded_once() {
    let (engine, signals) = engine(Toy::default());
    let (first, second) = (engine.prepare("a polyp").unwrap(), engine.prepare("a polyp").unwrap());
    assert_eq!(bits(&first.0), bits(&second.0));
    assert_eq!(signals.prompts.load(Ordering::SeqCst), 1);
    assert!(engine.prepare("").is_err_and(|error| error.to_string().contains("is empty")));
}
