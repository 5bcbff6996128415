use candle_core::{DType, Device, Result, Tensor};
use serde::Deserialize;

use super::{Loss, Progress, Term, gradient};

/// Written by `tests/oracle/make_attack_fixtures.py`.
const FIXTURE: &str = include_str!("../../tests/fixtures/attacks/white_box.json");

#[derive(Deserialize)]
struct Fixture {
    losses: Vec<Case>,
}

/// A loss at the example below, as torch has it in float64.
#[derive(Deserialize)]
struct Case {
    loss: Loss,
    towards: bool,
    progress: f64,
    value: f64,
    gradient: Vec<f64>,
}

/// Losses through a part of which no gradient flows: no difference of their values is the gradient.
const HELD: [Loss; 2] = [Loss::CosPgd, Loss::Margin];

/// Logits of both signs and a target that agrees with about half of them, `[4, 5]`, f64.
fn example() -> Result<(Tensor, Tensor)> {
    let logits: Vec<f64> = (0..20).map(|i| 3. * (1.7 * f64::from(i) + 0.3).sin()).collect();
    let target: Vec<f64> = (0..20).map(|i| f64::from(u8::from(i % 3 == 0))).collect();
    Ok((Tensor::from_vec(logits, (4, 5), &Device::Cpu)?, Tensor::from_vec(target, (4, 5), &Device::Cpu)?))
}

fn flat(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64).and_then(|x| x.flatten_all()?.to_vec1()).unwrap()
}

/// Computed with torch 2 in float64: value, and the gradient at pixels 0, 7 and 18.
const TORCH: [(Loss, f64, [f64; 3]); 4] = [
    (Loss::DiceCe, 2.1464808827137527, [-0.043196430025097675, 0.019210177590569116, -0.06163557836020011]),
    (Loss::DiceCePaper, 1.7354217035918236, [-0.03201534526452602, 0.0118283356167502, -0.0243337382030626]),
    (Loss::Bce, 1.2405353239876757, [-0.01459100521663414, 0.012725630401643576, -0.04072880262053865]),
    (Loss::SoftDice, 0.6039637058173847, [-0.019070283205642358, 0.004323031459283694, -0.013937850493107641]),
];

#[test]
fn values_and_gradients_are_those_of_torch() -> Result<()> {
    let (logits, target) = example()?;
    for (loss, value, slopes) in TORCH {
        for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
            let (found, slope) = gradient(loss, &logits.to_dtype(dtype)?, &target.to_dtype(dtype)?).unwrap();
            let (found, slope) = (flat(&found)[0], flat(&slope));
            assert!((found - value).abs() < tolerance, "{loss} in {dtype:?}: {found} is not {value}");
            for (at, expected) in [0, 7, 18].into_iter().zip(slopes) {
                assert!((slope[at] - expected).abs() < tolerance, "{loss} in {dtype:?} at {at}: {}", slope[at]);
            }
        }
    }
    Ok(())
}

#[test]
fn losses_of_papers_are_those_derived_with_torch() -> Result<()> {
    let (logits, target) = example()?;
    let Fixture { losses } = serde_json::from_str(FIXTURE).unwrap();
    let derived = |loss: &Loss| losses.iter().any(|case| case.loss == *loss);
    assert!(Loss::ALL[4..].iter().all(|loss| *loss == Loss::MaskedMargin || derived(loss)));
    for Case { loss, towards, progress, value, gradient } in losses {
        let term = Term::new(loss, towards, Progress::after((progress * 8.) as usize, 8));
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-6)] {
            let (found, slope) = term.gradient(&logits.to_dtype(dtype)?, &target.to_dtype(dtype)?).unwrap();
            let found = flat(&found)[0];
            assert!((found - value).abs() < tolerance, "{term:?} in {dtype:?}: {found} is not {value}");
            for (at, (found, wanted)) in flat(&slope).into_iter().zip(&gradient).enumerate() {
                assert!((found - wanted).abs() < tolerance, "{term:?} in {dtype:?} at {at}: {found} is not {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn weights_without_gradient_are_held() -> Result<()> {
    let (logits, target) = example()?;
    let (z, y) = (flat(&logits), flat(&target));
    let size = z.iter().map(|z| z.abs()).sum::<f64>() / 20.;
    let slope = |loss| gradient(loss, &logits, &target).map(|(_, slope)| flat(&slope)).unwrap();
    let (cosine, margin) = (slope(Loss::CosPgd), slope(Loss::Margin));
    for at in 0..20 {
        let p = 1. / (1. + (-z[at]).exp());
        let of_target = if y[at] == 1. { p } else { 1. - p };
        let weight = of_target / of_target.hypot(1. - of_target);
        assert!((cosine[at] - weight * (p - y[at]) / 20.).abs() < 1e-15);
        assert!((margin[at] - (1. - 2. * y[at]) / 20. / size).abs() < 1e-13);
    }
    Ok(())
}

/// Undecided logits: the pixel of the target disagrees, the three others agree.
#[test]
fn hand_computed_values_of_both_directions() -> Result<()> {
    let logits = Tensor::zeros((2, 2), DType::F64, &Device::Cpu)?;
    let target = Tensor::new(&[[1f64, 0.], [0., 0.]], &Device::Cpu)?;
    let (ln2, half) = (2f64.ln(), Progress::after(1, 2));
    let (from, to) = (false, true);
    for (loss, towards, progress, expected) in [
        (Loss::MaskedCe, from, half, 0.75 * ln2),
        (Loss::MaskedCe, to, half, 0.25 * ln2),
        // at the start the pixels to be won alone, at the end all alike
        (Loss::SegPgd, from, Progress::START, 0.75 * ln2),
        (Loss::SegPgd, to, Progress::START, 0.25 * ln2),
        (Loss::SegPgd, from, half, (3. * 0.75 + 0.25) / 4. * ln2),
        (Loss::SegPgd, to, half, (0.75 + 3. * 0.25) / 4. * ln2),
        (Loss::SegPgd, from, Progress::END, 0.5 * ln2),
        (Loss::SegPgd, to, Progress::END, 0.5 * ln2),
        (Loss::CosPgd, from, half, ln2 / 2f64.sqrt()),
        (Loss::CosPgd, to, half, ln2 * (1. - 0.5f64.sqrt())),
        // weights 2 inside and 2/3 outside
        (Loss::BalancedMaskedCe, from, half, 0.5 * ln2),
        (Loss::BalancedMaskedCe, to, half, 0.5 * ln2),
        (Loss::Jsd, from, half, ln2 - 0.5 * (0.5 * ln2 + 1.5 * 1.5f64.ln())),
        (Loss::Margin, from, half, 0.),
        (Loss::BoundaryCe, to, half, ln2),
    ] {
        let term = Term::new(loss, towards, progress);
        let found: f64 = term.value(&logits, &target)?.to_scalar()?;
        assert!((found - expected).abs() < 1e-14, "{term:?}: {found} is not {expected}");
    }
    Ok(())
}

#[test]
fn bounds_and_special_targets() -> Result<()> {
    let (logits, target) = example()?;
    let (none, all) = (target.zeros_like()?, target.ones_like()?);
    for towards in [false, true] {
        for target in [&none, &all] {
            let value = |loss| Term::new(loss, towards, Progress::START).value(&logits, target)?.to_scalar::<f64>();
            assert_eq!(value(Loss::BalancedMaskedCe)?, value(Loss::MaskedCe)?, "without one class it is masked CE");
            assert!((value(Loss::BoundaryCe)? - value(Loss::Bce)?).abs() < 1e-14, "without an outline it is BCE");
        }
    }
    for scale in [1e-3, 1., 1e3] {
        let (scaled, margin) = ((&logits * scale)?, Loss::Margin.value(&logits, &target)?.to_scalar::<f64>()?);
        let bounded = Loss::Jsd.value(&scaled, &target)?.to_scalar::<f64>()?;
        assert!((0. ..=2f64.ln()).contains(&bounded), "{bounded}");
        let found = Loss::Margin.value(&scaled, &target)?.to_scalar::<f64>()?;
        assert!((found - margin).abs() < 1e-8, "the margin has no scale: {found} is not {margin}");
    }
    // the outline of a half plane weighs eleven times as much as what is far from it
    let half =
        Tensor::from_vec((0..30 * 30).map(|i| f64::from(u8::from(i % 30 < 15))).collect(), (30, 30), &Device::Cpu)?;
    let (_, slope) = gradient(Loss::BoundaryCe, &half.zeros_like()?, &half).unwrap();
    let slope = slope.get(15)?.to_vec1::<f64>()?;
    let ratio = slope[15].abs() / slope[0].abs();
    assert!((9.5..11.).contains(&ratio), "{ratio}");
    Ok(())
}

#[test]
fn the_masked_margin_is_a_hinge_of_either_direction() -> Result<()> {
    let logits = Tensor::new(&[[2f64, -3.], [-1., 5.]], &Device::Cpu)?;
    // Right, right, wrong, wrong: the margins are 2, 3, -1 and -5.
    let target = Tensor::new(&[[1f64, 0.], [1., 0.]], &Device::Cpu)?;
    let of = |towards| Term::new(Loss::MaskedMargin, towards, Progress::END).gradient(&logits, &target).unwrap();
    let ((leave, away), (reach, there)) = (of(false), of(true));
    assert_eq!((flat(&leave), flat(&away)), (vec![-5. / 4.], vec![-0.25, 0.25, 0., 0.]));
    assert_eq!((flat(&reach), flat(&there)), (vec![6. / 4.], vec![0., 0., -0.25, 0.25]));
    let won =
        Term::new(Loss::MaskedMargin, false, Progress::END).value(&logits, &logits.lt(0f64)?.to_dtype(DType::F64)?)?;
    assert_eq!(won.to_scalar::<f64>()?, 0., "all pixels are won");
    Ok(())
}

#[test]
fn terms_that_are_always_equal_are_equal() {
    let at = |loss, towards, step| Term::new(loss, towards, Progress::after(step, 10));
    assert_eq!(at(Loss::Bce, false, 1), at(Loss::Bce, true, 7));
    assert_eq!(at(Loss::CosPgd, true, 1), at(Loss::CosPgd, true, 7));
    assert_ne!(at(Loss::CosPgd, true, 1), at(Loss::CosPgd, false, 1));
    assert_ne!(at(Loss::SegPgd, true, 1), at(Loss::SegPgd, true, 2));
    assert_eq!(at(Loss::SegPgd, true, 30), Term::new(Loss::SegPgd, true, Progress::END));
    assert_eq!(Progress::after(0, 0).share(), 0.);
}

#[test]
fn gradients_are_finite_differences() -> Result<()> {
    let (logits, target) = example()?;
    let step = 1e-5;
    for loss in Loss::ALL.into_iter().filter(|loss| !HELD.contains(loss)) {
        let (_, slope) = gradient(loss, &logits, &target).unwrap();
        for (at, slope) in flat(&slope).into_iter().enumerate() {
            let moved = |by: f64| -> Result<f64> {
                let mut z = flat(&logits);
                z[at] += by;
                loss.value(&Tensor::from_vec(z, (4, 5), &Device::Cpu)?, &target)?.to_scalar()
            };
            let difference = (moved(step)? - moved(-step)?) / (2. * step);
            assert!((difference - slope).abs() < 1e-9, "{loss} at {at}: {difference} is not {slope}");
        }
    }
    Ok(())
}

#[test]
fn undecided_logits_have_the_values_of_the_formulas() -> Result<()> {
    let logits = Tensor::zeros((2, 2), DType::F64, &Device::Cpu)?;
    let target = Tensor::new(&[[1f64, 0.], [0., 0.]], &Device::Cpu)?;
    let ln2 = 2f64.ln();
    let dice = 1. - (1. + 1e-5) / (3. + 1e-5);
    // A probability of one half as a logit: softplus(-1/2) once, softplus(1/2) three times.
    let twice = ((1. + (-0.5f64).exp()).ln() + 3. * (1. + 0.5f64.exp()).ln()) / 4.;
    for (loss, expected) in [
        (Loss::Bce, ln2),
        (Loss::SoftDice, dice),
        (Loss::DiceCe, 1.5 * dice + ln2),
        (Loss::DiceCePaper, 1.5 * dice + twice),
    ] {
        let found: f64 = loss.value(&logits, &target)?.to_scalar()?;
        assert!((found - expected).abs() < 1e-14, "{loss}: {found} is not {expected}");
    }
    let (_, slope) = gradient(Loss::Bce, &logits, &target).unwrap();
    assert_eq!(flat(&slope), [-0.125, 0.125, 0.125, 0.125]);
    Ok(())
}

#[test]
fn extreme_logits_stay_finite_and_confident_ones_keep_a_gradient() -> Result<()> {
    let logits = Tensor::new(&[[100f32, -100., 1000.], [-1000., 20., -20.]], &Device::Cpu)?;
    let agrees = Tensor::new(&[[1f32, 0., 1.], [0., 1., 0.]], &Device::Cpu)?;
    for loss in Loss::ALL {
        for target in [&agrees, &agrees.affine(-1., 1.)?, &agrees.zeros_like()?, &agrees.ones_like()?] {
            let (value, slope) = gradient(loss, &logits, target).unwrap();
            let slope = flat(&slope);
            assert!(flat(&value)[0].is_finite(), "{loss}");
            assert!(slope.iter().all(|g| g.is_finite()), "{loss}: {slope:?}");
            let masked = matches!(loss, Loss::MaskedCe | Loss::BalancedMaskedCe | Loss::MaskedMargin);
            let kept = slope[4] != 0. && slope[5] != 0.;
            assert!(masked || kept, "{loss}: the gradient at +-20 was rounded away: {slope:?}");
        }
    }
    Ok(())
}

#[test]
fn a_batch_answers_each_image_bit_for_bit() -> Result<()> {
    let (logits, target) = example()?;
    let (logits, target) = (logits.to_dtype(DType::F32)?, target.to_dtype(DType::F32)?);
    let (other, reverse) = (logits.affine(-0.7, 0.2)?, target.affine(-1., 1.)?);
    for loss in Loss::ALL {
        let (values, slopes) =
            gradient(loss, &Tensor::stack(&[&other, &logits], 0)?, &Tensor::stack(&[&reverse, &target], 0)?).unwrap();
        assert_eq!(values.dims(), [2]);
        let (value, slope) = gradient(loss, &logits, &target).unwrap();
        assert_eq!(values.to_vec1::<f32>()?[1].to_bits(), value.to_scalar::<f32>()?.to_bits(), "{loss}");
        assert_eq!(flat(&slopes.get(1)?), flat(&slope), "{loss}");
    }
    Ok(())
}

#[test]
fn names_are_read_back() {
    for loss in Loss::ALL {
        assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
        assert_eq!(serde_json::to_string(&loss).unwrap(), format!("\"{loss}\""));
    }
    let error = "hinge".parse::<Loss>().unwrap_err().to_string();
    assert!(Loss::ALL.iter().all(|loss| error.contains(loss.name())), "{error}");
}

#[test]
fn shapes_that_differ_are_an_error() -> Result<()> {
    let (logits, target) = example()?;
    for loss in Loss::ALL {
        assert!(loss.value(&logits, &target.t()?).is_err(), "{loss}");
    }
    Ok(())
}
