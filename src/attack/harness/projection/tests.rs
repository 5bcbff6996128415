//! Nearest points, directions and whole steps, on a handful of values and to the bit.

use candle_core::Device;

use super::*;
use crate::nn::testing::on_each_device;

fn tensor(values: [f32; 6]) -> Tensor {
    Tensor::new(&values, &Device::Cpu).unwrap().reshape((3, 1, 2)).unwrap()
}

fn values(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn linf_is_cut_to_the_box_and_the_valid_range() {
    let clean = tensor([0., 0.5, 1., 0.5, 0.5, 0.5]);
    let far = tensor([-1., 2., 2., 0.5, 0.45, -3.]);
    let ball = Ball::new(&clean, (Norm::Linf, 0.125), None, Some((0., 1.))).unwrap();
    assert_eq!(values(&ball.project(&far).unwrap()), [0., 0.625, 1., 0.5, 0.45, 0.375]);
    let open = Ball::new(&clean, (Norm::Linf, 0.125), None, None).unwrap();
    assert_eq!(values(&open.project(&far).unwrap()), [-0.125, 0.625, 1.125, 0.5, 0.45, 0.375]);
}

#[test]
fn l2_is_shortened_and_short_ones_are_left_alone() {
    let clean = tensor([0.5; 6]);
    let ball = Ball::new(&clean, (Norm::L2, 0.25), None, Some((0., 1.))).unwrap();
    let far = tensor([0.5 + 3., 0.5 + 4., 0.5, 0.5, 0.5, 0.5]);
    for (got, wanted) in values(&ball.project(&far).unwrap()).iter().zip([0.65, 0.7, 0.5, 0.5, 0.5, 0.5]) {
        assert!((got - wanted).abs() < 1e-6);
    }
    assert_eq!(values(&ball.project(&clean).unwrap()), [0.5; 6]);
}

#[test]
fn the_sign_of_zero_is_zero() {
    let ball = Ball::new(&tensor([0.5; 6]), (Norm::Linf, 0.1), None, None).unwrap();
    let gradient = tensor([0., -0., 1e-30, -1e-30, 2., -2.]);
    assert_eq!(values(&ball.direction(&gradient).unwrap()), [0., 0., 1., -1., 1., -1.]);
}

#[test]
fn a_zero_gradient_has_no_l2_direction() {
    let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), None, None).unwrap();
    assert_eq!(values(&ball.direction(&tensor([0.; 6])).unwrap()), [0.; 6]);
}

#[test]
fn the_region_is_applied_before_the_gradient_is_normalised() {
    let region = Tensor::new(&[[1f32, 0.]], &Device::Cpu).unwrap();
    let gradient = tensor([3., 100., 4., 100., 0., 100.]);
    let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), Some(&region), None).unwrap();
    for (got, wanted) in values(&ball.direction(&gradient).unwrap()).iter().zip([0.6, 0., 0.8, 0., 0., 0.]) {
        assert!((got - wanted).abs() < 1e-6);
    }
    assert_eq!(ball.entries(), 3.);
}

#[test]
fn outside_the_region_the_clean_value_returns_to_the_bit() {
    let region = Tensor::new(&[[1f32, 0.]], &Device::Cpu).unwrap();
    let clean = tensor([0.1, 0.2, 0.3, 0.4, 0.7, 0.9]);
    for norm in Norm::ALL {
        for range in [None, Some((0., 1.))] {
            let ball = Ball::new(&clean, (norm, 0.3), Some(&region), range).unwrap();
            let x = values(&ball.project(&tensor([0.9; 6])).unwrap());
            assert_eq!([x[1], x[3], x[5]], [0.2, 0.4, 0.9]);
            assert_ne!(x[0], 0.1);
        }
    }
}

/// What [`Ball::advance`] has to equal.
fn composed(ball: &Ball, x: &Tensor, gradient: &Tensor, alpha: f64) -> Tensor {
    let moved = (x + (ball.direction(gradient).unwrap() * alpha).unwrap()).unwrap();
    ball.project(&moved).unwrap()
}

fn one_pass_is_the_composed_step_to_the_bit(device: &Device) -> Result<()> {
    let (height, width) = (61, 97);
    let pattern = |seed: usize, scale: f32| -> Vec<f32> {
        let number = |i: usize| (i.wrapping_mul(2_654_435_761) + seed * 40_503) % 10_007;
        (0..3 * height * width).map(|i| number(i) as f32 / 10_007. * scale).collect()
    };
    let image = |values: Vec<f32>| Tensor::from_vec(values, (3, height, width), &Device::Cpu);
    let clean = image(pattern(1, 1.))?;
    let x = (&clean + image(pattern(2, 0.2))?.affine(1., -0.1)?)?;
    let mut slopes: Vec<f32> = pattern(3, 2.).iter().map(|v| v - 1.).collect();
    slopes[..6].copy_from_slice(&[0., -0., f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45]);
    let gradient = image(slopes)?;
    let region: Vec<f32> = (0..height * width).map(|i| f32::from(i % 3 != 0)).collect();
    let region = Tensor::from_vec(region, (height, width), &Device::Cpu)?;
    let put = |x: &Tensor| x.to_device(device);
    let bits = |x: &Tensor| -> Vec<u32> {
        values(&x.to_device(&Device::Cpu).unwrap()).into_iter().map(f32::to_bits).collect()
    };
    for region in [None, Some(&region)] {
        for range in [None, Some((0., 1.))] {
            for alpha in [2. / 255., 0.1] {
                let budget = (Norm::Linf, 8. / 255.);
                let here = Ball::new(&put(&clean)?, budget, region.map(put).transpose()?.as_ref(), range)?;
                let found = here.advance(&put(&x)?, &put(&gradient)?, alpha)?;
                let cpu = Ball::new(&clean, budget, region, range)?;
                assert_eq!(bits(&found), bits(&composed(&cpu, &x, &gradient, alpha)), "{here:?} by {alpha}");
            }
        }
    }
    Ok(())
}

on_each_device!(one_pass_is_the_composed_step_to_the_bit);

#[test]
fn an_l2_step_is_the_composed_one() {
    let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), None, Some((0., 1.))).unwrap();
    let (x, gradient) = (tensor([0.5, 0.52, 0.5, 0.48, 0.5, 0.5]), tensor([3., -1., 0., 2., 0.5, 0.]));
    let found = ball.advance(&x, &gradient, 0.15).unwrap();
    assert_eq!(values(&found), values(&composed(&ball, &x, &gradient, 0.15)));
}

#[test]
fn a_step_takes_views_and_refuses_another_shape() {
    let clean = tensor([0., 0.5, 1., 0.5, 0.5, 0.5]);
    let ball = Ball::new(&clean, (Norm::Linf, 0.125), None, Some((0., 1.))).unwrap();
    let turned = Tensor::new(&[[1f32, -1., 1.], [-1., 0., 1.]], &Device::Cpu).unwrap();
    let turned = turned.t().unwrap().reshape((3, 2)).unwrap().unsqueeze(1).unwrap();
    let found = ball.advance(&clean, &turned, 0.25).unwrap();
    assert_eq!(values(&found), values(&composed(&ball, &clean, &turned, 0.25)));
    assert!(ball.advance(&clean, &Tensor::zeros((3, 2, 2), DType::F32, &Device::Cpu).unwrap(), 0.1).is_err());
}
