use candle_core::{DType, Device, Result, Tensor};

use super::{Loss, gradient};

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
fn gradients_are_finite_differences() -> Result<()> {
    let (logits, target) = example()?;
    let step = 1e-5;
    for loss in Loss::ALL {
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
            assert!(slope[4] != 0. && slope[5] != 0., "{loss}: the gradient at +-20 was rounded away: {slope:?}");
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
