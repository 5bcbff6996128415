//! Training on a model that is known completely, and what it never does.

use candle_core::{Device, Tensor};
use proptest::prelude::*;

use super::example::Seen;
use super::*;
use crate::attack::harness::random::Stream;
use crate::attack::harness::tests::toy::{self, Fault, Toy};
use crate::attack::{Problem, Setup};
use crate::imaging::{Image, Mask};
use crate::oracle::Measure;

const WIDTH: usize = 12;
const HEIGHT: usize = 9;

/// A picture whose left half is red enough for the toy to see a structure there; all differ in every pixel.
fn picture(seed: u64) -> Image {
    let mut stream = Stream::of(seed, "picture", 0);
    let mut levels = vec![];
    for i in 0..WIDTH * HEIGHT {
        let red = if i % WIDTH < WIDTH / 2 { 24. } else { -24. };
        levels.extend([red, 0., 0.].map(|shift| (127.5 + shift + 16. * (stream.uniform() - 0.5)) as u8));
    }
    Image::new(WIDTH, HEIGHT, levels).unwrap()
}

fn budget() -> Budget {
    Budget { norm: Norm::Linf, epsilon: Epsilon::new(16., Unit::Pixel255).unwrap() }
}

fn problem(seed: u64) -> Problem {
    let reference = Mask::from_fn(WIDTH, HEIGHT, |x, _| x < WIDTH / 2);
    let setup = Setup::new(picture(seed), reference, budget(), toy::preprocess(WIDTH, HEIGHT));
    Problem::new(setup, &Device::Cpu).unwrap()
}

/// Trains on the pictures 0 to 7.
fn trained(method: &Method, seed: u64, seen: &Seen) -> (Tensor, Vec<Pass>) {
    let problems: Vec<Problem> = (0..8).map(problem).collect();
    let example = |problem| Example::new(problem, Box::new(Toy::new(problem, Fault::None)), seen).unwrap();
    let mut examples: Vec<_> = problems.iter().map(example).collect();
    let within = Within::new((HEIGHT, WIDTH), budget(), seed, &Device::Cpu).unwrap();
    let mut passes = vec![];
    let v = method.train(&mut examples, &within, &mut |pass| passes.push(*pass)).unwrap();
    (v, passes)
}

fn same_size() -> Seen {
    Seen::new((HEIGHT, WIDTH), (HEIGHT, WIDTH), &Device::Cpu).unwrap()
}

fn methods() -> [Method; 2] {
    let sgd = SgdUap { epochs: 6, batch: 3, ..SgdUap::default() };
    let moosavi = Moosavi { epochs: 4, alpha: Some(Epsilon::new(4., Unit::Pixel255).unwrap()), ..Moosavi::default() };
    [Method::SgdUap(sgd), Method::Moosavi(moosavi)]
}

fn values(v: &Tensor) -> Vec<f32> {
    v.flatten_all().unwrap().to_vec1().unwrap()
}

/// Mean DSC of pictures that no training here sees.
fn left(v: &Tensor) -> f64 {
    let seen = same_size();
    let dsc = (100..110).map(|seed| {
        let problem = problem(seed);
        let mut example = Example::new(&problem, Box::new(Toy::new(&problem, Fault::None)), &seen).unwrap();
        example.look(v).unwrap().1
    });
    dsc.sum::<f64>() / 10.
}

#[test]
fn unseen_pictures_fall_to_what_was_trained_and_not_to_the_controls() {
    let clean = left(&Tensor::zeros((3, HEIGHT, WIDTH), candle_core::DType::F32, &Device::Cpu).unwrap());
    assert!(clean > 0.85, "{clean}");
    for method in methods() {
        let (v, passes) = trained(&method, 0, &same_size());
        let found = left(&v);
        assert!(found < clean - 0.3, "{method:?} leaves {found} of {clean}");
        for (name, control) in controls::all(&v, budget().epsilon.in_unit(Unit::Unit01, &[1.; 3]), 0).unwrap() {
            // A shuffled perturbation of blocks larger than itself is itself.
            if name != "shuffled blocks" {
                let control = left(&control);
                assert!(found < control - 0.2, "{method:?} leaves {found}, {name} {control}");
            }
        }
        assert!(passes.last().unwrap().loss > passes[0].loss || passes.len() == 1, "{passes:?}");
        assert!(passes.iter().enumerate().all(|(at, pass)| pass.pass == at + 1));
    }
}

#[test]
fn one_seed_gives_one_perturbation_within_the_budget() {
    for method in methods() {
        let (v, passes) = trained(&method, 5, &same_size());
        let (again, _) = trained(&method, 5, &same_size());
        assert_eq!(values(&v), values(&again), "{method:?}");
        assert_ne!(values(&v), values(&trained(&method, 6, &same_size()).0), "{method:?}");
        let largest = values(&v).iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= 16. / 255. * (1. + 1e-6) && largest > 8. / 255., "{largest}");
        assert!(!passes.is_empty());
    }
}

#[test]
fn the_gradient_is_that_of_the_enlarged_and_shrunken_perturbation() {
    let problem = problem(2);
    for image in [(HEIGHT, WIDTH), (31, 40), (5, 6)] {
        let seen = Seen::new((HEIGHT, WIDTH), image, &Device::Cpu).unwrap();
        let mut example = Example::new(&problem, Box::new(Toy::new(&problem, Fault::None)), &seen).unwrap();
        let within = Within::new((HEIGHT, WIDTH), budget(), 0, &Device::Cpu).unwrap();
        let at = controls::uniform(within.zero(), 0.02, &mut Stream::of(1, "at", 0)).unwrap();
        let gradient = example.slope(&at, &Measure::default()).unwrap().gradient;
        let direction = gradient.sign().unwrap();
        let slope = (&gradient * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
        let mut loss = |step: f64| example.look(&(&at + (&direction * step).unwrap()).unwrap()).unwrap().0;
        let measured = (loss(2e-4) - loss(-2e-4)) / 4e-4;
        assert!((slope - measured).abs() < 0.02 * slope, "{image:?}: {slope}, measured {measured}");
    }
}

#[test]
fn a_capped_image_pulls_no_more() {
    let capped = Method::SgdUap(SgdUap { epochs: 2, batch: 3, cap: Some(-1.), ..SgdUap::default() });
    let (v, _) = trained(&capped, 0, &same_size());
    assert!(values(&v).iter().all(|value| *value == 0.), "every loss is above the cap");
}

#[test]
fn broken_images_end_the_training_of_moosavi() {
    let method = Method::Moosavi(Moosavi { epochs: 50, enough: 0.5, ..Moosavi::default() });
    let (_, passes) = trained(&method, 0, &same_size());
    assert!(passes.len() < 50 && passes.last().unwrap().broken >= 0.5, "{passes:?}");
}

#[test]
fn parameters_without_sense_are_refused() {
    let sgd = |sgd: SgdUap| Method::SgdUap(sgd);
    let moosavi = |moosavi: Moosavi| Method::Moosavi(moosavi);
    let within = Within::new((HEIGHT, WIDTH), budget(), 0, &Device::Cpu).unwrap();
    let (problem, seen) = (problem(0), same_size());
    for (method, name) in [
        (sgd(SgdUap { epochs: 0, ..SgdUap::default() }), "epochs"),
        (sgd(SgdUap { batch: 0, ..SgdUap::default() }), "batch"),
        (sgd(SgdUap { momentum: 1., ..SgdUap::default() }), "momentum"),
        (moosavi(Moosavi { epochs: 0, ..Moosavi::default() }), "epochs"),
        (moosavi(Moosavi { steps: 0, ..Moosavi::default() }), "steps"),
        (moosavi(Moosavi { enough: 0., ..Moosavi::default() }), "enough"),
    ] {
        let example = Example::new(&problem, Box::new(Toy::new(&problem, Fault::None)), &seen).unwrap();
        let error = method.train(&mut [example], &within, &mut |_| ()).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
        assert!(method.train(&mut [], &within, &mut |_| ()).unwrap_err().to_string().starts_with("images"));
    }
}

#[test]
fn controls_keep_the_budget_and_shuffling_keeps_the_values() {
    let v = controls::corners(
        &Tensor::zeros((3, 35, 50), candle_core::DType::F32, &Device::Cpu).unwrap(),
        0.03,
        &mut Stream::of(0, "v", 0),
    )
    .unwrap();
    let sorted = |v: &Tensor| {
        let mut values = values(v);
        values.sort_by(f32::total_cmp);
        values
    };
    let controls = controls::all(&v, 0.03, 4).unwrap();
    for (name, control) in &controls {
        assert!(values(control).iter().all(|value| value.abs() <= 0.03 * (1. + 1e-6)), "{name}");
        assert_ne!(values(control), values(&v), "{name}");
        assert_eq!(sorted(control) == sorted(&v), name.starts_with("shuffled"), "{name}");
    }
    // A block arrives whole: its first pixel is followed by its second.
    let ramp = Tensor::arange(0f32, 3. * 4. * 8., &Device::Cpu).unwrap().reshape((3, 4, 8)).unwrap();
    let shuffled = controls::shuffled_blocks(&ramp, 2, &mut Stream::of(1, "v", 0)).unwrap();
    let rows: Vec<Vec<f32>> = shuffled.get(1).unwrap().to_vec2().unwrap();
    for y in (0..4).step_by(2) {
        for x in (0..8).step_by(2) {
            let corner = rows[y][x];
            assert_eq!((rows[y][x + 1], rows[y + 1][x]), (corner + 1., corner + 8.));
        }
    }
}

/// A case whose file holds one byte.
fn case(folder: &std::path::Path, name: String, content: u8) -> Case {
    let image = folder.join(&name);
    std::fs::write(&image, [content]).unwrap();
    Case { set: "s".into(), name, mask: image.clone(), image, prompt: "polyp".into() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_file_stands_on_both_sides_under_any_name(
        training in prop::collection::vec(0u8..12, 0..8), held_out in prop::collection::vec(0u8..12, 0..5),
        transfer in prop::collection::vec(0u8..12, 0..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let cases = |side: &str, contents: &[u8]| -> Vec<Case> {
            let numbered = contents.iter().enumerate();
            numbered.map(|(i, content)| case(folder.path(), format!("{side}{i}"), *content)).collect()
        };
        let (ours, theirs) = (cases("t", &training), cases("h", &held_out));
        let split = Split::new(ours.clone(), theirs.clone(), cases("x", &transfer)).unwrap();
        let read = |cases: &[Case]| cases.iter().map(|case| std::fs::read(&case.image).unwrap()[0]).collect::<Vec<_>>();
        let kept = read(&split.training);
        prop_assert!(kept.iter().all(|content| !held_out.contains(content) && !transfer.contains(content)));
        prop_assert_eq!(kept.len() + split.left_out, training.len());
        let free = training.iter().filter(|content| !held_out.contains(content) && !transfer.contains(content));
        prop_assert_eq!(kept.len(), free.count());
        prop_assert_eq!(split.held_out, theirs);
    }
}
