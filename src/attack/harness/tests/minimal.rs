//! Attacks that seek the smallest perturbation.

use super::guard::Guard;
use super::*;
use crate::attack::{AlmaProx, Boundary, Cw, Dag, Seeks, SmallestEpsilon};
use crate::imaging::Image;

fn smallest(steps: usize) -> AttackSpec {
    AttackSpec::SmallestEpsilon(SmallestEpsilon { steps, ..SmallestEpsilon::default() })
}

fn dag(steps: usize) -> AttackSpec {
    AttackSpec::Dag(Dag { steps, ..Dag::default() })
}

fn cw(steps: usize, rounds: usize) -> AttackSpec {
    AttackSpec::Cw(Cw { steps, rounds, learning_rate: 0.02, ..Cw::default() })
}

fn alma(steps: usize) -> AttackSpec {
    AttackSpec::AlmaProx(AlmaProx { steps, learning_rate: 0.004, ..AlmaProx::default() })
}

fn boundary(queries: usize) -> AttackSpec {
    AttackSpec::Boundary(Boundary { queries, starts: 20, grid: 16 })
}

fn sure(steps: usize, rounds: usize, confidence: f64) -> AttackSpec {
    AttackSpec::Cw(Cw { steps, rounds, learning_rate: 0.02, confidence })
}

const LINF: f64 = 32.;
const L2: f64 = 600.;

/// Every method in every norm it knows, within a budget that is far larger than what is needed.
fn each() -> Vec<(AttackSpec, Budget)> {
    let (linf, l2) = (budget(Norm::Linf, LINF, Unit::Pixel255), budget(Norm::L2, L2, Unit::Pixel255));
    vec![
        (smallest(10), linf),
        (smallest(10), l2),
        (dag(80), linf),
        (dag(80), l2),
        (cw(40, 6), l2),
        (alma(80), linf),
        (boundary(400), budget(Norm::L2, NOISE, Unit::Pixel255)),
    ]
}

/// Random directions need far more than gradients do.
const NOISE: f64 = 3000.;

#[test]
fn the_nearest_point_is_kept_and_its_file_works() {
    for (spec, budget) in each() {
        assert_eq!(spec.attack().seeks(), Seeks::Nearest);
        let setup = setup(16, 12, budget);
        let outcome = attack(&spec, setup.clone()).unwrap();
        assert!(outcome.success.met && outcome.within_budget == Some(true), "{spec:?}");
        assert!(outcome.records.len() as u64 <= spec.points(), "{spec:?}");
        let found = outcome.smallest.as_ref().unwrap();
        let (float, file) = (found.float.as_ref().unwrap().pixel255, found.file.as_ref().unwrap().pixel255);
        let scores = PerturbationScores::between(&setup.image, &outcome.file.image).unwrap();
        let measured = if budget.norm == Norm::Linf { f64::from(scores.linf_levels) } else { scores.l2_levels };
        assert!((file - measured).abs() < 1e-6, "{spec:?}: {file} and {measured}");
        assert!(file < 0.8 * budget.epsilon.in_unit(Unit::Pixel255, &[1.; 3]), "{spec:?} needs {file}");

        // No record that meets the criterion is nearer.
        let levels = budget.epsilon.in_unit(Unit::Pixel255, &[1.; 3]);
        let nearest = outcome.records.iter().filter(|record| record.dsc < 0.5);
        let nearest = nearest.map(|record| record.budget_used.unwrap() * levels).fold(f64::INFINITY, f64::min);
        assert!((nearest - float).abs() < 1e-3 * levels, "{spec:?}: {nearest} and {float}");

        let curve = &found.curve;
        assert!(curve.windows(2).all(|pair| pair[0].pixel255 < pair[1].pixel255 && pair[0].dsc > pair[1].dsc));
        assert!(curve.iter().any(|point| (point.pixel255 - float).abs() < 1e-3 * levels));
    }
}

#[test]
fn one_level_more_suffices_and_half_does_not() {
    let setup = setup(16, 12, budget(Norm::Linf, LINF, Unit::Pixel255));
    let outcome = attack(&smallest(10), setup.clone()).unwrap();
    let needed = outcome.smallest.unwrap().file.unwrap().pixel255;
    assert_eq!(needed, needed.round());
    let within = |levels| {
        let budget = budget(Norm::Linf, levels, Unit::Pixel255);
        attack(&AttackSpec::Pgd(Pgd { steps: 40, ..Pgd::default() }), Setup { budget: Some(budget), ..setup.clone() })
            .unwrap()
            .success
    };
    assert!(within(needed + 1.).met && !within((needed / 2.).floor()).met, "{needed}");
}

#[test]
fn a_search_that_finds_nothing_says_so() {
    for (spec, norm) in [(smallest(4), Norm::Linf), (dag(4), Norm::L2), (cw(4, 2), Norm::L2), (boundary(30), Norm::L2)]
    {
        let outcome = attack(&spec, setup(16, 12, budget(norm, 1., Unit::Pixel255))).unwrap();
        let found = outcome.smallest.unwrap();
        assert!(!outcome.success.met && found.float.is_none() && found.file.is_none(), "{spec:?}");
        assert!(!found.curve.is_empty() && outcome.within_budget == Some(true));
        assert!(outcome.notes.iter().any(|note| note.contains("nothing within the budget")), "{:?}", outcome.notes);
    }
}

#[test]
fn a_clean_image_that_meets_the_criterion_needs_nothing() {
    for (spec, budget) in each() {
        let mut setup = setup(16, 12, budget);
        setup.reference = Mask::from_fn(16, 12, |_, _| false);
        let outcome = attack(&spec, setup.clone()).unwrap();
        assert!(outcome.success.met_by_clean_image);
        if budget.norm == Norm::Linf {
            assert_eq!(outcome.smallest.unwrap().file.unwrap().pixel255, 0., "{spec:?}");
            assert_eq!(outcome.file.image, setup.image);
        }
    }
}

#[test]
fn goals_and_regions_are_kept() {
    // Random directions erase nothing.
    for (spec, budget) in each().into_iter().filter(|(spec, _)| !matches!(spec, AttackSpec::Boundary(_))) {
        let region = Some(Mask::from_fn(16, 12, |x, _| x < 12));
        let setup = Setup { goal: Goal::Erase, region, ..setup(16, 12, budget) };
        let outcome = attack(&spec, setup.clone()).unwrap();
        assert!(outcome.within_budget == Some(true));
        let before = setup.reference.area();
        assert!(outcome.float.evaluation.mask.area() < before, "{spec:?}");
    }
}

#[test]
fn odd_images_work() {
    for (spec, budget) in each() {
        for (width, height) in [(1, 1), (3, 7), (2, 1)] {
            for everything in [false, true] {
                let mut setup = setup(width, height, budget);
                setup.budget =
                    Some(Budget { epsilon: Epsilon::new(3., Unit::Pixel255).unwrap(), ..setup.budget.unwrap() });
                setup.reference = Mask::from_fn(width, height, |_, _| everything);
                assert!(attack(&spec, setup).unwrap().within_budget == Some(true), "{spec:?}");
            }
        }
        let mut one = setup(8, 6, budget);
        one.region = Some(Mask::from_fn(8, 6, |x, y| (x, y) == (5, 2)));
        assert!(attack(&spec, one).unwrap().within_budget == Some(true), "{spec:?}");
    }
}

#[test]
fn who_was_stopped_anywhere_goes_on_to_the_same_result() {
    let (linf, l2) = (budget(Norm::Linf, LINF, Unit::Pixel255), budget(Norm::L2, L2, Unit::Pixel255));
    let noise = budget(Norm::L2, NOISE, Unit::Pixel255);
    for (spec, budget) in [
        (smallest(3), linf),
        (smallest(3), l2),
        (dag(12), linf),
        (cw(3, 4), l2),
        (sure(3, 4, 0.7), l2),
        (alma(25), linf),
        (boundary(30), noise),
    ] {
        let problem = Problem::new(setup(9, 7, budget), &Device::Cpu).unwrap();
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut guard = Guard { cancels, ..Guard::new(&problem) };
            (run(&spec, &problem, &mut guard, keeper), guard.asked)
        });
        assert!(!resumed.contains(&false), "{spec:?}: {resumed:?}");
    }
}

/// Written by `tests/oracle/make_minimal_fixtures.py`.
#[derive(serde::Deserialize)]
struct Fixture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
    mask: Vec<bool>,
    target: Vec<bool>,
    epsilon: f64,
    steps: usize,
    learning_rate: f64,
    share: f64,
    /// Every point that is asked about, `[3, height, width]`, for leaving the mask and for reaching the target.
    away: Vec<Vec<f32>>,
    towards: Vec<Vec<f32>>,
}

#[test]
fn alma_goes_the_way_of_an_independent_derivation() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../../tests/fixtures/attacks/minimal.json")).unwrap();
    let Fixture { width, height, steps, learning_rate, share, .. } = fixture;
    let mask = |bits: &Vec<bool>| Mask::new(width, height, bits.clone()).unwrap();
    let spec = AttackSpec::AlmaProx(AlmaProx { steps, learning_rate, share });
    for (goal, wanted) in [(Goal::Untargeted, &fixture.away), (Goal::Target(mask(&fixture.target)), &fixture.towards)] {
        let image = Image::new(width, height, fixture.levels.clone()).unwrap();
        let within = budget(Norm::Linf, fixture.epsilon, Unit::Unit01);
        let request = Setup::new(image, mask(&fixture.mask), within, toy::preprocess(width, height));
        let problem = Problem::new(Setup { goal: goal.clone(), ..request }, &Device::Cpu).unwrap();
        let mut toy = Toy::new(&problem, Fault::None);
        let outcome = run(&spec, &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
        assert_eq!((outcome.records.len(), outcome.queries.gradient), (steps + 1, steps));
        // The first question is about the clean image; then two about every point but the last.
        let found: Vec<_> = toy.seen[1..].iter().step_by(2).take(steps + 1).collect();
        assert_eq!(found.len(), wanted.len());
        for (step, (found, wanted)) in found.into_iter().zip(wanted).enumerate() {
            let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            assert!(worst < 5e-4, "{goal:?}, step {step}: off by {worst}");
        }
    }
}

#[test]
fn what_is_won_with_confidence_is_won_by_more() {
    let setup = setup(16, 12, budget(Norm::L2, L2, Unit::Pixel255));
    let several = |confidence| attack(&sure(40, 6, confidence), setup.clone()).unwrap();
    let one_round = |confidence| sure(40, 1, confidence);
    let (plain, sure) = (several(0.), several(2.));
    assert_eq!(plain.file.bytes, attack(&cw(40, 6), setup.clone()).unwrap().file.bytes);
    assert_eq!((plain.queries.gradient, sure.queries.gradient), (240, 240));
    assert!(plain.queries.loss < 20 && sure.queries.loss > 240, "{:?} {:?}", plain.queries, sure.queries);
    assert!(plain.success.met && sure.success.met);
    // Pixels whose logit is on the wrong side by a half, at the point of one round that has most of them: plain hinges
    // let go of a pixel as soon as it is won.
    let clearly_won = |confidence| {
        let problem = Problem::new(setup.clone(), &Device::Cpu).unwrap();
        let mut toy = Toy::new(&problem, Fault::None);
        run(&one_round(confidence), &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
        let seen = toy.seen.clone();
        let won = |x: &candle_core::Tensor| {
            let logits = crate::oracle::Oracle::logits(&mut toy, x).unwrap().flatten_all().unwrap();
            let sides = logits.to_vec1::<f32>().unwrap().into_iter().zip(setup.reference.bits());
            sides.filter(|(z, inside)| if **inside { *z < -0.5 } else { *z > 0.5 }).count()
        };
        seen.iter().map(won).max().unwrap()
    };
    let (plain, sure) = (clearly_won(0.), clearly_won(2.));
    assert!(sure > plain + 40, "{plain} {sure}");
}

#[test]
fn parameters_and_norms_that_make_no_sense_are_refused() {
    let refusal = |spec: AttackSpec, norm| match attack(&spec, setup(4, 4, budget(norm, 8., Unit::Pixel255))) {
        Err(AttackError::Parameter { name, .. }) => name,
        other => panic!("{spec:?}: {other:?}"),
    };
    assert_eq!(refusal(smallest(0), Norm::Linf), "steps");
    let wide = SmallestEpsilon { tolerance: 1., ..SmallestEpsilon::default() };
    assert_eq!(refusal(AttackSpec::SmallestEpsilon(wide), Norm::L2), "tolerance");
    assert_eq!(refusal(dag(0), Norm::Linf), "steps");
    let still = Dag { gamma: Epsilon::new(0., Unit::Unit01).unwrap(), ..Dag::default() };
    assert_eq!(refusal(AttackSpec::Dag(still), Norm::Linf), "gamma");
    assert_eq!(refusal(cw(3, 0), Norm::L2), "rounds");
    assert_eq!(refusal(AttackSpec::Cw(Cw { learning_rate: 0., ..Cw::default() }), Norm::L2), "learning_rate");
    assert_eq!([refusal(cw(3, 3), Norm::Linf), refusal(boundary(3), Norm::Linf)], ["norm"; 2]);
    assert_eq!([refusal(sure(3, 3, -1.), Norm::L2), refusal(sure(3, 3, f64::NAN), Norm::L2)], ["confidence"; 2]);
    assert_eq!([refusal(alma(0), Norm::Linf), refusal(alma(3), Norm::L2)], ["steps", "norm"]);
    let alma = |learning_rate, share| AttackSpec::AlmaProx(AlmaProx { learning_rate, share, ..AlmaProx::default() });
    assert_eq!(refusal(alma(0., 0.9), Norm::Linf), "learning_rate");
    assert_eq!([refusal(alma(0.1, 0.), Norm::Linf), refusal(alma(0.1, 1.1), Norm::Linf)], ["share"; 2]);
    assert_eq!(refusal(boundary(1), Norm::L2), "queries");
}

#[test]
fn a_walk_along_the_boundary_sees_masks_only_and_comes_nearer() {
    let problem = Problem::new(setup(16, 12, budget(Norm::L2, NOISE, Unit::Pixel255)), &Device::Cpu).unwrap();
    let told = |lie: fn(f32) -> f32| {
        let mut guard = Guard { lie, ..Guard::new(&problem) };
        run(&boundary(400), &problem, &mut guard, &mut |_: &StepRecord| ()).unwrap()
    };
    let (truth, lies) = (told(|loss| loss), told(|loss| 7. - 3. * loss));
    assert_eq!((&truth.records, &truth.file.bytes), (&lies.records, &lies.file.bytes));
    assert_eq!((truth.queries.gradient, truth.queries.logits), (0, 400));
    // Most of the way is made on the line; the walk has to add to it.
    let met = |records: &[StepRecord]| {
        let met = records.iter().filter(|record| record.dsc < 0.5);
        met.map(|record| record.budget_used.unwrap()).fold(f64::INFINITY, f64::min)
    };
    let (line, walk) = (met(&truth.records[..40]), met(&truth.records));
    assert!(line.is_finite() && walk < 0.9 * line, "{line} {walk}");
}
