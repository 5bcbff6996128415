//! What every method that follows gradients has to keep, and the paths of some against other implementations.

use std::collections::BTreeMap;

use candle_core::Tensor;
use serde::Deserialize;

use super::*;
use crate::attack::{Apgd, Bim, DiFgsm, Member, MemberMethod, MiFgsm, NiFgsm, Padam, Strongest, TiFgsm};
use crate::imaging::Image;
use crate::loss::{Loss, Progress, Term};

/// Written by `tests/oracle/make_attack_fixtures.py`.
const FIXTURE: &str = include_str!("../../../../tests/fixtures/attacks/white_box.json");

#[derive(Deserialize)]
struct Fixture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
    mask: Vec<bool>,
    /// Every point that an attack asks about, `[3, height, width]`.
    paths: BTreeMap<String, Vec<Vec<f32>>>,
}

/// All methods with a few steps.
fn methods() -> Vec<AttackSpec> {
    vec![
        AttackSpec::Fgsm(Fgsm {}),
        AttackSpec::Pgd(Pgd { steps: 4, restarts: 2, ..Pgd::default() }),
        AttackSpec::Bim(Bim { steps: 4, ..Bim::default() }),
        AttackSpec::MiFgsm(MiFgsm { steps: 4, ..MiFgsm::default() }),
        AttackSpec::NiFgsm(NiFgsm { steps: 4, ..NiFgsm::default() }),
        AttackSpec::TiFgsm(TiFgsm { steps: 4, radius: 2, decay: 0.5, ..TiFgsm::default() }),
        AttackSpec::DiFgsm(DiFgsm { steps: 5, probability: 0.7, scale: 0.6, ..DiFgsm::default() }),
        AttackSpec::Apgd(Apgd { steps: 10, restarts: 2, ..Apgd::default() }),
        AttackSpec::Apgd(Apgd { steps: 10, radius_reduction: true, ..Apgd::default() }),
        AttackSpec::Padam(Padam { steps: 5, ..Padam::default() }),
        AttackSpec::Strongest(Strongest { steps: 5, starts: 2, ..Strongest::default() }),
    ]
}

fn with_loss(spec: &AttackSpec, setup: &Setup, loss: Loss) -> Outcome {
    let problem = Problem::new(setup.clone(), &Device::Cpu).unwrap();
    run(spec, &problem, &mut Toy::new(&problem, Fault::None).with_loss(loss), &mut |_: &StepRecord| ()).unwrap()
}

fn seen(spec: &AttackSpec, setup: Setup) -> Vec<Vec<f32>> {
    let problem = Problem::new(setup, &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None);
    run(spec, &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
    // the first question is about the clean image, the last one or two are about files
    toy.seen[1..].iter().map(|x| x.flatten_all().unwrap().to_vec1().unwrap()).collect()
}

#[test]
fn paths_are_those_of_other_implementations() {
    let fixture: Fixture = serde_json::from_str(FIXTURE).unwrap();
    let (width, height) = (fixture.width, fixture.height);
    let levels = |value| Some(Epsilon::new(value, Unit::Pixel255).unwrap());
    let (alpha, steps) = (levels(4.), 8);
    let still = Apgd { steps: 24, random_start: false, ..Apgd::default() };
    for (name, norm, spec) in [
        ("bim", Norm::Linf, AttackSpec::Bim(Bim { steps, alpha })),
        ("mi_fgsm", Norm::Linf, AttackSpec::MiFgsm(MiFgsm { steps, alpha, decay: 1. })),
        ("mi_fgsm_l2", Norm::L2, AttackSpec::MiFgsm(MiFgsm { steps, alpha: levels(25.), decay: 1. })),
        ("ni_fgsm", Norm::Linf, AttackSpec::NiFgsm(NiFgsm { steps, alpha, decay: 1. })),
        ("ti_fgsm", Norm::Linf, AttackSpec::TiFgsm(TiFgsm { steps, alpha, decay: 0.5, radius: 2 })),
        ("padam", Norm::Linf, AttackSpec::Padam(Padam { steps, alpha })),
        ("apgd", Norm::Linf, AttackSpec::Apgd(still.clone())),
        ("apgd_l2", Norm::L2, AttackSpec::Apgd(still)),
    ] {
        let epsilon = if norm == Norm::Linf { 16. } else { 90. };
        let image = Image::new(width, height, fixture.levels.clone()).unwrap();
        let reference = Mask::new(width, height, fixture.mask.clone()).unwrap();
        let budget = budget(norm, epsilon, Unit::Pixel255);
        let found = seen(&spec, Setup::new(image, reference, budget, toy::preprocess(width, height)));
        for (step, (found, wanted)) in found.iter().zip(&fixture.paths[name]).enumerate() {
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            // An eighth of a level; sums in f32 drift apart slowly, and a step that goes elsewhere is far off.
            assert!(worst < 5e-4, "{name}, step {step}: off by {worst}");
        }
        assert!(found.len() > fixture.paths[name].len() && fixture.paths[name].len() > 8);
    }
}

#[test]
fn without_what_is_its_own_every_method_with_momentum_is_bim() {
    let alpha = Some(Epsilon::new(2., Unit::Pixel255).unwrap());
    let request = || setup(9, 8, budget(Norm::Linf, 9., Unit::Pixel255));
    let bim = seen(&AttackSpec::Bim(Bim { steps: 5, alpha }), request());
    for spec in [
        AttackSpec::MiFgsm(MiFgsm { steps: 5, alpha, decay: 0. }),
        AttackSpec::NiFgsm(NiFgsm { steps: 5, alpha, decay: 0. }),
        AttackSpec::TiFgsm(TiFgsm { steps: 5, alpha, decay: 0., radius: 0 }),
        AttackSpec::DiFgsm(DiFgsm { steps: 5, alpha, probability: 0., ..DiFgsm::default() }),
    ] {
        assert_eq!(seen(&spec, request()), bim, "{spec:?}");
    }
    let di = AttackSpec::DiFgsm(DiFgsm { steps: 5, alpha, probability: 1., ..DiFgsm::default() });
    let outcome = attack(&di, request()).unwrap();
    assert_eq!(outcome.queries.gradient, 5);
    assert!(outcome.queries.loss >= 5 + 3, "every step asks about the image too: {:?}", outcome.queries);
}

#[test]
fn every_method_keeps_its_budget_and_visits_as_many_points_as_it_says() {
    for spec in methods() {
        for (norm, levels) in [(Norm::Linf, 9.), (Norm::L2, 60.), (Norm::Linf, 0.), (Norm::L2, 0.)] {
            let mut setup = setup(8, 7, budget(norm, levels, Unit::Pixel255));
            setup.region = (levels > 9.).then(|| Mask::from_fn(8, 7, |x, y| x + y != 3));
            let outcome = attack(&spec, setup).unwrap();
            assert_eq!(outcome.records.len() as u64, spec.points(), "{spec:?}");
            assert!(outcome.within_budget == Some(true), "{spec:?}");
            let reduces = match &spec {
                AttackSpec::Apgd(apgd) => apgd.radius_reduction,
                AttackSpec::Strongest(strongest) => strongest.members.iter().any(|member| member.radius_reduction),
                _ => false,
            };
            let inside = outcome.records.iter().filter(|record| record.budget_used.unwrap() <= 1. + 1e-5);
            assert!(reduces || inside.clone().count() == outcome.records.len(), "{spec:?}");
            // Larger budgets are passed through only.
            let best = inside.map(|record| record.dsc).fold(f64::INFINITY, f64::min);
            let float = &outcome.float;
            let at = outcome.records.iter().find(|r| (r.restart, r.step) == (float.at.restart, float.at.step)).unwrap();
            assert!(at.budget_used.unwrap() <= 1. + 1e-5 && at.dsc == float.evaluation.dsc, "{spec:?}");
            assert!(reduces || float.evaluation.dsc == best, "{spec:?}: {} is not {best}", float.evaluation.dsc);
        }
    }
}

#[test]
fn every_method_harms_the_toy_and_the_strong_ones_break_it() {
    for spec in methods() {
        for (norm, levels) in [(Norm::Linf, 24.), (Norm::L2, 400.)] {
            let outcome = attack(&spec, setup(16, 12, budget(norm, levels, Unit::Pixel255))).unwrap();
            let strong = matches!(spec, AttackSpec::Pgd(_) | AttackSpec::Apgd(_) | AttackSpec::Strongest(_));
            let (before, after) = (outcome.clean.dsc, outcome.file.evaluation.dsc);
            assert!(after < if strong { 0.5 } else { before }, "{spec:?} in {norm:?}: {before} to {after}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for spec in methods() {
        let request = |seed| Setup { seed, ..setup(9, 7, budget(Norm::Linf, 7., Unit::Pixel255)) };
        let [one, two, other] = [3, 3, 4].map(|seed| attack(&spec, request(seed)).unwrap());
        assert_eq!((values(&one), &one.file.bytes, &one.records), (values(&two), &two.file.bytes, &two.records));
        let random =
            matches!(spec, AttackSpec::Pgd(_) | AttackSpec::Apgd(_) | AttackSpec::DiFgsm(_) | AttackSpec::Strongest(_));
        assert_eq!(one.records != other.records, random, "{spec:?}");
    }
}

#[test]
fn masks_without_a_class_predictions_without_one_and_a_single_pixel_are_no_trouble() {
    for spec in methods() {
        for (norm, levels) in [(Norm::Linf, 12.), (Norm::L2, 30.)] {
            let request = || setup(6, 5, budget(norm, levels, Unit::Pixel255));
            for everything in [false, true] {
                let reference = Mask::from_fn(6, 5, |_, _| everything);
                for goal in [Goal::Untargeted, Goal::Erase, Goal::Hallucinate(None)] {
                    attack(&spec, Setup { reference: reference.clone(), goal, ..request() }).unwrap();
                }
            }
            let dark = Image::new(6, 5, [[0, 255, 0]; 30].concat()).unwrap();
            let empty = Setup { image: dark, reference: Mask::from_fn(6, 5, |x, _| x > 2), ..request() };
            assert_eq!(attack(&spec, empty).unwrap().clean.mask.area(), 0);
            let region = Mask::from_fn(6, 5, |x, y| (x, y) == (2, 3));
            let outcome = attack(&spec, Setup { region: Some(region), ..request() }).unwrap();
            let clean = request().image;
            let mut pixels = outcome.file.image.rgb().chunks(3).zip(clean.rgb().chunks(3)).enumerate();
            assert!(pixels.all(|(at, (a, b))| at == 3 * 6 + 2 || a == b), "{spec:?}");
            let pixel = setup(1, 1, budget(norm, levels, Unit::Pixel255));
            attack(&spec, pixel).unwrap();
        }
    }
}

#[test]
fn every_method_that_was_stopped_anywhere_goes_on_to_the_same_result() {
    for spec in methods() {
        let problem = Problem::new(setup(7, 6, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
        let mut toy = Toy::new(&problem, Fault::None);
        let whole = run(&spec, &problem, &mut toy, &mut Keeper::default()).unwrap();
        for (answers, always) in (2..=toy.seen.len()).map(|answers| (answers, answers % 2 == 0)) {
            let mut before = Keeper { always, ..Keeper::default() };
            run(&spec, &problem, &mut Toy::new(&problem, Fault::CancelAfter(answers)), &mut before).unwrap_err();
            let mut after = Keeper { resumes: before.kept, ..Keeper::default() };
            let outcome = run(&spec, &problem, &mut Toy::new(&problem, Fault::None), &mut after).unwrap();
            let place = format!("{spec:?} stopped after {answers} answers");
            assert_eq!(outcome.records, whole.records, "{place}");
            assert_eq!((outcome.queries, &outcome.file.bytes), (whole.queries, &whole.file.bytes), "{place}");
            assert_eq!((outcome.float.at, values(&outcome)), (whole.float.at, values(&whole)), "{place}");
            assert_eq!(outcome.file.at, whole.file.at, "{place}");
            assert_eq!([before.seen, after.seen].concat(), whole.records, "{place}");
        }
    }
}

#[test]
fn once_the_mask_cannot_get_worse_the_remaining_restarts_are_left_out() {
    let spec = AttackSpec::Pgd(Pgd { steps: 12, restarts: 5, ..Pgd::default() });
    // whatever the model finds where nothing is has DSC 0
    let nothing = Setup {
        reference: Mask::from_fn(12, 10, |_, _| false),
        ..setup(12, 10, budget(Norm::Linf, 9., Unit::Pixel255))
    };
    let outcome = attack(&spec, nothing).unwrap();
    assert_eq!((outcome.file.evaluation.dsc, outcome.restarts), (0., 1));
    assert_eq!(outcome.records.len(), 13);
    assert!(outcome.notes.iter().any(|note| note.contains("1 of 5 restarts were enough")), "{:?}", outcome.notes);
    let weak = attack(&spec, setup(12, 10, budget(Norm::Linf, 1., Unit::Pixel255))).unwrap();
    assert_eq!((weak.restarts, weak.records.len()), (5, 65));
}

#[test]
fn segpgd_is_told_how_far_the_attack_is() {
    let setup = setup(8, 8, budget(Norm::Linf, 9., Unit::Pixel255));
    let spec = AttackSpec::Pgd(Pgd { steps: 6, ..Pgd::default() });
    let problem = Problem::new(setup, &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None).with_loss(Loss::SegPgd);
    let outcome = run(&spec, &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
    let target = problem.aim().mask.to_tensor(&Device::Cpu).unwrap();
    for (record, x) in outcome.records.iter().zip(toy.seen[1..].to_vec()) {
        let logits = crate::oracle::Oracle::logits(&mut toy, &x).unwrap();
        let term = Term::new(Loss::SegPgd, false, Progress::after(record.step, 6));
        assert_eq!(record.loss, term.value(&logits, &target).unwrap().to_scalar::<f32>().unwrap(), "{record:?}");
    }
}

/// DSC of the best point and of the file.
fn scores(outcome: &Outcome) -> (f64, f64) {
    (outcome.float.evaluation.dsc, outcome.file.evaluation.dsc)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_strongest_is_no_weaker_than_any_member(
        (width, height) in (3usize..9, 3usize..9), levels in 1f64..14., norm in norms(), seed in any::<u64>(),
        radius_reduction in any::<bool>(), starts in 1usize..3,
    ) {
        let setup = Setup { seed, ..setup(width, height, budget(norm, levels, Unit::Pixel255)) };
        let apgd = |loss| Member { method: MemberMethod::Apgd, loss: Some(loss), radius_reduction };
        let alone = |method| Member { method, loss: None, radius_reduction: false };
        let members: Vec<_> = [MemberMethod::Fgsm, MemberMethod::Padam, MemberMethod::Pgd].map(alone).into_iter()
            .chain([Loss::MaskedCe, Loss::SegPgd, Loss::DiceCe].map(apgd)).collect();
        let strongest = Strongest { members: members.clone(), steps: 6, starts };
        let outcome = attack(&AttackSpec::Strongest(strongest.clone()), setup.clone()).unwrap();
        let (float, file) = scores(&outcome);
        prop_assert!(outcome.records.len() as u64 <= AttackSpec::Strongest(strongest).points());
        for member in members {
            let spec = match member.method {
                MemberMethod::Fgsm => AttackSpec::Fgsm(Fgsm {}),
                MemberMethod::Padam => AttackSpec::Padam(Padam { steps: 6, ..Padam::default() }),
                MemberMethod::Pgd => AttackSpec::Pgd(Pgd { steps: 6, restarts: starts, ..Pgd::default() }),
                _ => AttackSpec::Apgd(Apgd { steps: 6, restarts: starts, radius_reduction, random_start: true }),
            };
            let alone = with_loss(&spec, &setup, member.loss.unwrap_or(Loss::Bce));
            let (member_float, member_file) = scores(&alone);
            // What comes after a mask that cannot get worse is left out.
            prop_assert!(float <= member_float || file == 0., "{member}: {float} and {member_float}");
            prop_assert!(file <= member_file, "{member}: {file} and {member_file}");
            let mine = outcome.records.iter().filter(|r| r.tried.as_deref() == Some(&member.to_string()));
            // a member that was run at all was run as it runs alone
            for (one, other) in mine.zip(&alone.records) {
                prop_assert_eq!((one.step, one.loss, one.dsc), (other.step, other.loss, other.dsc));
            }
        }
    }

    #[test]
    fn more_restarts_are_no_weaker(levels in 1f64..14., norm in norms(), seed in any::<u64>()) {
        let setup = Setup { seed, ..setup(7, 8, budget(norm, levels, Unit::Pixel255)) };
        let pgd = |restarts| AttackSpec::Pgd(Pgd { steps: 2, restarts, ..Pgd::default() });
        let [few, many] = [1, 4].map(|restarts| scores(&attack(&pgd(restarts), setup.clone()).unwrap()));
        prop_assert!(many.0 <= few.0 && many.1 <= few.1, "{few:?} and {many:?}");
    }
}

#[test]
fn every_loss_works_with_every_goal() {
    let spec = AttackSpec::Pgd(Pgd { steps: 10, ..Pgd::default() });
    for loss in Loss::ALL {
        let request = |goal| Setup { goal, ..setup(12, 10, budget(Norm::Linf, 20., Unit::Pixel255)) };
        let dsc = with_loss(&spec, &request(Goal::Untargeted), loss).file.evaluation.dsc;
        assert!(dsc < 0.5, "{loss}: {dsc}");
        let target = Mask::from_fn(12, 10, |x, _| x < 6);
        let outcome = with_loss(&spec, &request(Goal::Target(target)), loss);
        let (before, after) = (outcome.clean.target_dsc.unwrap(), outcome.file.evaluation.target_dsc.unwrap());
        assert!(after > before + 0.1, "{loss}: {before} to {after}");
    }
}

#[test]
fn points_of_equal_dsc_are_told_apart_by_cross_entropy() {
    let problem = Problem::new(setup(5, 5, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
    let signs = ((problem.aim().mask.to_tensor(&Device::Cpu).unwrap() * 2.).unwrap() - 1.).unwrap();
    let says = |scale: f64, loss| problem.score(loss, &(&signs * scale).unwrap()).unwrap();
    // the loss that was asked for does not count: it may be another one at each point
    let (sure, unsure) = (says(3., 9.), says(0.1, 1.));
    assert!(unsure.beats(&sure, &problem).unwrap() && !sure.beats(&unsure, &problem).unwrap());
    assert!((problem.tracked(&Tensor::zeros_like(&signs).unwrap()).unwrap() - 2f32.ln()).abs() < 1e-6);
    let towards = Setup { goal: Goal::Target(problem.aim().mask.clone()), ..problem.setup().clone() };
    let towards = Problem::new(towards, &Device::Cpu).unwrap();
    assert!(sure.beats(&unsure, &towards).unwrap());
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let refusal = |json: &str| {
        let spec: AttackSpec = serde_json::from_str(json).unwrap();
        spec.attack().check().unwrap_err().to_string()
    };
    for (json, says) in [
        (r#"{"method":"bim","steps":0}"#, "at least one step"),
        (r#"{"method":"mi_fgsm","decay":1.5}"#, "decay is 1.5"),
        (r#"{"method":"ni_fgsm","decay":-1}"#, "decay is -1"),
        (r#"{"method":"di_fgsm","probability":2}"#, "probability is 2"),
        (r#"{"method":"di_fgsm","scale":0}"#, "scale is 0"),
        (r#"{"method":"ti_fgsm","radius":64}"#, "at most 63"),
        (r#"{"method":"padam","steps":0}"#, "at least one step"),
        (r#"{"method":"apgd","steps":3,"radius_reduction":true}"#, "at least 4 steps"),
        (r#"{"method":"apgd","restarts":2,"random_start":false}"#, "use 1"),
        (r#"{"method":"strongest","members":[]}"#, "at least one member"),
        (r#"{"method":"strongest","members":[{"method":"pgd"},{"method":"pgd"}]}"#, "members is pgd"),
        (r#"{"method":"strongest","members":[{"method":"pgd","radius_reduction":true}]}"#, "only apgd"),
        (r#"{"method":"strongest","starts":0}"#, "starts is 0"),
    ] {
        assert!(refusal(json).contains(says), "{json}: {}", refusal(json));
    }
    assert!(
        serde_json::from_str::<AttackSpec>(r#"{"method":"strongest","members":[{"method":"apgd","loss":"hinge"}]}"#)
            .is_err()
    );
}
