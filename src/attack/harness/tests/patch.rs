//! Patches, on a model that looks at the whole image: with the toy's logits alone no pixel would matter to another.

use candle_core::{Tensor, Var};

use super::*;
use crate::attack::{GREY, Patch, Place, Placement};
use crate::imaging::Image;
use crate::loss::{Loss, Term};
use crate::oracle::{Answer, Measure, Oracle};

/// A model whose logits all rise and fall with a fixed pattern of the image, beside what their own pixel says.
struct Wide<'a> {
    problem: &'a Problem,
    asked: usize,
    /// Which question, from 1, is cancelled.
    cancels: Option<usize>,
}

impl<'a> Wide<'a> {
    fn new(problem: &'a Problem) -> Self {
        Self { problem, asked: 0, cancels: None }
    }

    fn objective(&mut self, x: &Tensor, measure: &Measure) -> Result<(Tensor, Tensor), OracleError> {
        self.asked += 1;
        if self.cancels == Some(self.asked) {
            return Err(OracleError::Cancelled);
        }
        let logits = logits(x)?;
        let aim = self.problem.aim();
        let target = aim.mask.to_tensor(x.device()).expect("fits the CPU");
        let term = Term::new(Loss::Bce, aim.towards, measure.progress);
        let loss = match measure.counted.as_ref().or(self.problem.counted()) {
            None => term.value(&logits, &target)?,
            Some(counted) => counted.value(term, &logits, &target)?,
        };
        Ok((if aim.towards { loss.neg()? } else { loss }, logits.detach()))
    }
}

/// A fifth of the pixels of a usual image are foreground.
fn logits(x: &Tensor) -> candle_core::Result<Tensor> {
    let sign = |at: usize| if at.is_multiple_of(3) { 60. } else { -60. };
    let pattern = Tensor::from_vec((0..x.elem_count()).map(sign).collect::<Vec<f32>>(), x.shape(), x.device())?;
    let x = (x - 0.5)?;
    let mix = Tensor::new(&[9f32, -6., 4.], x.device())?.reshape((3, 1, 1))?;
    let here = (x.broadcast_mul(&mix)?.sum(0)? - 0.4)?;
    here.broadcast_add(&(x * pattern)?.mean_all()?)
}

impl Oracle for Wide<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        let (loss, logits) = self.objective(x, measure)?;
        Ok((loss.to_scalar()?, logits))
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let x = Var::from_tensor(x)?;
        let (loss, logits) = self.objective(&x, measure)?;
        let gradient = loss.backward()?.remove(&x).ok_or(OracleError::Gradient("missing".into()))?;
        Ok(Answer { loss: loss.to_scalar()?, gradient, logits })
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        Ok(logits(x)?)
    }
}

fn patch(steps: usize) -> Patch {
    Patch { steps, translation_px: 2, scale: 0.8, brightness: 0.2, ..Patch::default() }
}

/// A problem with a patch at `pixels`, whose reference is what the model says about the clean image.
fn request(image: Image, pixels: Mask) -> Setup {
    let answer = logits(&image.to_tensor(&Device::Cpu).unwrap()).unwrap();
    let preprocess = toy::preprocess(image.width(), image.height());
    let setup = Setup::new(image, Mask::from_logits(&answer).unwrap(), None, preprocess);
    Setup { region: Some(pixels.clone()), ignored: Some(pixels), ..setup }
}

fn usual() -> Setup {
    let pixels = Mask::from_fn(16, 12, |x, y| (10..15).contains(&x) && (6..11).contains(&y));
    request(toy::image(16, 12, 5), pixels)
}

fn run_on(patch: &Patch, setup: &Setup) -> Outcome {
    let problem = Problem::new(setup.clone(), &Device::Cpu).unwrap();
    run(&AttackSpec::Patch(patch.clone()), &problem, &mut Wide::new(&problem), &mut |_: &StepRecord| ()).unwrap()
}

#[test]
fn a_patch_changes_nothing_outside_of_itself_and_does_more_there_than_grey_or_noise() {
    for samples in [1, 4] {
        let (setup, patch) = (usual(), Patch { samples, ..patch(30) });
        let outcome = run_on(&patch, &setup);
        let pixels = setup.ignored.as_ref().unwrap();
        let rgb = outcome.file.image.rgb().chunks(3).zip(setup.image.rgb().chunks(3));
        assert!(rgb.zip(pixels.bits()).all(|((after, before), inside)| *inside || after == before));
        assert!(values(&outcome).iter().all(|value| (0. ..=1.).contains(value)));
        assert_eq!(outcome.records.len() as u64, patch.points());
        assert_eq!(outcome.queries.gradient, 30 * samples);
        let [grey, noise] = [&outcome.records[0], &outcome.records[1]];
        assert_eq!((grey.tried.as_deref(), noise.tried.as_deref()), (Some(GREY), None));
        let found = outcome.file.evaluation.dsc;
        assert!(found < 0.5 && found < grey.dsc && found < noise.dsc, "{found} {} {}", grey.dsc, noise.dsc);
        assert!(outcome.file.at.step > 0, "the grey patch is a control, not a result");
        assert!(outcome.budget.is_none() && outcome.within_budget.is_none());
        assert!(outcome.records.iter().all(|record| record.budget_used.is_none()));
    }
}

#[test]
fn neither_loss_nor_score_sees_what_lies_under_the_patch() {
    let setup = usual();
    let outcome = run_on(&patch(6), &setup);
    let pixels = setup.ignored.as_ref().unwrap();
    for other in
        [setup.reference.without(pixels), Mask::from_fn(16, 12, |x, y| pixels.get(x, y) || setup.reference.get(x, y))]
    {
        assert_ne!(other, setup.reference);
        let again = run_on(&patch(6), &Setup { reference: other, ..setup.clone() });
        assert_eq!((&again.records, &again.file.bytes), (&outcome.records, &outcome.file.bytes));
    }
    assert_eq!(outcome.clean.dsc, 1.);
    // By hand: the two masks without the patch.
    let [seen, wanted] = [&outcome.file.evaluation.mask, &setup.reference].map(|mask| mask.without(pixels));
    let both = seen.bits().iter().zip(wanted.bits()).filter(|(a, b)| **a && **b).count();
    let dsc = 2. * both as f64 / (seen.area() + wanted.area()) as f64;
    assert_eq!(outcome.file.evaluation.dsc, dsc);
}

#[test]
fn one_view_is_the_patch_as_it_stands_and_the_seed_decides_the_rest() {
    let setup = usual();
    let one = run_on(&patch(8), &setup);
    let still = Patch { translation_px: 0, scale: 1., brightness: 0., ..patch(8) };
    let plain = run_on(&still, &setup);
    assert_eq!((&one.records, &one.file.bytes), (&plain.records, &plain.file.bytes), "one view is no expectation");
    // Views that do not differ from the patch give the same direction.
    let same = run_on(&Patch { samples: 3, ..still }, &setup);
    assert_eq!(same.file.bytes, plain.file.bytes);
    // Of the model's pattern, which changes from pixel to pixel, moved views leave little: the direction is another.
    let varied = Patch { samples: 8, decay: 0., ..patch(8) };
    let several = run_on(&varied, &setup);
    assert_ne!(several.records, run_on(&Patch { samples: 1, ..varied.clone() }, &setup).records);
    let again = run_on(&varied, &setup);
    assert_eq!((&again.records, &again.file.bytes), (&several.records, &several.file.bytes));
    assert_ne!(run_on(&patch(8), &Setup { seed: 1, ..setup }).records, one.records);
}

#[test]
fn masks_without_a_class_single_pixels_and_nearly_everything_are_no_trouble() {
    let places = [
        Mask::from_fn(6, 5, |x, y| (x, y) == (2, 3)),
        Mask::from_fn(6, 5, |x, y| (x, y) != (2, 3)),
        Mask::from_fn(6, 5, |x, y| (x + y) % 2 == 0),
    ];
    for pixels in places {
        for (image, everything) in [(toy::image(6, 5, 5), false), (toy::image(6, 5, 5), true)] {
            for goal in [Goal::Untargeted, Goal::Erase, Goal::Hallucinate(None)] {
                let reference = Mask::from_fn(6, 5, |_, _| everything);
                let setup = Setup { reference, goal, ..request(image.clone(), pixels.clone()) };
                let outcome = run_on(&Patch { samples: 3, ..patch(4) }, &setup);
                assert!((0. ..=1.).contains(&outcome.file.evaluation.dsc));
            }
        }
        let dark = Image::new(6, 5, [[0, 255, 0]; 30].concat()).unwrap();
        let setup = Setup { reference: Mask::from_fn(6, 5, |x, _| x > 2), ..request(dark, pixels) };
        run_on(&patch(4), &setup);
    }
    let all = Mask::from_fn(6, 5, |_, _| true);
    let refused = Problem::new(request(toy::image(6, 5, 5), all), &Device::Cpu).unwrap_err().to_string();
    assert!(refused.contains("nothing would be left"), "{refused}");
}

#[test]
fn a_patch_that_was_stopped_anywhere_goes_on_to_the_same_result() {
    for samples in [1, 3] {
        let spec = AttackSpec::Patch(Patch { samples, ..patch(4) });
        let problem = Problem::new(usual(), &Device::Cpu).unwrap();
        let resumed = stopped_anywhere(|cancels, keeper| {
            let mut wide = Wide { cancels, ..Wide::new(&problem) };
            (run(&spec, &problem, &mut wide, keeper), wide.asked)
        });
        // The second question is about the grey patch: then there is something to keep.
        assert!(!resumed[1..].contains(&false), "{resumed:?}");
    }
}

#[test]
fn patches_that_make_no_sense_are_refused() {
    let refusal = |patch: Patch| match AttackSpec::Patch(patch).attack().check() {
        Err(AttackError::Parameter { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(patch(0)), "steps");
    let still = Epsilon::new(0., Unit::Unit01).unwrap();
    assert_eq!(refusal(Patch { alpha: still, ..patch(3) }), "alpha");
    assert_eq!(refusal(Patch { decay: 1.5, ..patch(3) }), "decay");
    for samples in [0, 101] {
        assert_eq!(refusal(Patch { samples, ..patch(3) }), "samples");
    }
    assert_eq!(refusal(Patch { samples: 100, ..patch(101) }), "samples");
    assert_eq!(refusal(Patch { translation_px: 1001, ..patch(3) }), "translation_px");
    assert_eq!([refusal(Patch { scale: 0., ..patch(3) }), refusal(Patch { scale: 1.1, ..patch(3) })], ["scale"; 2]);
    assert_eq!(refusal(Patch { brightness: -0.1, ..patch(3) }), "brightness");
    let named = Placement::Named(crate::attack::Named { at: Place::TopLeft, share: 0.7 });
    assert_eq!(refusal(Patch { placement: Some(named), ..patch(3) }), "placement");

    let with_budget = setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255));
    let spec = AttackSpec::Patch(patch(3));
    assert!(attack(&spec, with_budget.clone()).unwrap_err().to_string().contains("no budget"));
    let nowhere = attack(&spec, Setup { budget: None, ..with_budget }).unwrap_err().to_string();
    assert!(nowhere.contains("where it lies"), "{nowhere}");
}
