//! Every defence on an oracle that is known completely.

use candle_core::{Device, Tensor};

use super::*;

/// The objective is the sum of squares over two; its gradient is the point itself.
struct Bowl;

/// A bowl as often as the text has letters; `polyp` is its own.
struct Reader;

impl Reader {
    fn times(text: &Text) -> f64 {
        text.prompt().expect("a prompt").len() as f64
    }
}

impl Oracle for Reader {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.loss_under(&Text::Prompt("polyp".into()), x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.gradient_under(&Text::Prompt("polyp".into()), x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        Ok(self.loss(x)?.1)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        let (loss, logits) = Bowl.loss_by(x, measure)?;
        Ok((loss * Self::times(text) as f32, (logits * Self::times(text))?))
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let (loss, logits) = self.loss_under(text, x, measure)?;
        Ok(Answer { loss, gradient: (x * Self::times(text))?, logits })
    }
}

impl Oracle for Bowl {
    fn loss_by(&mut self, x: &Tensor, _: &Measure) -> Result<(f32, Tensor), OracleError> {
        Ok(((x.sqr()?.sum_all()? / 2.)?.to_scalar()?, x.get(0)?))
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let (loss, logits) = self.loss_by(x, measure)?;
        Ok(Answer { loss, gradient: x.clone(), logits })
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        Ok(x.get(0)?)
    }
}

fn defences() -> Vec<Defence> {
    vec![
        Defence::Jpeg(Jpeg::default()),
        Defence::BitDepth(BitDepth { bits: 2 }),
        Defence::Median(Median::default()),
        Defence::Gaussian(Gaussian::default()),
        Defence::Resize(Rescale::default()),
        Defence::TotalVariation(TotalVariation::default()),
        Defence::RandomResize(RandomResize::default()),
        Defence::RandomResize(RandomResize { pad: true, ..RandomResize::default() }),
        Defence::Smoothing(Smoothing::default()),
        Defence::PromptEnsemble(PromptEnsemble::default()),
    ]
}

fn point(width: usize, height: usize, pace: f32) -> Tensor {
    let values: Vec<f32> = (0..3 * width * height).map(|i| 0.5 + 0.45 * (i as f32 * pace).sin()).collect();
    Tensor::from_vec(values, (3, height, width), &Device::Cpu).unwrap()
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn dot(a: &Tensor, b: &Tensor) -> f32 {
    flat(a).iter().zip(flat(b)).map(|(a, b)| a * b).sum()
}

fn draws(key: u8) -> Draws {
    Draws::from_key([key; 32])
}

#[test]
fn shapes_stay_and_equal_draws_give_equal_pictures() {
    for (width, height) in [(16, 12), (1, 5), (7, 1)] {
        let x = point(width, height, 0.9);
        for defence in defences() {
            let transformation = defence.transformation();
            transformation.check().unwrap();
            let seen = transformation.apply(&x, &mut draws(1)).unwrap();
            assert_eq!(seen.dims(), x.dims(), "{}", defence.name());
            assert_eq!(flat(&seen), flat(&transformation.apply(&x, &mut draws(1)).unwrap()), "{}", defence.name());
            let random = transformation.samples() > 1;
            // Two draws may agree in so small a picture.
            let other = (2..14).any(|key| flat(&transformation.apply(&x, &mut draws(key)).unwrap()) != flat(&seen));
            assert!(other == random || width == 1 || height == 1, "{}", defence.name());
        }
    }
}

#[test]
fn an_exact_gradient_is_the_transpose_of_the_linear_part() {
    let (x, cotangent) = (point(16, 12, 0.9), point(16, 12, 2.3));
    let origin = x.zeros_like().unwrap();
    for defence in defences() {
        let transformation = defence.transformation();
        if !transformation.is_exact() {
            assert_eq!(flat(&transformation.pull_back(&cotangent, &mut draws(1)).unwrap()), flat(&cotangent));
            continue;
        }
        // the noise of smoothing is what it makes of nothing
        let constant = transformation.apply(&origin, &mut draws(1)).unwrap();
        let linear = (transformation.apply(&x, &mut draws(1)).unwrap() - constant).unwrap();
        let back = transformation.pull_back(&cotangent, &mut draws(1)).unwrap();
        let (one, other) = (dot(&linear, &cotangent), dot(&x, &back));
        assert!((one - other).abs() < 1e-3 * one.abs(), "{}: {one} {other}", defence.name());
    }
}

#[test]
fn transformations_do_what_their_names_say() {
    let apply = |defence: &dyn Transformation, x: &Tensor| defence.apply(x, &mut draws(1)).unwrap();
    let levels = flat(&apply(&BitDepth { bits: 1 }, &point(8, 8, 0.9)));
    assert!(levels.iter().all(|v| *v == 0. || *v == 1.) && levels.contains(&0.) && levels.contains(&1.));

    // one outlier in a flat picture
    let mut values = vec![0.2f32; 3 * 25];
    values[12] = 1.;
    let spot = Tensor::from_vec(values, (3, 5, 5), &Device::Cpu).unwrap();
    assert!(flat(&apply(&Median::default(), &spot)).iter().all(|v| *v == 0.2));

    let variation = |x: &Tensor| -> f32 {
        let rows = x.to_vec3::<f32>().unwrap();
        let across = |row: &Vec<f32>| row.windows(2).map(|pair| (pair[0] - pair[1]).abs()).sum::<f32>();
        rows.iter().flatten().map(across).sum()
    };
    let noisy = point(16, 12, 2.9);
    let smooth = apply(&TotalVariation { weight: 0.2 }, &noisy);
    assert!(variation(&smooth) < 0.7 * variation(&noisy));
    let mean = |x: &Tensor| flat(x).iter().sum::<f32>() / x.elem_count() as f32;
    assert!((mean(&smooth) - mean(&noisy)).abs() < 1e-4, "total variation keeps the mean");
    let even = Tensor::full(0.3f32, (3, 6, 6), &Device::Cpu).unwrap();
    assert!(flat(&apply(&TotalVariation::default(), &even)).iter().all(|v| (v - 0.3).abs() < 1e-6));

    let noise = (apply(&Smoothing { deviation: 0.2, samples: 2 }, &point(64, 64, 0.9)) - point(64, 64, 0.9)).unwrap();
    let deviation = (dot(&noise, &noise) / noise.elem_count() as f32).sqrt();
    assert!((deviation - 0.2).abs() < 0.01, "{deviation}");
}

#[test]
fn the_gradient_goes_straight_through_where_there_is_none() {
    let x = point(8, 8, 0.9);
    let defence = BitDepth { bits: 2 };
    let seen = defence.apply(&x, &mut draws(1)).unwrap();
    let answer = Defended::new(&mut Bowl, &defence, 0, None).loss_and_gradient(&x).unwrap();
    assert_eq!(flat(&answer.gradient), flat(&seen), "the bowl's gradient at what the model saw");
    assert_eq!(answer.loss, Bowl.loss(&seen).unwrap().0);
    assert_eq!(flat(&Defended::new(&mut Bowl, &defence, 0, None).logits(&x).unwrap()), flat(&seen.get(0).unwrap()));
}

#[test]
fn random_answers_are_means_that_depend_on_seed_and_point_alone() {
    let x = point(8, 8, 0.9);
    let defence = Smoothing { deviation: 0.3, samples: 64 };
    let answer = |seed: u64| Defended::new(&mut Bowl, &defence, seed, None).loss_and_gradient(&x).unwrap();
    let (one, again, other) = (answer(1), answer(1), answer(2));
    assert_eq!(flat(&one.gradient), flat(&again.gradient));
    assert_ne!(flat(&one.gradient), flat(&other.gradient));
    // the mean of 64 draws is off by an eighth of their deviation
    let error = (&one.gradient - &x).unwrap();
    let deviation = (dot(&error, &error) / x.elem_count() as f32).sqrt();
    assert!((deviation - 0.3 / 8.).abs() < 0.01, "{deviation}");
    let judged = Defended::new(&mut Bowl, &defence, 1, None).loss(&x).unwrap().0;
    assert_ne!(judged, one.loss, "a point is not judged by the draws of its gradient");
}

#[test]
fn normalised_points_are_defended_as_the_pictures_they_are() {
    let x = point(8, 8, 0.9);
    let preprocess = Preprocess { height: 8, width: 8, mean: [0.48, 0.45, 0.4], std: [0.22, 0.25, 0.3] };
    let defence = Gaussian::default();
    let point = preprocess.normalise(&x).unwrap();
    let wanted = preprocess.normalise(&defence.apply(&x, &mut draws(1)).unwrap()).unwrap().get(0).unwrap();
    let found = Defended::new(&mut Bowl, &defence, 0, Some(preprocess)).logits(&point).unwrap();
    assert!(flat(&found).iter().zip(flat(&wanted)).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn parameters_are_read_with_defaults_and_checked() {
    let read = |text: &str| serde_json::from_str::<Defence>(text);
    assert_eq!(read(r#"{"kind": "jpeg"}"#).unwrap(), Defence::Jpeg(Jpeg { quality: 75 }));
    for defence in defences() {
        let text = serde_json::to_string(&defence).unwrap();
        assert!(text.contains(&format!("\"kind\":\"{}\"", defence.name())));
        assert_eq!(read(&text).unwrap(), defence);
    }
    assert!(read(r#"{"kind": "jpeg", "bits": 3}"#).is_err() && read(r#"{"kind": "magic"}"#).is_err());
    for (wrong, parameter) in [
        (Defence::Jpeg(Jpeg { quality: 0 }), "quality"),
        (Defence::BitDepth(BitDepth { bits: 8 }), "bits"),
        (Defence::Median(Median { size: 4 }), "size"),
        (Defence::Gaussian(Gaussian { deviation: f64::NAN }), "deviation"),
        (Defence::Resize(Rescale { scale: 1. }), "scale"),
        (Defence::TotalVariation(TotalVariation { weight: 0. }), "weight"),
        (Defence::RandomResize(RandomResize { lowest: 0.5, samples: 1, pad: false }), "samples"),
        (Defence::Smoothing(Smoothing { deviation: 2., samples: 8 }), "deviation"),
        (Defence::PromptEnsemble(PromptEnsemble { prompts: vec!["a".into(); 16] }), "prompts"),
        (Defence::PromptEnsemble(PromptEnsemble { prompts: vec!["<|endoftext|>".into()] }), "prompts"),
    ] {
        assert_eq!(wrong.transformation().check().unwrap_err().parameter, parameter);
    }
}

#[test]
fn an_ensemble_of_prompts_is_the_mean_over_them_and_the_prompt_itself() {
    let x = point(8, 8, 0.9);
    let bowl = Bowl.loss_and_gradient(&x).unwrap();
    let defence = PromptEnsemble { prompts: vec!["polyp".into(), "colonic polyp".into(), "ab".into()] };
    let mut reader = Reader;
    let mut defended = Defended::new(&mut reader, &defence, 0, None).reading("polyp");
    // 5, 13 and 2 letters; its own prompt counts once
    let close = |a: &Tensor, b: &Tensor, times: f32| {
        flat(a).iter().zip(flat(b)).all(|(a, b)| (a - times * b).abs() < 1e-4 * (1. + b.abs()))
    };
    let times = 20. / 3.;
    let answer = defended.loss_and_gradient(&x).unwrap();
    assert!((answer.loss - times * bowl.loss).abs() < 1e-3 * bowl.loss);
    assert!(close(&answer.gradient, &bowl.gradient, times) && close(&answer.logits, &bowl.logits, times));
    assert!(close(&defended.logits(&x).unwrap(), &bowl.logits, times));
    assert_eq!(defended.loss(&x).unwrap().0, answer.loss);
    // another prompt takes the place of its own
    let other = defended.gradient_under(&Text::Prompt("abcdefg".into()), &x, &Measure::default()).unwrap();
    assert!(close(&other.gradient, &bowl.gradient, (7. + 5. + 13. + 2.) / 4.));

    let templates = PromptEnsemble::default().companions("polyp");
    assert!(templates.contains(&"polypoid lesion".into()) && templates.contains(&"segment the polyp".into()));
    assert!(templates.len() < 16 && !templates.contains(&"polyp".into()), "{templates:?}");
}

#[test]
fn a_padded_picture_takes_its_mask_along_and_its_logits_come_back() {
    let defence = RandomResize { lowest: 0.5, samples: 2, pad: true };
    let (height, width) = (40, 32);
    let inside = |i: usize| f32::from(u8::from((10..30).contains(&(i / width)) && (8..22).contains(&(i % width))));
    let mask: Vec<f32> = (0..height * width).map(inside).collect();
    let mask = Tensor::from_vec(mask, (height, width), &Device::Cpu).unwrap();
    let x = Tensor::stack(&[&mask, &mask, &mask], 0).unwrap();
    let differ =
        |a: &Tensor, b: &Tensor| flat(a).iter().zip(flat(b)).filter(|(a, b)| (**a > 0.5) != (*b > 0.5)).count();
    let mut places = std::collections::BTreeSet::new();
    for key in 0..20 {
        let seen = defence.apply(&x, &mut draws(key)).unwrap().get(0).unwrap();
        let moved = defence.moved(&mask, (height, width), &mut draws(key)).unwrap().unwrap();
        assert!(differ(&seen, &moved) == 0, "mask and picture move together");
        let back = defence.moved_back(seen.clone(), (height, width), &mut draws(key)).unwrap();
        // along the outline of 68 pixels
        assert!(back.dims() == mask.dims() && differ(&back, &mask) <= 68, "{}", differ(&back, &mask));
        places.insert(flat(&moved).iter().position(|v| *v > 0.5));
        // logits of another size than the picture
        let small = Tensor::zeros((7, 9), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert_eq!(defence.moved_back(small, (height, width), &mut draws(key)).unwrap().dims(), [7, 9]);
    }
    assert!(places.len() > 10, "{places:?}");
    let still = RandomResize::default();
    assert!(still.moved(&mask, (height, width), &mut draws(1)).unwrap().is_none());
}
