//! One perturbation for many images: what applying it keeps to.

use std::sync::Arc;

use candle_core::Tensor;

use super::*;
use crate::attack::universal::{About, FORMAT_VERSION, MadeOn, Source};
use crate::attack::{Universal, UniversalPerturbation};
use crate::loss::Loss;

/// Corners of `levels` of 255 in an irregular pattern.
fn pattern((height, width): (usize, usize), levels: f64) -> Arc<UniversalPerturbation> {
    let about = About {
        format_version: FORMAT_VERSION,
        method: "pattern".into(),
        norm: Norm::Linf,
        epsilon: Epsilon::new(levels, Unit::Pixel255).unwrap(),
        loss: Loss::Bce,
        seed: 0,
        model: MadeOn::default(),
        sources: vec![Source {
            set: "s".into(),
            prompts: vec!["polyp".into()],
            training_images: 1,
            held_out_images: 1,
        }],
        training: None,
        held_out: None,
    };
    let value = |i: usize| if (i * i / 3).is_multiple_of(2) { levels / 255. } else { -levels / 255. };
    let values: Vec<f32> = (0..3 * height * width).map(|i| value(i) as f32).collect();
    let delta = Tensor::from_vec(values, (3, height, width), &Device::Cpu).unwrap();
    Arc::new(UniversalPerturbation::new(&delta, about).unwrap())
}

fn universal() -> AttackSpec {
    AttackSpec::Universal(Universal {})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_budget_and_the_region_hold_at_any_size_without_a_gradient(
        (width, height) in (1usize..40, 1usize..40), size in (1usize..20, 1usize..20),
        levels in prop_oneof![Just(0.), 0.5f64..20.], norm in norms(), region in any::<bool>(),
    ) {
        let mut setup = setup(width, height, budget(norm, levels, Unit::Pixel255));
        setup.perturbation = Some(pattern(size, 16.));
        setup.region = region.then(|| Mask::from_fn(width, height, |x, y| x <= y));
        let outcome = attack(&universal(), setup.clone()).unwrap();
        prop_assert_eq!(outcome.within_budget, Some(true));
        prop_assert_eq!((outcome.queries.gradient, outcome.records.len()), (0, 1));
        prop_assert!(outcome.records[0].budget_used.unwrap() <= 1. + 1e-3);
        for y in 0..height {
            for x in 0..width {
                let at = 3 * (y * width + x);
                let same = outcome.file.image.rgb()[at..at + 3] == setup.image.rgb()[at..at + 3];
                prop_assert!(same || !region || x <= y);
            }
        }
        let again = attack(&universal(), Setup { seed: 9, ..setup }).unwrap();
        prop_assert_eq!(again.file.bytes, outcome.file.bytes);
    }
}

#[test]
fn at_its_own_size_and_budget_the_perturbation_itself_is_added() {
    let mut setup = setup(12, 9, budget(Norm::Linf, 16., Unit::Pixel255));
    let perturbation = pattern((9, 12), 16.);
    setup.perturbation = Some(perturbation.clone());
    let problem = Problem::new(setup.clone(), &Device::Cpu).unwrap();
    let outcome = attack(&universal(), setup).unwrap();
    let wanted = (problem.ball().clean() + perturbation.delta()).unwrap().clamp(0f32, 1.).unwrap();
    let wanted: Vec<f32> = wanted.flatten_all().unwrap().to_vec1().unwrap();
    assert!(values(&outcome).iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6));
    assert!(outcome.notes.iter().all(|note| !note.contains("universal")), "{:?}", outcome.notes);
}

#[test]
fn what_is_cut_or_was_trained_for_another_prompt_is_noted() {
    let mut setup = setup(12, 9, budget(Norm::Linf, 4., Unit::Pixel255));
    setup.perturbation = Some(pattern((9, 12), 16.));
    setup.prompt = "lungs".into();
    setup.region = Some(Mask::from_fn(12, 9, |x, _| x < 6));
    let notes = attack(&universal(), setup).unwrap().notes.join("\n");
    assert!(notes.contains("25 %") && notes.contains("it was cut"), "{notes}");
    assert!(notes.contains("inside the allowed region alone") && notes.contains("\"polyp\""), "{notes}");
}

#[test]
fn the_perturbation_goes_with_its_method_and_with_no_other() {
    let bare = setup(6, 5, budget(Norm::Linf, 4., Unit::Pixel255));
    let refusal = |spec: &AttackSpec, setup: Setup| attack(spec, setup).unwrap_err().to_string();
    assert!(refusal(&universal(), bare.clone()).contains("perturbation is missing"));
    let given = Setup { perturbation: Some(pattern((5, 6), 4.)), ..bare };
    assert!(refusal(&pgd(), given).contains("only the method universal"));
}

#[test]
fn in_normalised_space_the_same_pixels_change() {
    let pixels =
        Setup { perturbation: Some(pattern((7, 8), 6.)), ..setup(8, 7, budget(Norm::Linf, 50., Unit::Pixel255)) };
    let choices = Protocol::Paper250502971.choices();
    let normalised = Setup { choices: crate::attack::Choices { container: SaveAs::Png, ..choices }, ..pixels.clone() };
    let (one, other) = (attack(&universal(), pixels).unwrap(), attack(&universal(), normalised).unwrap());
    assert_eq!(one.file.image, other.file.image);
}
