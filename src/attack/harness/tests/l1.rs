//! What is its own in L1: paths against an independent derivation, budgets, and who refuses it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::guard::Guard;
use super::*;
use crate::attack::{Apgd, Noise, NoiseKind, catalogue};
use crate::imaging::Image;

#[derive(Deserialize)]
struct Fixture {
    width: usize,
    height: usize,
    levels: Vec<u8>,
    mask: Vec<bool>,
    steps: usize,
    slide_steps: usize,
    /// Every point that an attack asks about, `[3, height, width]`.
    paths: BTreeMap<String, Vec<Vec<f32>>>,
}

fn l1(levels: f64) -> Budget {
    budget(Norm::L1, levels, Unit::Pixel255)
}

fn levels(value: f64) -> Option<Epsilon> {
    Some(Epsilon::new(value, Unit::Pixel255).unwrap())
}

fn noise(kind: NoiseKind) -> AttackSpec {
    AttackSpec::Noise(Noise { queries: 6, kind })
}

/// All that take a budget in L1, with a few steps.
fn methods() -> [AttackSpec; 6] {
    [
        AttackSpec::Pgd(Pgd { steps: 4, restarts: 2, ..Pgd::default() }),
        AttackSpec::Apgd(Apgd { steps: 10, restarts: 2, ..Apgd::default() }),
        AttackSpec::Apgd(Apgd { steps: 10, radius_reduction: true, ..Apgd::default() }),
        noise(NoiseKind::Uniform),
        noise(NoiseKind::Gaussian),
        noise(NoiseKind::Sign),
    ]
}

#[test]
fn paths_are_those_of_an_independent_derivation() {
    let fixture: Fixture = serde_json::from_str(include_str!("../../../../tests/fixtures/attacks/l1.json")).unwrap();
    let Fixture { width, height, steps, .. } = fixture;
    let apgd = Apgd { steps, random_start: false, ..Apgd::default() };
    let slide = Pgd { steps: fixture.slide_steps, alpha: levels(75.), random_start: false, restarts: 1 };
    for (name, spec) in [
        ("slide", AttackSpec::Pgd(slide)),
        ("apgd_reduced", AttackSpec::Apgd(Apgd { radius_reduction: true, ..apgd.clone() })),
        ("apgd", AttackSpec::Apgd(apgd)),
    ] {
        let image = Image::new(width, height, fixture.levels.clone()).unwrap();
        let reference = Mask::new(width, height, fixture.mask.clone()).unwrap();
        let request = Setup::new(image, reference, l1(300.), toy::preprocess(width, height));
        let problem = Problem::new(request, &Device::Cpu).unwrap();
        let mut toy = Toy::new(&problem, Fault::None);
        let outcome = run(&spec, &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
        let wanted = &fixture.paths[name];
        assert_eq!((outcome.records.len(), spec.points()), (wanted.len(), wanted.len() as u64));
        // The first question is about the clean image.
        for (step, (found, wanted)) in toy.seen[1..].iter().zip(wanted).enumerate() {
            let found = found.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0., f32::max);
            assert!(worst < 5e-4, "{name}, step {step}: off by {worst}");
        }
    }
}

#[test]
fn point_and_file_keep_the_budget_and_leave_the_rest_to_the_bit() {
    for spec in methods() {
        for (levels, region) in [(900., false), (900., true), (40.5, true), (0., false)] {
            let mut setup = setup(8, 7, l1(levels));
            setup.region = region.then(|| Mask::from_fn(8, 7, |x, y| (x + y) % 3 == 0));
            let outcome = attack(&spec, setup.clone()).unwrap();
            assert_eq!((outcome.records.len() as u64, outcome.within_budget), (spec.points(), Some(true)));
            let scores = PerturbationScores::between(&setup.image, &outcome.file.image).unwrap();
            assert!(scores.l1_levels as f64 <= levels, "{spec:?}: {} of {levels}", scores.l1_levels);
            let at = outcome.float.at;
            let best = outcome.records.iter().find(|r| (r.restart, r.step) == (at.restart, at.step)).unwrap();
            assert!(best.budget_used.unwrap() <= 1. + 1e-9, "{spec:?}: {best:?}");
            let clean = setup.image.to_tensor(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (entry, (before, after)) in clean.iter().zip(values(&outcome)).enumerate() {
                let allowed = setup.region.as_ref().is_none_or(|region| region.bits()[entry % 56]);
                assert!((0. ..=1.).contains(&after) && (allowed || *before == after), "{spec:?}, entry {entry}");
            }
        }
    }
}

#[test]
fn gradients_break_the_toy_and_noise_of_the_same_size_does_not() {
    let dsc = |spec: &AttackSpec| {
        let outcome = attack(spec, setup(16, 12, l1(6000.))).unwrap();
        assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
        outcome.file.evaluation.dsc
    };
    let apgd = |radius_reduction| AttackSpec::Apgd(Apgd { steps: 60, radius_reduction, ..Apgd::default() });
    let [pgd, plain, reduced] = [dsc(&AttackSpec::Pgd(Pgd::default())), dsc(&apgd(false)), dsc(&apgd(true))];
    let control = [NoiseKind::Uniform, NoiseKind::Gaussian, NoiseKind::Sign].map(|kind| dsc(&noise(kind)));
    let strongest_noise = control.into_iter().fold(f64::INFINITY, f64::min);
    let found = format!("pgd {pgd}, apgd {plain}, from larger budgets {reduced}, noise {control:?}");
    assert!(reduced < plain && plain < strongest_noise, "{found}");
    assert!(reduced < 0.5 && strongest_noise > 0.8, "{found}");
    // A hundredth of the toy's 576 values are five, which SLIDE moves as far as they go: it harms, and no more.
    assert!(pgd < 0.9, "{found}");
}

#[test]
fn noise_spends_its_budget_in_the_file_too() {
    for kind in [NoiseKind::Uniform, NoiseKind::Gaussian, NoiseKind::Sign] {
        let setup = setup(16, 12, l1(2000.));
        let outcome = attack(&noise(kind), setup.clone()).unwrap();
        let scores = PerturbationScores::between(&setup.image, &outcome.file.image).unwrap();
        assert!((1950..=2000).contains(&scores.l1_levels) && scores.l0_pixels < 150, "{kind:?}: {scores:?}");
        assert!(outcome.records.iter().all(|record| record.budget_used.unwrap() > 0.99), "{kind:?}");
    }
}

#[test]
fn who_was_stopped_anywhere_goes_on_to_the_same_result() {
    for spec in methods() {
        let problem = Problem::new(setup(7, 6, l1(700.)), &Device::Cpu).unwrap();
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut guard = Guard { cancels, ..Guard::new(&problem) };
            (run(&spec, &problem, &mut guard, keeper), guard.asked)
        });
        assert!(!resumed.contains(&false), "{spec:?}: {resumed:?}");
    }
}

#[test]
fn seeds_decide_everything() {
    for spec in methods() {
        let [one, two, other] = [3, 3, 4].map(|seed| attack(&spec, Setup { seed, ..setup(9, 7, l1(700.)) }).unwrap());
        assert_eq!((values(&one), &one.file.bytes, &one.records), (values(&two), &two.file.bytes, &two.records));
        assert_ne!(one.records, other.records, "{spec:?}");
    }
}

#[test]
fn odd_images_and_regions_are_no_trouble() {
    for spec in methods() {
        let request = || setup(6, 5, l1(300.));
        for everything in [false, true] {
            let reference = Mask::from_fn(6, 5, |_, _| everything);
            attack(&spec, Setup { reference, ..request() }).unwrap();
        }
        let pixel = Mask::from_fn(6, 5, |x, y| (x, y) == (2, 3));
        let outcome = attack(&spec, Setup { region: Some(pixel), ..request() }).unwrap();
        let scores = PerturbationScores::between(&request().image, &outcome.file.image).unwrap();
        assert!(scores.l0_pixels <= 1, "{spec:?}");
        attack(&spec, setup(1, 1, l1(300.))).unwrap();
        // Everything may change as it likes.
        attack(&spec, setup(6, 5, l1(90. * 255.))).unwrap();
    }
}

#[test]
fn the_others_refuse_it_and_say_what_they_take() {
    let takes: BTreeSet<_> = ["apgd", "noise", "pgd"].into();
    for method in catalogue::methods() {
        assert_eq!(method.norms.contains(&Norm::L1), takes.contains(method.method), "{}", method.method);
    }
    for (json, says) in [
        (r#"{"method":"fgsm"}"#, "norm is l1: this method works in linf and l2 only"),
        (r#"{"method":"strongest"}"#, "norm is l1: this method works in linf and l2 only"),
        (r#"{"method":"square"}"#, "norm is l1: this method works in linf only"),
        (r#"{"method":"cw"}"#, "norm is l1: this method works in l2 only"),
    ] {
        let spec: AttackSpec = serde_json::from_str(json).unwrap();
        let refusal = attack(&spec, setup(4, 4, l1(300.))).unwrap_err().to_string();
        assert!(refusal.contains(says), "{json}: {refusal}");
    }
}
