//! Every layer on each device, in each dtype that the device has kernels for, against the CPU in f64.

use candle_core::{DType, Device, Result, Tensor, Var};

use super::testing::{noise, on_each_device};
use super::{Activation, LayerNorm, Linear, attention, conv3x3, patchify, transposed_convolution};

/// Dtypes to test on a device, each with the largest relative error (2-norm) of a layer's result.
fn dtypes(device: &Device) -> &'static [(DType, f64)] {
    match device {
        Device::Cpu => &[(DType::F32, 1e-5)],
        _ => &[(DType::F32, 1e-5), (DType::BF16, 2e-2)],
    }
}

/// Compares a layer, and the gradient of each of its inputs, with the same in f64 on the CPU. `frozen`
/// tensors get no gradient.
fn agrees(
    device: &Device,
    inputs: &[Tensor],
    frozen: &[Tensor],
    layer: impl Fn(&[Tensor], &[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    for (dtype, limit) in dtypes(device) {
        // both sides begin with what the dtype can hold
        let rounded = |x: &Tensor| x.to_dtype(*dtype)?.to_dtype(DType::F64);
        let run = |place: &Device, dtype: DType| -> Result<Vec<Tensor>> {
            let put = |x: &Tensor| rounded(x)?.to_dtype(dtype)?.to_device(place);
            let vars = inputs.iter().map(|x| Var::from_tensor(&put(x)?)).collect::<Result<Vec<_>>>()?;
            let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
            let frozen = frozen.iter().map(put).collect::<Result<Vec<_>>>()?;
            let y = layer(&tensors, &frozen)?;
            let upstream = put(&noise(77, y.dims())?)?;
            let gradients = (&y * &upstream)?.sum_all()?.backward()?;
            assert!(frozen.iter().all(|x| gradients.get(x).is_none()), "a frozen tensor has a gradient");
            let mut found = vec![y.detach()];
            for tensor in &tensors {
                found.push(gradients.get(tensor).expect("a gradient for every input").clone());
            }
            found.iter().map(|x| x.to_device(&Device::Cpu)?.to_dtype(DType::F64)).collect()
        };
        let (found, wanted) = (run(device, *dtype)?, run(&Device::Cpu, DType::F64)?);
        for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            let norm = |x: &Tensor| x.sqr()?.sum_all()?.sqrt()?.to_scalar::<f64>();
            let error = norm(&(found - wanted)?)? / norm(wanted)?;
            assert!(error < *limit, "result {i} in {dtype:?}: relative error {error}");
        }
    }
    Ok(())
}

fn attention_agrees(device: &Device) -> Result<()> {
    for (tokens, heads, width) in [(7, 3, 4), (50, 2, 30), (197, 2, 64), (485, 1, 64), (70, 1, 128)] {
        let qkv: Vec<Tensor> = (0..3).map(|i| noise(i, &[2, tokens, heads * width])? * 2.).collect::<Result<_>>()?;
        for causal in [false, true] {
            agrees(device, &qkv, &[], |x, _| attention(&x[0], &x[1], &x[2], heads, causal))?;
        }
    }
    Ok(())
}

fn attention_of_views_agrees(device: &Device) -> Result<()> {
    // contiguous, but none of the later operands begins where its storage does
    let joint = [noise(5, &[3 * 2, 9, 32])?];
    agrees(device, &joint, &[], |x, _| {
        let part = |i: usize| x[0].narrow(0, i * 2, 2);
        attention(&part(0)?, &part(1)?, &part(2)?, 2, false)
    })
}

fn wider_heads_than_any_kernel_agree(device: &Device) -> Result<()> {
    let qkv: Vec<Tensor> = (0..3).map(|i| noise(i, &[1, 6, 160])).collect::<Result<_>>()?;
    agrees(device, &qkv, &[], |x, _| attention(&x[0], &x[1], &x[2], 1, false))
}

fn layer_norm_agrees(device: &Device) -> Result<()> {
    for width in [9, 64, 768] {
        let (x, w, b) = ((noise(1, &[2, 5, width])? + 0.3)?, noise(2, &[width])?, noise(3, &[width])?);
        let norm = |w: &Tensor, b: &Tensor, x: &Tensor| LayerNorm::new(w.clone(), b.clone(), 1e-5).forward(x);
        agrees(device, std::slice::from_ref(&x), &[w.clone(), b.clone()], |x, p| norm(&p[0], &p[1], &x[0]))?;
        // while training
        agrees(device, &[x, w, b], &[], |x, _| norm(&x[1], &x[2], &x[0]))?;
    }
    Ok(())
}

fn activations_agree(device: &Device) -> Result<()> {
    for activation in [Activation::QuickGelu, Activation::Relu, Activation::Gelu] {
        for count in [31, 4096] {
            agrees(device, &[(noise(1, &[3, count])? * 4.)?], &[], |x, _| activation.forward(&x[0]))?;
        }
    }
    Ok(())
}

fn linear_layers_agree(device: &Device) -> Result<()> {
    for (rows, inner, out) in [(5, 6, 7), (300, 64, 96)] {
        let (x, w, b) = (noise(1, &[2, rows, inner])?, noise(2, &[out, inner])?, noise(3, &[out])?);
        let linear = |w: &Tensor, b: &Tensor, x: &Tensor| Linear::new(w, Some(b))?.forward(x);
        agrees(device, std::slice::from_ref(&x), &[w.clone(), b.clone()], |x, p| linear(&p[0], &p[1], &x[0]))?;
        agrees(device, &[x, w, b], &[], |x, _| linear(&x[1], &x[2], &x[0]))?;
    }
    Ok(())
}

fn convolutions_agree(device: &Device) -> Result<()> {
    let (image, patches) = (noise(1, &[2, 3, 8, 12])?, noise(2, &[5, 48])?);
    agrees(device, &[image], &[patches], |x, p| Linear::new(&p[0], None)?.forward(&patchify(&x[0], 4)?))?;
    let (map, kernel) = (noise(3, &[2, 5, 6, 4])?, noise(4, &[3, 36])?);
    agrees(device, std::slice::from_ref(&map), &[kernel], |x, p| conv3x3(&x[0], &Linear::new(&p[0], None)?))?;
    let kernel = noise(5, &[12, 4])?;
    agrees(device, &[map], &[kernel], |x, p| transposed_convolution(&x[0], &Linear::new(&p[0], None)?, 2))
}

on_each_device!(
    attention_agrees,
    attention_of_views_agrees,
    wider_heads_than_any_kernel_agree,
    layer_norm_agrees,
    activations_agree,
    linear_layers_agree,
    convolutions_agree,
);
