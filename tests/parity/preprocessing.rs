//! Resizing and normalisation against PIL, the unrounded filter and transformers' image processor.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use segprobe::imaging::Image;
use segprobe::model::Preprocess;

use super::fixture;

const SIZE: usize = 32;
const LEVEL: f64 = 1. / 255.;
const PICTURES: [&str; 3] = ["shrunk", "both_ways", "grown"];

fn pictures() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("preprocessing.safetensors"), &Device::Cpu).expect("a readable fixture")
}

fn preprocess(mean: [f32; 3], std: [f32; 3]) -> Preprocess {
    Preprocess { height: SIZE, width: SIZE, mean, std }
}

fn unit(rgb: &Tensor) -> Tensor {
    let (height, width, _) = rgb.dims3().expect("rows, columns, channels");
    let bytes = rgb.flatten_all().and_then(|t| t.to_vec1::<u8>()).expect("bytes");
    Image::new(width, height, bytes).and_then(|image| image.to_tensor(&Device::Cpu)).expect("a picture")
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    let both = a.to_dtype(DType::F64).and_then(|a| a - b.to_dtype(DType::F64)?);
    both.and_then(|d| d.abs()?.flatten_all()?.max(0)?.to_scalar()).expect("tensors of one shape")
}

#[test]
fn resizing_is_the_antialiased_triangle_filter() {
    let fixture = pictures();
    for name in PICTURES {
        let resized = preprocess([0.; 3], [1.; 3]).forward(&unit(&fixture[&format!("{name}.rgb")])).expect("a resize");
        let exact = largest_difference(&resized, &fixture[&format!("{name}.exact")]);
        assert!(exact < 1e-6, "{name}: {exact:e} from the unrounded filter");
        // PIL rounds after each of its two passes.
        let levels = (resized * 255.).expect("levels");
        let pil = largest_difference(&levels, &fixture[&format!("{name}.pil")]);
        assert!(pil < 1.01, "{name}: {pil} levels from PIL");
    }
}

#[test]
fn pixel_values_are_those_of_the_image_processor() {
    let fixture = pictures();
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    for name in PICTURES {
        let ours = preprocess(mean, std).forward(&unit(&fixture[&format!("{name}.rgb")])).expect("a forward pass");
        let difference = largest_difference(&ours, &fixture[&format!("{name}.pixel_values")]);
        assert!(difference < 1.01 * LEVEL / 0.224, "{name}: {difference}");
    }
}

#[test]
fn pulling_back_is_the_transpose() {
    let fixture = pictures();
    let map = preprocess([0.; 3], [0.229, 0.224, 0.225]);
    let product = |a: &Tensor, b: &Tensor| (a * b).and_then(|p| p.sum_all()?.to_scalar::<f32>()).expect("a sum");
    for name in PICTURES {
        let x = unit(&fixture[&format!("{name}.rgb")]);
        let y = fixture[&format!("{name}.exact")].clone();
        let (_, height, width) = x.dims3().expect("an image");
        let forth = product(&map.forward(&x).expect("a forward pass"), &y);
        let back = product(&x, &map.pull_back(&y, (height, width)).expect("a pull-back"));
        assert!((forth - back).abs() < 1e-5 * forth.abs(), "{name}: {forth} and {back}");
    }
}
