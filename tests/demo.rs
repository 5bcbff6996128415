//! The demo model on the committed samples: it works, and it breaks the way it is asked to.

use std::path::Path;

use candle_core::{DType, Device};
use segprobe::attack::{
    AttackSpec, Budget, Epsilon, Fgsm, Goal, Noise, NoiseKind, Norm, Pgd, Protocol, SmallestEpsilon, Square,
    SquareMask, StepRecord, Strongest, Unit,
};
use segprobe::engine::{CancelToken, Engine, EngineConfig};
use segprobe::evaluation::result::AttackResult;
use segprobe::evaluation::{AttackRequest, Control, Threat, run_attack};
use segprobe::imaging::Mask;
use segprobe::imaging::decode::{self, Limits};
use segprobe::model::Source;

const SAMPLES: [(&str, &str); 4] =
    [("polyp", "polyp"), ("skin-lesion", "skin lesion"), ("fetal-head", "fetal head"), ("lungs", "lungs")];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn demo() -> Result<Engine> {
    let model = Source::Embedded.open(None, &Device::Cpu, DType::F32)?;
    Ok(Engine::spawn(Box::new(model), EngineConfig::default())?)
}

fn sample(name: &str) -> Result<(decode::Decoded, Mask)> {
    let file = |folder: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("samples/{folder}/{name}.png"));
    let limits = Limits::default();
    Ok((decode::open(&file("images"), &limits)?, decode::open_mask(&file("masks"), &limits)?))
}

fn attack(engine: &Engine, (name, prompt): (&str, &str), spec: AttackSpec, goal: Goal) -> Result<AttackResult> {
    let (image, mask) = sample(name)?;
    let budget = Budget { norm: Norm::Linf, epsilon: Epsilon::new(8., Unit::Pixel255)? };
    let request = AttackRequest {
        image,
        reference: Some(mask),
        prompt: prompt.into(),
        attack: spec,
        threat: Threat { goal, ..Threat::untargeted(budget) },
        defence: None,
        protocol: Protocol::Default,
        loss: None,
        seed: 0,
    };
    let control = Control { cancel: CancelToken::default(), watcher: &mut |_: &StepRecord| {} };
    Ok(run_attack(engine, &request, control)?.result)
}

fn pgd(steps: usize) -> AttackSpec {
    AttackSpec::Pgd(Pgd { steps, ..Pgd::default() })
}

fn area(scores: &segprobe::evaluation::result::Scored) -> u64 {
    let counts = &scores.scores.overlap.confusion;
    counts.true_positive + counts.false_positive
}

#[test]
fn every_sample_is_segmented_and_loses_its_mask() -> Result<()> {
    let engine = demo()?;
    for of in SAMPLES {
        let fgsm = attack(&engine, of, AttackSpec::Fgsm(Fgsm {}), Goal::Untargeted)?;
        let pgd = attack(&engine, of, pgd(20), Goal::Untargeted)?;
        let dsc = |scored: &segprobe::evaluation::result::Scored| scored.scores.overlap.dsc;
        assert!(dsc(&pgd.clean) > 0.7, "{of:?}: clean DSC {}", dsc(&pgd.clean));
        assert!(dsc(&fgsm.adversarial_file) < dsc(&fgsm.clean), "{of:?}: FGSM has no effect");
        assert!(dsc(&pgd.adversarial_file) < dsc(&fgsm.adversarial_file), "{of:?}: PGD is weaker than FGSM");
        assert!(pgd.within_budget == Some(true) && pgd.perturbation.linf_levels <= 8);
    }
    Ok(())
}

#[test]
fn the_strongest_of_several_attacks_is_no_weaker_than_one_of_them() -> Result<()> {
    let engine = demo()?;
    for of in &SAMPLES[..2] {
        let single = attack(&engine, *of, pgd(6), Goal::Untargeted)?;
        let strongest = AttackSpec::Strongest(Strongest { steps: 6, ..Strongest::default() });
        let strongest = attack(&engine, *of, strongest, Goal::Untargeted)?;
        let dsc = strongest.adversarial_file.scores.overlap.dsc;
        assert!(dsc <= single.adversarial_file.scores.overlap.dsc, "{of:?}: {dsc}");
        assert!(strongest.within_budget == Some(true) && strongest.perturbation.linf_levels <= 8);
        assert!(
            strongest.steps.iter().any(|step| step.budget_used.unwrap() > 1.5),
            "larger budgets are passed through"
        );
    }
    Ok(())
}

#[test]
fn answers_alone_do_more_harm_than_noise_and_less_than_gradients() -> Result<()> {
    let engine = demo()?;
    for of in SAMPLES {
        let left = |spec| attack(&engine, of, spec, Goal::Untargeted).map(|r| r.adversarial_file.scores.overlap.dsc);
        let noise = left(AttackSpec::Noise(Noise { queries: 20, kind: NoiseKind::Uniform }))?;
        let square = left(AttackSpec::Square(Square { queries: 80, ..Square::default() }))?;
        let mask = left(AttackSpec::SquareMask(SquareMask { queries: 80, ..SquareMask::default() }))?;
        let gradient = left(pgd(20))?;
        assert!(square < noise && mask < noise, "{of:?}: square {square}, by the mask {mask}, noise {noise}");
        assert!(gradient < square && gradient < mask, "{of:?}: PGD {gradient}, square {square}, by the mask {mask}");
    }
    Ok(())
}

#[test]
fn the_smallest_epsilon_is_just_enough() -> Result<()> {
    let engine = demo()?;
    for of in SAMPLES {
        let search = AttackSpec::SmallestEpsilon(SmallestEpsilon { steps: 12, ..SmallestEpsilon::default() });
        let result = attack(&engine, of, search, Goal::Untargeted)?;
        assert!(result.within_budget == Some(true));
        let smallest = result.smallest.ok_or("no sizes")?;
        let levels = f64::from(result.perturbation.linf_levels);
        assert_eq!(smallest.file.map(|echo| echo.pixel255), result.success.met.then_some(levels), "{of:?}");
        assert!(smallest.curve.windows(2).all(|pair| pair[0].dsc > pair[1].dsc), "{of:?}");
    }
    Ok(())
}

#[test]
fn erasing_shrinks_the_mask_and_hallucinating_grows_it() -> Result<()> {
    let engine = demo()?;
    for of in SAMPLES {
        let erased = attack(&engine, of, pgd(10), Goal::Erase)?;
        let clean = area(&erased.clean);
        assert!(area(&erased.adversarial_file) < clean, "{of:?}: {clean} -> {}", area(&erased.adversarial_file));
        let grown = attack(&engine, of, pgd(10), Goal::Hallucinate(None))?;
        assert!(area(&grown.adversarial_file) > clean, "{of:?}: {clean} -> {}", area(&grown.adversarial_file));
    }
    Ok(())
}

#[test]
fn the_result_does_not_depend_on_what_else_the_engine_does() -> Result<()> {
    let engine = demo()?;
    let alone: Vec<AttackResult> =
        SAMPLES.iter().map(|of| attack(&engine, *of, pgd(5), Goal::Untargeted)).collect::<Result<_>>()?;
    let together: Vec<_> = std::thread::scope(|scope| {
        let engine = &engine;
        let run = |of| move || attack(engine, of, pgd(5), Goal::Untargeted).map_err(|e| e.to_string());
        let threads = SAMPLES.map(|of| scope.spawn(run(of)));
        threads.into_iter().map(|t| t.join().expect("an attack panicked")).collect()
    });
    for (alone, together) in alone.into_iter().zip(together) {
        assert_eq!(serde_json::to_string(&alone)?, serde_json::to_string(&together?)?);
    }
    let shared = engine.stats().batches_by_rows.iter().any(|(rows, n)| *rows > 1 && *n > 0);
    assert!(shared, "the attacks never shared a batch: {:?}", engine.stats());
    Ok(())
}
