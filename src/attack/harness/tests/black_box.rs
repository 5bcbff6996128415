//! Attacks without gradients: what they ask, what they keep, and that they get somewhere.

use super::guard::Guard;
use super::*;
use crate::attack::{Nes, Noise, NoiseKind, Spsa, Square, SquareMask};
use crate::oracle::Oracle;

fn square(queries: usize) -> AttackSpec {
    AttackSpec::Square(Square { queries, ..Square::default() })
}

fn square_mask(queries: usize) -> AttackSpec {
    AttackSpec::SquareMask(SquareMask { queries, ..SquareMask::default() })
}

fn noise(queries: usize, kind: NoiseKind) -> AttackSpec {
    AttackSpec::Noise(Noise { queries, kind })
}

/// Two estimates, the second from fewer pairs.
fn nes(queries: usize) -> AttackSpec {
    AttackSpec::Nes(Nes { queries, samples: 3, grid: 4, ..Nes::default() })
}

fn spsa(queries: usize) -> AttackSpec {
    AttackSpec::Spsa(Spsa { queries, samples: 3, grid: 4, ..Spsa::default() })
}

fn each() -> [AttackSpec; 7] {
    let [uniform, gaussian, sign] =
        [NoiseKind::Uniform, NoiseKind::Gaussian, NoiseKind::Sign].map(|kind| noise(12, kind));
    [square(12), square_mask(12), nes(12), spsa(13), uniform, gaussian, sign]
}

fn norms_of(spec: &AttackSpec) -> impl Iterator<Item = Budget> {
    let budgets = [(Norm::Linf, 9.), (Norm::L2, 200.), (Norm::L1, 3000.)];
    let budgets = budgets.map(|(norm, levels)| budget(norm, levels, Unit::Pixel255));
    let norms = spec.attack().norms();
    budgets.into_iter().filter(move |budget| norms.contains(&budget.norm))
}

#[test]
fn they_ask_what_they_say_and_never_for_a_gradient() {
    for spec in each() {
        for budget in norms_of(&spec) {
            let outcome = attack(&spec, setup(16, 12, budget)).unwrap();
            let points = spec.points() as usize;
            assert_eq!(outcome.records.len(), points, "{spec:?}");
            assert_eq!(outcome.queries.gradient, 0);
            // The harness asks about the clean image and about one file or two.
            let files = if matches!(spec, AttackSpec::Nes(_) | AttackSpec::Spsa(_)) { 2..=3 } else { 2..=2 };
            if matches!(spec, AttackSpec::SquareMask(_)) {
                assert_eq!((outcome.queries.logits, outcome.queries.loss), (points, 2));
            } else {
                assert_eq!(outcome.queries.logits, 0);
                assert!(files.contains(&(outcome.queries.loss - points)), "{spec:?}: {:?}", outcome.queries);
            }
            assert!(outcome.records.iter().all(|record| record.zero_gradient_share.is_none()));
            let steps: Vec<_> = outcome.records.iter().map(|record| record.step).collect();
            assert_eq!(steps, (0..points).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_question_is_within_the_budget_and_the_best_one_is_kept() {
    for spec in each() {
        for budget in norms_of(&spec) {
            let setup = setup(16, 12, budget);
            let outcome = attack(&spec, setup.clone()).unwrap();
            assert!(outcome.records.iter().all(|record| record.budget_used.unwrap() <= 1. + 1e-5), "{spec:?}");
            assert!(outcome.within_budget == Some(true));
            let lowest = outcome.records.iter().map(|record| record.dsc).fold(f64::INFINITY, f64::min);
            assert_eq!(outcome.float.evaluation.dsc, lowest);
            assert_eq!(outcome.records[outcome.float.at.step].dsc, lowest);

            let again = attack(&spec, setup.clone()).unwrap();
            assert_eq!((&again.file.bytes, &again.records), (&outcome.file.bytes, &outcome.records));
            let other = attack(&spec, Setup { seed: 1, ..setup }).unwrap();
            assert_ne!(other.file.bytes, outcome.file.bytes, "{spec:?}");
        }
    }
}

#[test]
fn who_was_stopped_anywhere_goes_on_to_the_same_result() {
    for spec in each() {
        let problem = Problem::new(setup(9, 7, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut guard = Guard { cancels, ..Guard::new(&problem) };
            (run(&spec, &problem, &mut guard, keeper), guard.asked)
        });
        // The first question is about the clean image; the last one is about a file.
        assert!(resumed.len() as u64 > spec.points() && !resumed.contains(&false), "{spec:?}: {resumed:?}");
    }
}

#[test]
fn who_sees_masks_only_does_not_depend_on_the_objective() {
    let problem = Problem::new(setup(16, 12, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
    let told = |lie: fn(f32) -> f32| {
        let mut guard = Guard { lie, ..Guard::new(&problem) };
        run(&square_mask(40), &problem, &mut guard, &mut |_: &StepRecord| ()).unwrap()
    };
    let (truth, lies) = (told(|loss| loss), told(|loss| 7. - 3. * loss));
    assert_eq!((&truth.records, &truth.file.bytes), (&lies.records, &lies.file.bytes));
    for record in &truth.records {
        assert_eq!(record.loss, (1. - record.dsc) as f32);
    }
    // The others do.
    let by_score = |lie: fn(f32) -> f32| {
        let mut guard = Guard { lie, ..Guard::new(&problem) };
        let records = run(&square(40), &problem, &mut guard, &mut |_: &StepRecord| ()).unwrap().records;
        records.iter().map(|record| record.dsc).collect::<Vec<_>>()
    };
    assert_ne!(by_score(|loss| loss), by_score(|loss| -loss), "a score attack follows the objective");
}

#[test]
fn targets_are_approached_by_the_mask_alone() {
    let target = Mask::from_fn(16, 12, |x, _| x < 8);
    let goal = Goal::Target(target);
    let setup = Setup { goal, ..setup(16, 12, budget(Norm::Linf, 20., Unit::Pixel255)) };
    let outcome = attack(&square_mask(400), setup).unwrap();
    assert!(outcome.file.evaluation.target_dsc.unwrap() > outcome.clean.target_dsc.unwrap() + 0.1);
    assert!(outcome.records.iter().all(|record| record.loss == (record.target_dsc.unwrap() - 1.) as f32));
}

#[test]
fn search_and_estimates_do_better_than_noise() {
    let setup = setup(16, 12, budget(Norm::Linf, 12., Unit::Pixel255));
    let left = |spec: &AttackSpec| attack(spec, setup.clone()).unwrap().file.evaluation.dsc;
    let control = [NoiseKind::Uniform, NoiseKind::Gaussian, NoiseKind::Sign].map(|kind| left(&noise(400, kind)));
    let control = control.into_iter().fold(1., f64::min);
    let fine = Nes { queries: 3202, samples: 200, grid: 16, ..Nes::default() };
    let spsa = Spsa { queries: 3202, samples: 200, grid: 16, ..Spsa::default() };
    for spec in [square(400), square_mask(400), AttackSpec::Nes(fine), AttackSpec::Spsa(spsa)] {
        let found = left(&spec);
        assert!(found < control - 0.05, "{spec:?} leaves {found}, noise {control}");
    }
    assert!(control < 1.);
}

#[test]
fn an_estimate_points_along_the_gradient() {
    let problem = Problem::new(setup(6, 5, budget(Norm::Linf, 200., Unit::Pixel255)), &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None);
    let wanted = toy.loss_and_gradient(problem.ball().clean()).unwrap().gradient;
    let wanted: Vec<f32> = wanted.flatten_all().unwrap().to_vec1().unwrap();
    // One estimate from many pairs, then one short step by its sign.
    let sigma = Epsilon::new(0.002, Unit::Unit01).unwrap();
    let alpha = Some(Epsilon::new(0.002, Unit::Unit01).unwrap());
    let nes = Nes { queries: 2 + 2 * 2000, samples: 2000, sigma, alpha, grid: 16 };
    let mut last = LastPoint::default();
    let spec = AttackSpec::Nes(nes);
    run(&spec, &problem, &mut Toy::new(&problem, Fault::None), &mut last).unwrap();
    let moved = (last.point.unwrap() - problem.ball().clean()).unwrap();
    let moved: Vec<f32> = moved.flatten_all().unwrap().to_vec1().unwrap();
    let free: Vec<_> = wanted.iter().zip(&moved).filter(|(_, m)| **m != 0.).collect();
    let agree = free.iter().filter(|(g, m)| **g * **m > 0.).count();
    // 90 dimensions, 2000 pairs: the signs of all but the smallest slopes.
    assert!(free.len() > 70 && agree as f64 > 0.85 * free.len() as f64, "{agree} of {}", free.len());
}

/// Remembers the point at which the attack was about to ask last.
#[derive(Default)]
struct LastPoint {
    point: Option<candle_core::Tensor>,
}

impl Watcher for LastPoint {
    fn visited(&mut self, _: &StepRecord) {}

    fn wants_checkpoint(&mut self) -> bool {
        true
    }

    fn keep(&mut self, checkpoint: Checkpoint) {
        self.point = checkpoint.state.first().cloned();
    }
}

#[test]
fn odd_images_masks_and_regions_work() {
    for spec in each() {
        for (width, height) in [(1, 1), (3, 7), (2, 1)] {
            for everything in [false, true] {
                let mut setup = setup(width, height, budget(Norm::Linf, 30., Unit::Pixel255));
                setup.reference = Mask::from_fn(width, height, |_, _| everything);
                assert!(attack(&spec, setup).unwrap().within_budget == Some(true), "{spec:?}");
            }
        }
        // Nothing to segment and nothing found; a lesion that is not found; one pixel that may change; no budget.
        let black = |reference: Mask| {
            let image = crate::imaging::Image::new(8, 6, vec![0; 8 * 6 * 3]).unwrap();
            assert_eq!(toy::mask(&image).area(), 0, "the prediction is empty");
            let setup = Setup::new(image, reference, budget(Norm::Linf, 4., Unit::Pixel255), toy::preprocess(8, 6));
            attack(&spec, setup).unwrap()
        };
        assert_eq!(black(Mask::from_fn(8, 6, |_, _| false)).clean.dsc, 1.);
        assert_eq!(black(Mask::from_fn(8, 6, |x, _| x < 3)).clean.dsc, 0.);
        let mut one = setup(8, 6, budget(Norm::Linf, 30., Unit::Pixel255));
        one.region = Some(Mask::from_fn(8, 6, |x, y| (x, y) == (5, 2)));
        let outcome = attack(&spec, one.clone()).unwrap();
        assert!(outcome.within_budget == Some(true));
        let changed = |(x, y)| outcome.file.image.pixel(x, y) != one.image.pixel(x, y);
        let pixels: Vec<_> = (0..6).flat_map(|y| (0..8).map(move |x| (x, y))).filter(|at| changed(*at)).collect();
        assert!(pixels.iter().all(|at| *at == (5, 2)), "{pixels:?}");
        let nothing = setup(8, 6, budget(Norm::Linf, 0., Unit::Pixel255));
        assert_eq!(attack(&spec, nothing.clone()).unwrap().file.image, nothing.image);
    }
}

#[test]
fn every_proposal_of_a_square_changes_something() {
    let problem = Problem::new(setup(12, 10, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None);
    let outcome = run(&square(200), &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
    // The clean image, the questions, the file.
    let points = &toy.seen[1..201];
    let values = |x: &candle_core::Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let [low, high] = problem.ball().corners().unwrap().map(|corner| values(&corner));
    let mut best = 0;
    for (at, point) in points.iter().enumerate().skip(1) {
        assert_ne!(values(point), values(&points[best]), "question {at}");
        if outcome.records[at].loss > outcome.records[best].loss {
            best = at;
        }
    }
    for point in points {
        assert!(values(point).iter().zip(low.iter().zip(&high)).all(|(v, (low, high))| v == low || v == high));
    }
}

#[test]
fn a_large_image_is_searched_too() {
    let setup = setup(3000, 2000, budget(Norm::Linf, 8., Unit::Pixel255));
    let outcome = attack(&square(4), setup).unwrap();
    assert!(outcome.within_budget == Some(true) && outcome.records.len() == 4);
    assert!(outcome.records.iter().all(|record| (record.budget_used.unwrap() - 1.).abs() < 1e-4));
}

#[test]
fn parameters_and_norms_that_make_no_sense_are_refused() {
    let refusal = |spec: &AttackSpec, budget| match attack(spec, setup(4, 4, budget)) {
        Err(AttackError::Parameter { name, .. }) => name,
        other => panic!("{spec:?}: {other:?}"),
    };
    let linf = budget(Norm::Linf, 8., Unit::Pixel255);
    for (spec, name) in [
        (square(1), "queries"),
        (AttackSpec::Square(Square { initial_share: 0., ..Square::default() }), "initial_share"),
        (AttackSpec::SquareMask(SquareMask { initial_share: f64::NAN, ..SquareMask::default() }), "initial_share"),
        (nes(3), "queries"),
        (AttackSpec::Nes(Nes { samples: 0, ..Nes::default() }), "samples"),
        (AttackSpec::Nes(Nes { sigma: Epsilon::new(0., Unit::Unit01).unwrap(), ..Nes::default() }), "sigma"),
        (AttackSpec::Spsa(Spsa { grid: 0, ..Spsa::default() }), "grid"),
        (AttackSpec::Spsa(Spsa { delta: Epsilon::new(0., Unit::Unit01).unwrap(), ..Spsa::default() }), "delta"),
        (noise(0, NoiseKind::Sign), "queries"),
    ] {
        assert_eq!(refusal(&spec, linf), name);
    }
    let l2 = budget(Norm::L2, 100., Unit::Pixel255);
    assert_eq!([refusal(&square(4), l2), refusal(&square_mask(4), l2)], ["norm"; 2]);
}
