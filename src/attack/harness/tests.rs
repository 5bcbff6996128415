//! The harness and the attacks on a model whose gradient is known.

mod black_box;
mod certify;
mod defended;
mod frequency;
mod guard;
mod l1;
mod minimal;
mod patch;
mod texts;
pub(crate) mod toy;
mod unbounded;
mod universal;
mod white_box;

use candle_core::Device;
use proptest::prelude::*;

use super::{Outcome, run};
use crate::attack::Checkpoint;
use crate::attack::protocol::SaveAs;
use crate::attack::{
    Attack, AttackError, AttackSpec, Budget, Criterion, Epsilon, Fgsm, Goal, Norm, Pgd, Problem, Protocol, Setup,
    StepRecord, Unit, Watcher,
};
use crate::imaging::{Container, Limits, Mask, decode};
use crate::metric::PerturbationScores;
use crate::oracle::OracleError;
use toy::{Fault, Toy};

fn budget(norm: Norm, value: f64, unit: Unit) -> Budget {
    Budget { norm, epsilon: Epsilon::new(value, unit).unwrap() }
}

/// An image of `width` x `height`, its reference being what the toy model says about it.
fn setup(width: usize, height: usize, budget: Budget) -> Setup {
    let image = toy::image(width, height, 5);
    let reference = toy::mask(&image);
    Setup::new(image, reference, budget, toy::preprocess(width, height))
}

/// The setup of a method that has no budget.
fn unbounded(width: usize, height: usize) -> Setup {
    let image = toy::image(width, height, 5);
    let reference = toy::mask(&image);
    Setup::new(image, reference, None, toy::preprocess(width, height))
}

fn pgd() -> AttackSpec {
    AttackSpec::Pgd(Pgd { steps: 8, ..Pgd::default() })
}

fn attack(spec: &AttackSpec, setup: Setup) -> Result<Outcome, AttackError> {
    attack_with(spec, setup, Fault::None)
}

fn attack_with(spec: &AttackSpec, setup: Setup, fault: Fault) -> Result<Outcome, AttackError> {
    let problem = Problem::new(setup, &Device::Cpu)?;
    let mut toy = Toy::new(&problem, fault);
    run(spec, &problem, &mut toy, &mut |_: &StepRecord| ())
}

fn values(outcome: &Outcome) -> Vec<f32> {
    outcome.float.x.flatten_all().unwrap().to_vec1().unwrap()
}

/// Whether no step left a budget of `levels` pixel levels, but for rounding: a value in [0, 1] has 24 bits, so 6e-8 of full
/// scale is 2e-5 levels, however small the budget is.
fn within(outcome: &Outcome, levels: f64) -> bool {
    outcome.records.iter().all(|record| record.budget_used.unwrap() * levels <= levels + 2e-4)
}

fn norms() -> impl Strategy<Value = Norm> {
    prop_oneof![Just(Norm::Linf), Just(Norm::L2)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn fgsm_is_one_step_of_pgd_bit_for_bit(
        (width, height) in (1usize..12, 1usize..12), levels in 0f64..40., norm in norms(), region in any::<bool>(),
    ) {
        let mut setup = setup(width, height, budget(norm, levels, Unit::Pixel255));
        setup.region = region.then(|| Mask::from_fn(width, height, |x, y| x <= y));
        let one_step = Pgd { steps: 1, alpha: Some(setup.budget.unwrap().epsilon), random_start: false, restarts: 1 };
        let fgsm = attack(&AttackSpec::Fgsm(Fgsm {}), setup.clone()).unwrap();
        let pgd = attack(&AttackSpec::Pgd(one_step), setup).unwrap();
        prop_assert_eq!(values(&fgsm), values(&pgd));
        prop_assert_eq!(fgsm.file.bytes, pgd.file.bytes);
        prop_assert_eq!(fgsm.records, pgd.records);
    }

    #[test]
    fn float_and_file_stay_within_budget_and_region(
        (width, height) in (1usize..12, 1usize..12), levels in prop_oneof![0f64..3., 0f64..80.],
        norm in prop_oneof![norms(), Just(Norm::L1)], region in any::<bool>(), seed in any::<u64>(),
    ) {
        let mut setup = setup(width, height, budget(norm, levels, Unit::Pixel255));
        setup.region = region.then(|| Mask::from_fn(width, height, |x, y| (x + y) % 3 == 0));
        setup.seed = seed;
        let outcome = attack(&pgd(), setup.clone()).unwrap();
        prop_assert!(within(&outcome, levels));
        let scores = PerturbationScores::between(&setup.image, &outcome.file.image).unwrap();
        match norm {
            Norm::Linf => prop_assert!(f64::from(scores.linf_levels) <= (levels + 1e-4).floor()),
            Norm::L2 => prop_assert!(scores.l2_levels <= levels + 1e-4),
            Norm::L1 => prop_assert!(scores.l1_levels as f64 <= levels + 1e-4),
        }
        prop_assert_eq!(outcome.within_budget, Some(true));
        let clean = setup.image.to_tensor(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (entry, (before, after)) in clean.iter().zip(values(&outcome)).enumerate() {
            let pixel = entry % (width * height);
            let allowed = setup.region.as_ref().is_none_or(|r| r.bits()[pixel]);
            prop_assert!((0. ..=1.).contains(&after) && (allowed || *before == after));
        }
    }
}

#[test]
fn pgd_breaks_the_toy_and_reports_what_it_did() {
    for (norm, levels) in [(Norm::Linf, 24.), (Norm::L2, 400.)] {
        let outcome = attack(&pgd(), setup(16, 12, budget(norm, levels, Unit::Pixel255))).unwrap();
        assert_eq!(outcome.clean.dsc, 1.);
        assert!(outcome.success.met && outcome.file.evaluation.dsc < 0.5, "{norm:?}: {}", outcome.file.evaluation.dsc);
        let last = outcome.records.last().unwrap();
        assert!(last.budget_used.unwrap() > 0.95 && last.zero_gradient_share.is_none());
        assert_eq!(outcome.records.len(), 9);
        assert_eq!(outcome.queries.gradient, 8);
        assert_eq!(outcome.notes, Vec::<String>::new());
    }
}

#[test]
fn what_is_downloaded_is_what_was_measured() {
    let setup = setup(16, 12, budget(Norm::Linf, 6., Unit::Pixel255));
    let outcome = attack(&pgd(), setup.clone()).unwrap();
    let downloaded = decode::decode(&outcome.file.bytes, &Limits::default()).unwrap().image;
    assert_eq!(downloaded, outcome.file.image);
    assert_eq!(toy::mask(&downloaded), outcome.file.evaluation.mask);
    assert_eq!(PerturbationScores::between(&setup.image, &outcome.file.image).unwrap().linf_levels, 6);
}

#[test]
fn progress_is_told_about_every_step() {
    let problem = Problem::new(setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255)), &Device::Cpu).unwrap();
    let mut seen = vec![];
    let mut toy = Toy::new(&problem, Fault::None);
    let outcome = run(&pgd(), &problem, &mut toy, &mut |record: &StepRecord| seen.push(record.clone())).unwrap();
    assert_eq!(seen, outcome.records);
    assert_eq!(seen.iter().map(|record| record.step).collect::<Vec<_>>(), (0..=8).collect::<Vec<_>>());
}

/// Keeps the last state as bytes, and goes on from one.
#[derive(Default)]
struct Keeper {
    resumes: Option<Vec<u8>>,
    kept: Option<Vec<u8>>,
    seen: Vec<StepRecord>,
    always: bool,
}

impl Watcher for Keeper {
    fn visited(&mut self, record: &StepRecord) {
        self.seen.push(record.clone());
    }

    fn resumes(&mut self) -> Option<Checkpoint> {
        self.resumes.take().map(|bytes| Checkpoint::from_bytes(&bytes, "", &Device::Cpu).unwrap())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.always
    }

    fn keep(&mut self, checkpoint: Checkpoint) {
        self.kept = Some(checkpoint.to_bytes("").unwrap());
    }
}

/// Stops an attack at every question but the first, which is about the clean image, lets it go on, and compares with
/// one that was not stopped. `run_on` cancels the question of that number, and answers how many were asked; the answer
/// says of each stop whether there was a state to go on from.
fn stopped_anywhere(
    mut run_on: impl FnMut(Option<usize>, &mut Keeper) -> (Result<Outcome, AttackError>, usize),
) -> Vec<bool> {
    let (whole, questions) = run_on(None, &mut Keeper::default());
    let whole = whole.unwrap();
    let mut stop = |cancels: usize| {
        let mut before = Keeper { always: cancels.is_multiple_of(2), ..Keeper::default() };
        assert!(run_on(Some(cancels), &mut before).0.is_err());
        let resumed = before.kept.is_some();
        let mut after = Keeper { resumes: before.kept, ..Keeper::default() };
        let outcome = run_on(None, &mut after).0.unwrap();
        let place = format!("stopped at question {cancels} of {questions}");
        assert_eq!(outcome.records, whole.records, "{place}");
        assert_eq!((outcome.queries, &outcome.file.bytes), (whole.queries, &whole.file.bytes), "{place}");
        assert_eq!((outcome.float.at, values(&outcome)), (whole.float.at, values(&whole)), "{place}");
        assert_eq!((outcome.file.at, &outcome.notes), (whole.file.at, &whole.notes), "{place}");
        assert_eq!(outcome.file.evaluation.dsc, whole.file.evaluation.dsc, "{place}");
        assert_eq!((&outcome.smallest, &outcome.certificate), (&whole.smallest, &whole.certificate), "{place}");
        let under_original = |outcome: &Outcome| outcome.under_original.as_ref().map(|seen| seen.dsc);
        assert_eq!(under_original(&outcome), under_original(&whole), "{place}");
        resumed
    };
    (2..=questions).map(&mut stop).collect()
}

#[test]
fn an_attack_that_was_stopped_anywhere_goes_on_to_the_same_result() {
    let spec = AttackSpec::Pgd(Pgd { steps: 3, restarts: 2, ..Pgd::default() });
    let problem = Problem::new(setup(9, 7, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
    let whole = run(&spec, &problem, &mut Toy::new(&problem, Fault::None), &mut Keeper::default()).unwrap();
    // the first answer is about the clean image; then three steps and an end for each restart
    for (answers, always) in (2..10).flat_map(|answers| [(answers, false), (answers, true)]) {
        let mut before = Keeper { always, ..Keeper::default() };
        let mut toy = Toy::new(&problem, Fault::CancelAfter(answers));
        let stopped = run(&spec, &problem, &mut toy, &mut before).unwrap_err();
        assert!(matches!(stopped, AttackError::Oracle(OracleError::Cancelled)));
        let mut after = Keeper { resumes: before.kept, ..Keeper::default() };
        assert!(after.resumes.is_some(), "stopped after {answers} answers");
        let outcome = run(&spec, &problem, &mut Toy::new(&problem, Fault::None), &mut after).unwrap();
        assert_eq!(outcome.records, whole.records, "stopped after {answers} answers");
        assert_eq!((outcome.queries, &outcome.file.bytes), (whole.queries, &whole.file.bytes));
        assert_eq!((outcome.float.at, values(&outcome)), (whole.float.at, values(&whole)));
        assert_eq!([before.seen, after.seen].concat(), whole.records, "no point is visited twice");
    }
}

#[test]
fn restarts_keep_the_best_and_seeds_decide_everything() {
    let spec = |restarts| AttackSpec::Pgd(Pgd { steps: 3, restarts, ..Pgd::default() });
    let setup = setup(9, 9, budget(Norm::Linf, 9., Unit::Pixel255));
    let outcome = attack(&spec(4), setup.clone()).unwrap();
    let lowest = outcome.records.iter().map(|record| record.dsc).fold(f64::INFINITY, f64::min);
    assert_eq!(outcome.float.evaluation.dsc, lowest);
    assert_eq!(outcome.records.iter().filter(|record| record.step == 0).count(), 4);

    let again = attack(&spec(4), setup.clone()).unwrap();
    assert_eq!(
        (values(&again), again.file.bytes, again.records),
        (values(&outcome), outcome.file.bytes, outcome.records.clone())
    );
    // The first restart does not depend on how many follow.
    assert_eq!(attack(&spec(1), setup.clone()).unwrap().records[..], outcome.records[..4]);
    let other = attack(&spec(4), Setup { seed: 1, ..setup }).unwrap();
    assert_ne!(other.records, outcome.records);
}

#[test]
fn the_paper_is_not_clamped_and_takes_the_last_iterate() {
    let mut setup = setup(16, 12, budget(Norm::Linf, 0.5, Unit::Normalised));
    setup.choices = Protocol::Paper250502971.choices();
    let outcome = attack(&AttackSpec::Pgd(setup.choices.pgd()), setup.clone()).unwrap();
    assert!(values(&outcome).iter().any(|v| *v < 0. || *v > 1.));
    assert_eq!((outcome.float.at, outcome.file.at.step), (outcome.file.at, 40));
    assert!(outcome.notes.iter().any(|note| note.contains("63 % of epsilon")), "{:?}", outcome.notes);
    // 40 steps of 2/255 in units of the red channel's standard deviation.
    let used = outcome.records.last().unwrap().budget_used.unwrap() * 0.5;
    assert!((used - 80. / 255.).abs() < 1e-4, "{used}");

    let elsewhere = Setup { preprocess: toy::preprocess(8, 8), ..setup };
    let refused = attack(&pgd(), elsewhere).unwrap_err().to_string();
    assert!(refused.contains("resize"), "{refused}");
}

#[test]
fn a_file_format_that_loses_levels_is_reported() {
    let mut setup = setup(16, 12, budget(Norm::Linf, 2., Unit::Pixel255));
    (setup.original, setup.choices.container) = (Container::Jpeg, SaveAs::AsOriginal);
    let outcome = attack(&pgd(), setup).unwrap();
    assert!(outcome.clean_reread.is_some() && outcome.within_budget == Some(false));
    assert_eq!(outcome.file.container, Container::Jpeg);
    assert_eq!(decode::decode(&outcome.file.bytes, &Limits::default()).unwrap().image, outcome.file.image);
    assert!(outcome.notes.iter().any(|note| note.contains("out of the budget")));
}

#[test]
fn an_epsilon_below_one_level_cannot_change_a_file() {
    let setup = setup(6, 6, budget(Norm::Linf, 0.01, Unit::Normalised));
    let outcome = attack(&pgd(), setup.clone()).unwrap();
    assert_eq!(outcome.file.image, setup.image);
    assert!(outcome.notes.iter().any(|note| note.contains("0.58 of 255 levels")), "{:?}", outcome.notes);
}

#[test]
fn goals_move_the_area_their_way() {
    let request = |goal| Setup { goal, ..setup(16, 12, budget(Norm::Linf, 20., Unit::Pixel255)) };
    let before = request(Goal::Untargeted).reference.area();
    let erased = attack(&pgd(), request(Goal::Erase)).unwrap();
    assert!(erased.file.evaluation.mask.area() < before / 2);
    let hallucinated = attack(&pgd(), request(Goal::Hallucinate(None))).unwrap();
    assert!(hallucinated.file.evaluation.mask.area() > before + 20);
    let target = Mask::from_fn(16, 12, |x, _| x < 8);
    let outcome = attack(&pgd(), request(Goal::Target(target))).unwrap();
    assert!(outcome.file.evaluation.target_dsc.unwrap() > outcome.clean.target_dsc.unwrap() + 0.1);
    assert!(matches!(outcome.success.criterion, Criterion::DscToTargetAtLeast(_)));
}

#[test]
fn goals_made_of_the_reference_come_nearer_to_their_target() {
    for goal in ["shift=4,1", "grow=40", "shrink=40"] {
        let goal = Goal::new(goal.parse().unwrap(), None).unwrap();
        let request = Setup { goal: goal.clone(), ..setup(16, 12, budget(Norm::Linf, 20., Unit::Pixel255)) };
        let outcome = attack(&pgd(), request.clone()).unwrap();
        let [before, after] = [&outcome.clean, &outcome.file.evaluation].map(|found| found.target_dsc.unwrap());
        assert!(after > before + 0.02, "{goal:?}: {before} to {after}");
        let Criterion::DscToTargetAtLeast(wanted) = outcome.success.criterion else { panic!("{goal:?} has a target") };
        assert!((wanted - f64::midpoint(before, 1.)).abs() < 1e-9 && !outcome.success.met_by_clean_image);
        let nothing = Setup { reference: Mask::from_fn(16, 12, |_, _| false), ..request };
        assert!(attack(&pgd(), nothing).unwrap_err().to_string().contains("is empty"));
    }
}

#[test]
fn odd_sizes_and_references_work() {
    for (width, height) in [(1, 1), (3, 7), (2, 1)] {
        for everything in [false, true] {
            let mut setup = setup(width, height, budget(Norm::L2, 30., Unit::Pixel255));
            setup.reference = Mask::from_fn(width, height, |_, _| everything);
            let outcome = attack(&pgd(), setup).unwrap();
            assert!(outcome.within_budget == Some(true) && outcome.file.evaluation.dsc <= outcome.clean.dsc);
        }
    }
}

#[test]
fn faults_of_the_oracle_end_the_attack() {
    let fails = |fault| attack_with(&pgd(), setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255)), fault).unwrap_err();
    assert!(matches!(fails(Fault::CancelAfter(5)), AttackError::Oracle(OracleError::Cancelled)));
    for fault in [Fault::NoGradient, Fault::NanGradient, Fault::WrongShape] {
        assert!(matches!(fails(fault), AttackError::Oracle(OracleError::Gradient(_))), "{fault:?}");
    }
    assert!(matches!(fails(Fault::NanLoss), AttackError::Loss(_)));
}

#[test]
fn a_masked_gradient_is_reported() {
    let setup = setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255));
    let outcome = attack_with(&pgd(), setup, Fault::ZeroGradient).unwrap();
    assert!(outcome.records[0].zero_gradient_share == Some(1.));
    assert!(outcome.notes.iter().any(|note| note.contains("masked")));
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let good = || setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255));
    let refused = |spec: AttackSpec, setup| attack(&spec, setup).unwrap_err().to_string();
    assert!(refused(AttackSpec::Pgd(Pgd { steps: 0, ..Pgd::default() }), good()).contains("at least one step"));
    assert!(refused(AttackSpec::Pgd(Pgd { restarts: 0, ..Pgd::default() }), good()).contains("restarts"));
    let same = Pgd { restarts: 2, random_start: false, ..Pgd::default() };
    assert!(refused(AttackSpec::Pgd(same), good()).contains("use 1"));
    let small = Mask::from_fn(3, 4, |_, _| true);
    assert!(refused(pgd(), Setup { reference: small, ..good() }).contains("3x4 but has to be 4x4"));
    let nothing = Mask::from_fn(4, 4, |_, _| false);
    assert!(refused(pgd(), Setup { region: Some(nothing), ..good() }).contains("at least one pixel"));
    let confused = budget(Norm::Linf, 8., Unit::Unit01);
    assert!(refused(pgd(), Setup { budget: Some(confused), ..good() }).contains("did you mean pixel255?"));
}
