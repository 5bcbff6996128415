//! The kernels against the CPU's layers in f64, and against finite differences.

use candle_core::{Device, Result, Tensor, Var};

use super::host::{Host, decode, encode, host};
use super::plan::{self, Element};
use crate::attack::harness::budget::Norm;
use crate::attack::harness::projection::Ball;
use crate::nn::testing::noise;
use crate::nn::{LayerNorm, attention, quick_gelu};

const ELEMENTS: [Element; 2] = [Element::F32, Element::Bf16];

/// The largest relative error (2-norm) of a kernel's result.
fn tolerance(element: Element) -> f64 {
    match element {
        Element::F32 => 3e-6,
        // half a unit in the last of eight places, and what is rounded in between
        Element::Bf16 => 4e-3,
    }
}

/// Noise of this size that `element` holds exactly, as an f64 tensor and as bytes.
fn operand(element: Element, seed: u64, shape: &[usize], size: f64) -> Result<(Tensor, Vec<u8>)> {
    // off centre, so that means are not nearly zero
    let values = ((noise(seed, shape)? + 0.1)? * size)?.flatten_all()?.to_vec1::<f64>()?;
    let bytes = encode(element, &values);
    Ok((Tensor::from_vec(decode(element, &bytes), shape, &Device::Cpu)?, bytes))
}

fn check(what: &str, element: Element, found: &[u8], wanted: &Tensor) -> Result<()> {
    check_within(tolerance(element), what, element, found, wanted)
}

/// Compares by the relative 2-norm.
fn check_within(limit: f64, what: &str, element: Element, found: &[u8], wanted: &Tensor) -> Result<()> {
    let wanted = wanted.flatten_all()?.to_vec1::<f64>()?;
    let found = decode(element, found);
    assert_eq!(found.len(), wanted.len(), "{what}");
    let difference = found.iter().zip(&wanted).map(|(f, w)| (f - w).powi(2)).sum::<f64>().sqrt();
    let size = wanted.iter().map(|w| w * w).sum::<f64>().sqrt();
    // a NaN fails this
    assert!(difference <= limit * size + 1e-6, "{what} in {element:?}: {difference} of {size}");
    Ok(())
}

/// Attention forward and backward of one case on the host.
fn attention_on_host(host: &Host, case: plan::Attention) -> Result<()> {
    let plan::Attention { element, items, tokens, heads, width, causal, .. } = case;
    let shape = [items, tokens, heads * width];
    let what = format!("{case:?}");
    let (q, q_bytes) = operand(element, 1, &shape, 2.)?;
    let (k, k_bytes) = operand(element, 2, &shape, 2.)?;
    let (v, v_bytes) = operand(element, 3, &shape, 1.)?;
    let (dy, dy_bytes) = operand(element, 4, &shape, 1.)?;
    let [q, k, v] = [q, k, v].map(|x| Var::from_tensor(&x).expect("on the CPU"));
    let wanted = attention(&q, &k, &v, heads, causal)?;
    let gradients = (&wanted * &dy)?.sum_all()?.backward()?;

    let (large, small) = (q_bytes.len(), 4 * items * heads * tokens);
    let inputs = vec![q_bytes, k_bytes, v_bytes];
    let forward = case.forward().expect("fits");
    let [y, normaliser] = host.run(&forward, &inputs, &[large, small]).try_into().expect("two");
    check(&format!("y of {what}"), element, &y, &wanted)?;

    let [q_bytes, k_bytes, v_bytes] = inputs.try_into().expect("three");
    let inputs = vec![q_bytes, k_bytes, v_bytes, y, dy_bytes, normaliser];
    let queries = case.backward_queries().expect("fits");
    let [dq, delta] = host.run(&queries, &inputs, &[large, small]).try_into().expect("two");
    let [q_bytes, k_bytes, v_bytes, _, dy_bytes, normaliser] = inputs.try_into().expect("six");
    let inputs = vec![q_bytes, k_bytes, v_bytes, dy_bytes, normaliser, delta];
    let keys = case.backward_keys().expect("fits");
    let [dk, dv] = host.run(&keys, &inputs, &[large, large]).try_into().expect("two");
    for (name, found, var) in [("dq", dq, &q), ("dk", dk, &k), ("dv", dv, &v)] {
        let wanted = gradients.get(var.as_tensor()).expect("a gradient");
        // y is rounded before delta is taken from it, and dp - delta cancels
        let limit = 3. * tolerance(element);
        check_within(limit, &format!("{name} of {what}"), element, &found, wanted)?;
        if items * tokens < 20 && element == Element::F32 {
            differences(&format!("{name} of {what}"), &decode(element, &found), var, || {
                (attention(&q, &k, &v, heads, causal)? * &dy)?.sum_all()?.to_scalar::<f64>()
            })?;
        }
    }
    Ok(())
}

/// Compares up to twelve entries of a gradient with central differences of `value`.
fn differences(what: &str, found: &[f64], var: &Var, value: impl Fn() -> Result<f64>) -> Result<()> {
    let start = var.flatten_all()?.to_vec1::<f64>()?;
    for at in (0..start.len()).step_by(start.len().div_ceil(12)) {
        let mut central = 0.;
        for step in [1e-5, -1e-5] {
            let mut moved = start.clone();
            moved[at] += step;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
            central += value()? / (2. * step);
        }
        assert!((found[at] - central).abs() < 1e-5, "{what} at {at}: {} against {central}", found[at]);
    }
    var.set(&Tensor::from_vec(start, var.shape(), &Device::Cpu)?)
}

#[test]
fn attention_agrees_for_every_width_and_length() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    // (items, tokens, heads, width): one token; several tiles; several blocks; widths that are not
    // multiples of four or fill their kernel only in part
    let cases = [(1, 1, 1, 16), (2, 7, 3, 4), (2, 19, 2, 30), (1, 140, 1, 16), (1, 70, 2, 32), (1, 21, 1, 80)];
    for element in ELEMENTS {
        for (items, tokens, heads, width) in cases {
            for causal in [false, true] {
                let aligned = tokens != 19;
                let case = plan::Attention { element, items, tokens, heads, width, causal, aligned };
                attention_on_host(host, case)?;
            }
        }
    }
    Ok(())
}

#[test]
fn attention_agrees_over_several_blocks_of_wide_heads() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    for (element, tokens, width, causal) in [
        (Element::F32, 133, 64, false),
        (Element::F32, 133, 64, true),
        (Element::Bf16, 133, 64, true),
        (Element::F32, 70, 128, true),
        (Element::Bf16, 70, 128, false),
    ] {
        let case = plan::Attention { element, items: 1, tokens, heads: 2, width, causal, aligned: true };
        attention_on_host(host, case)?;
    }
    Ok(())
}

#[test]
fn attention_of_huge_scores_stays_finite() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    let case = plan::Attention {
        element: Element::F32,
        items: 1,
        tokens: 9,
        heads: 1,
        width: 16,
        causal: false,
        aligned: true,
    };
    let (_, x) = operand(Element::F32, 1, &[1, 9, 16], 1e4)?;
    let y = host.run(&case.forward().expect("fits"), &[x.clone(), x.clone(), x], &[9 * 16 * 4, 9 * 4]);
    assert!(decode(Element::F32, &y[0]).iter().all(|value| value.is_finite()));
    Ok(())
}

#[test]
fn layer_norm_agrees_forward_and_backward() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    for element in ELEMENTS {
        for (rows, width, aligned) in [(5, 9, true), (3, 70, true), (9, 64, true), (2, 64, false), (2, 768, true)] {
            let (x, x_bytes) = operand(element, 1, &[rows, width], 3.)?;
            let x = Var::from_tensor(&x)?;
            let (w, w_bytes) = operand(element, 2, &[width], 1.)?;
            let (b, b_bytes) = operand(element, 3, &[width], 1.)?;
            let (dy, dy_bytes) = operand(element, 4, &[rows, width], 1.)?;
            let layer = LayerNorm::new(w, b, 1e-5);
            let wanted = layer.forward(&x)?;
            let gradient = (&wanted * &dy)?.sum_all()?.backward()?;
            let norm = plan::Norm { element, rows, width, epsilon: 1e-5, aligned };
            let what = format!("{norm:?}");
            let bytes = x_bytes.len();
            let inputs = [x_bytes.clone(), w_bytes.clone(), b_bytes];
            let y = host.run(&norm.forward().expect("fits"), &inputs, &[bytes]);
            check(&what, element, &y[0], &wanted)?;
            let dx = host.run(&norm.backward().expect("fits"), &[x_bytes, w_bytes, dy_bytes], &[bytes]);
            let wanted = gradient.get(x.as_tensor()).expect("a gradient");
            check(&what, element, &dx[0], wanted)?;
            if rows == 5 && element == Element::F32 {
                differences(&what, &decode(element, &dx[0]), &x, || {
                    (layer.forward(&x)? * &dy)?.sum_all()?.to_scalar::<f64>()
                })?;
            }
        }
    }
    Ok(())
}

#[test]
fn quick_gelu_agrees_forward_and_backward() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    for element in ELEMENTS {
        for (count, aligned) in [(1, true), (1027, true), (1028, true), (1028, false)] {
            let (x, x_bytes) = operand(element, 1, &[count], 8.)?;
            let (dy, dy_bytes) = operand(element, 2, &[count], 1.)?;
            let x = Var::from_tensor(&x)?;
            let wanted = quick_gelu(&x)?;
            let gradient = (&wanted * &dy)?.sum_all()?.backward()?;
            let plan = plan::quick_gelu(element, count, aligned).expect("fits");
            let y = host.run(&plan, std::slice::from_ref(&x_bytes), &[x_bytes.len()]);
            check("quick GELU", element, &y[0], &wanted)?;
            let plan = plan::quick_gelu_gradient(element, count, aligned).expect("fits");
            let dx = host.run(&plan, &[x_bytes.clone(), dy_bytes], &[x_bytes.len()]);
            check("quick GELU's gradient", element, &dx[0], gradient.get(x.as_tensor()).expect("a gradient"))?;
        }
    }
    Ok(())
}

#[test]
fn a_bias_is_added_to_every_row() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    for element in ELEMENTS {
        for (rows, columns) in [(3, 7), (300, 8)] {
            let (y, y_bytes) = operand(element, 1, &[rows, columns], 1.)?;
            let (bias, bias_bytes) = operand(element, 2, &[columns], 1.)?;
            let plan = plan::add_bias(element, rows * columns, columns, true).expect("fits");
            let found = host.run_on(&plan, &[bias_bytes], vec![y_bytes]);
            check("a bias", element, &found[0], &y.broadcast_add(&bias)?)?;
        }
    }
    Ok(())
}

#[test]
fn a_step_is_the_cpus_to_the_bit() -> Result<()> {
    let Some(host) = host() else { return Ok(()) };
    let (_, clean) = operand(Element::F32, 1, &[3, 10, 11], 1.)?;
    let (_, x) = operand(Element::F32, 2, &[3, 10, 11], 1.)?;
    let (_, mut gradient) = operand(Element::F32, 3, &[3, 10, 11], 1e-3)?;
    for (i, value) in [0., -0., f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45].into_iter().enumerate() {
        gradient[4 * i..4 * i + 4].copy_from_slice(&f32::to_ne_bytes(value));
    }
    let mask: Vec<f64> = (0..110).map(|i| f64::from(i % 3 != 0)).collect();
    let (radius, alpha) = (8. / 255., 2. / 255.);
    let f32s = |bytes: &[u8], shape: &[usize]| {
        let values = bytes.as_chunks().0.iter().map(|value| f32::from_ne_bytes(*value)).collect();
        Tensor::from_vec::<_, f32>(values, shape, &Device::Cpu)
    };
    let shape = [3, 10, 11];
    for region in [None, Some(encode(Element::F32, &mask))] {
        for range in [None, Some((0., 1.))] {
            let masked = region.as_ref().map(|mask| f32s(mask, &shape[1..])).transpose()?;
            let ball = Ball::new(&f32s(&clean, &shape)?, (Norm::Linf, radius), masked.as_ref(), range)?;
            let wanted = ball.advance(&f32s(&x, &shape)?, &f32s(&gradient, &shape)?, alpha)?;
            let wanted: Vec<u8> =
                wanted.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|value| value.to_ne_bytes()).collect();
            let step = plan::Advance { count: 330, masked: region.is_some(), alpha, radius, range };
            let mask = region.as_ref().map_or(clean.clone(), |mask| mask.repeat(3));
            let inputs = [x.clone(), gradient.clone(), clean.clone(), mask];
            let found = host.run(&step.plan().expect("fits"), &inputs, &[4 * 330]);
            assert!(found[0] == wanted, "{step:?}");
        }
    }
    Ok(())
}

#[test]
fn what_no_kernel_takes_is_refused() {
    let case = plan::Attention {
        element: Element::F32,
        items: 1,
        tokens: 5,
        heads: 1,
        width: plan::WIDEST_HEAD + 1,
        causal: false,
        aligned: true,
    };
    assert!(case.forward().expect_err("too wide").to_string().contains("a head of 129"));
    let many = plan::Attention { width: 16, items: 70_000, ..case };
    assert!(many.backward_keys().expect_err("too many").to_string().contains("70000"));
    assert!(plan::quick_gelu(Element::F32, 1 << 31, true).is_err());
}
