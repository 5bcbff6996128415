//! Every kind at every severity, and each kernel against what its formula says.

use super::*;
use crate::drawing::{Canvas, Draws, Frame};
use crate::phantom;

const KEY: [u8; 32] = [7; 32];

fn phantom_of(group: Group) -> phantom::Kind {
    match group {
        Group::Dermoscopy => phantom::Kind::Dermoscopy,
        Group::Ultrasound => phantom::Kind::Ultrasound,
        Group::Xray => phantom::Kind::Xray,
        Group::Common | Group::Endoscopy | Group::Mri | Group::All => phantom::Kind::Endoscopy,
    }
}

fn picture(kind: Kind, seed: u64) -> Image {
    phantom::draw(phantom_of(kind.group()), seed, 120, 96).0
}

/// Mean absolute change in levels of 255.
fn change(before: &Image, after: &Image) -> f64 {
    let sum: u64 = before.rgb().iter().zip(after.rgb()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / before.rgb().len() as f64
}

#[test]
fn a_higher_severity_changes_more_and_the_size_stays() {
    for kind in Kind::ALL.iter().copied() {
        let mut changes = [0.; 5];
        for seed in 0..4 {
            let clean = picture(kind, seed);
            for (severity, sum) in Severity::ALL.into_iter().zip(&mut changes) {
                let after = corrupt(&clean, kind, severity, KEY).unwrap();
                assert_eq!((after.width(), after.height()), (clean.width(), clean.height()));
                *sum += change(&clean, &after) / 4.;
            }
        }
        assert!(changes[0] > 0.2, "{}: {changes:?}", kind.name());
        assert!(changes.is_sorted_by(|a, b| a < b), "{}: {changes:?}", kind.name());
        assert!(changes[4] < 110., "{}: nothing of the picture is left: {changes:?}", kind.name());
    }
}

#[test]
fn equal_keys_give_equal_pixels_and_random_kinds_differ_between_keys() {
    let fixed =
        ["blur", "jpeg", "pixelate", "brightness", "contrast", "gamma", "saturation", "vignette", "overexposure"];
    for kind in Kind::ALL.iter().copied() {
        let clean = picture(kind, 3);
        let with = |key: u8| corrupt(&clean, kind, Severity::default(), [key; 32]).unwrap();
        assert_eq!(with(1), with(1), "{}", kind.name());
        let same_for_all = fixed.iter().any(|name| kind.name().contains(name)) && kind != Kind::MotionBlur;
        // Some draw one of a few numbers, so two keys may agree.
        assert_eq!((2..14).all(|key| with(1) == with(key)), same_for_all, "{}", kind.name());
    }
}

#[test]
fn tiny_and_narrow_pictures_are_corrupted_too() {
    for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 3)] {
        let clean = Image::new(width, height, (0..width * height * 3).map(|i| (i * 40) as u8).collect()).unwrap();
        for kind in Kind::ALL.iter().copied() {
            let after = corrupt(&clean, kind, Severity::ALL[4], KEY).unwrap();
            assert_eq!(after.rgb().len(), clean.rgb().len(), "{}", kind.name());
        }
    }
}

/// One white pixel in the middle of black, 41 x 41.
fn dot() -> Canvas {
    let mut canvas = Canvas::paint(Frame { width: 41, height: 41 }, |_| [0.; 3]);
    canvas.pixels_mut()[20 * 41 + 20] = [1.; 3];
    canvas
}

#[test]
fn blur_keeps_the_light_and_the_place() {
    for severity in Severity::ALL {
        for (name, blur) in [
            ("gaussian", blur::gaussian as fn(&mut Canvas, Severity, &mut Draws)),
            ("defocus", blur::defocus),
            ("motion", blur::motion),
        ] {
            let mut canvas = dot();
            blur(&mut canvas, severity, &mut Draws::from_key(KEY));
            let weights: Vec<f32> = canvas.pixels().iter().map(|p| p[0]).collect();
            let moment = |of: fn(usize) -> f32| weights.iter().enumerate().map(|(at, w)| w * of(at)).sum::<f32>();
            let sum = moment(|_| 1.);
            assert!((sum - 1.).abs() < 1e-3, "{name} at {severity:?}: {sum}");
            let (x, y) = (moment(|at| (at % 41) as f32) / sum, moment(|at| (at / 41) as f32) / sum);
            assert!((x - 20.).abs() < 1e-2 && (y - 20.).abs() < 1e-2, "{name} at {severity:?}: {x}, {y}");
            // Lengths grow with the picture: in one as small as this the mildest may be less than a pixel.
            let spread = weights[20 * 41 + 20] < 1.;
            assert!(spread || severity != Severity::ALL[4], "{name} at {severity:?} does nothing");
        }
    }
}

#[test]
fn a_flat_picture_stays_flat_under_blur_and_pixelation() {
    for kind in [Kind::GaussianBlur, Kind::DefocusBlur, Kind::MotionBlur, Kind::Pixelate, Kind::Ghosting] {
        let flat = Image::new(30, 20, vec![90; 30 * 20 * 3]).unwrap();
        assert_eq!(corrupt(&flat, kind, Severity::ALL[4], KEY).unwrap(), flat, "{}", kind.name());
    }
}

/// Mean and standard deviation of all values of a grey canvas after a corruption.
fn statistics(level: f32, paint: fn(&mut Canvas, Severity, &mut Draws), severity: Severity) -> (f32, f32) {
    let mut canvas = Canvas::paint(Frame { width: 200, height: 200 }, |_| [level; 3]);
    paint(&mut canvas, severity, &mut Draws::from_key(KEY));
    let values = canvas.pixels().as_flattened();
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / values.len() as f32;
    (mean, variance.sqrt())
}

#[test]
fn noise_has_the_moments_of_its_distribution() {
    let near = |found: f32, wanted: f32| (found - wanted).abs() < 0.02 * wanted;
    for severity in Severity::ALL {
        let deviation = severity.of(noise::DEVIATION);
        let (mean, found) = statistics(0.5, noise::gaussian, severity);
        assert!((mean - 0.5).abs() < 0.01 * deviation.max(0.1) && near(found, deviation), "gaussian {mean} {found}");
        let (mean, found) = statistics(0.5, noise::shot, severity);
        // the variance of a Poisson number is its mean
        let wanted = (0.5 / severity.of(noise::PHOTONS)).sqrt();
        assert!(near(mean, 0.5) && near(found, wanted), "shot {mean} {found}, wanted {wanted}");
        let (dim, bright) = (statistics(0.2, noise::speckle, severity).1, statistics(0.4, noise::speckle, severity).1);
        assert!(near(bright, 2. * dim), "speckle {dim} {bright}");
        // without a signal it is Rayleigh distributed, with this mean
        let wanted = deviation * (std::f32::consts::PI / 2.).sqrt();
        let (mean, _) = statistics(0., noise::rician, severity);
        assert!(near(mean, wanted), "rician {mean}, wanted {wanted}");
    }
}

#[test]
fn poisson_numbers_are_quantiles() {
    // P(X = 0) = e^-2 = 0.1353, P(X <= 1) = 0.4060, P(X <= 2) = 0.6767
    let found = [0.13, 0.14, 0.40, 0.41, 0.67, 0.68].map(|uniform| noise::poisson(2., uniform));
    assert_eq!(found, [0, 1, 1, 2, 2, 3]);
    assert_eq!((noise::poisson(0., 0.999), noise::poisson(200., 0.5)), (0, 200));
}

#[test]
fn levels_change_as_the_formulas_say() {
    let one = |paint: fn(&mut Canvas, Severity, &mut Draws), severity: usize, pixels: &[[f32; 3]]| {
        let mut places = pixels.iter().copied();
        let frame = Frame { width: pixels.len(), height: 1 };
        let mut canvas = Canvas::paint(frame, |_| places.next().unwrap_or_default());
        paint(&mut canvas, Severity::ALL[severity - 1], &mut Draws::from_key(KEY));
        canvas.pixels().to_vec()
    };
    let close = |found: &[[f32; 3]], wanted: &[[f32; 3]]| {
        found.as_flattened().iter().zip(wanted.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    assert!(close(&one(colour::brightness_up, 2, &[[0.1, 0.5, 0.9]]), &[[0.25, 0.65, 1.05]]));
    assert!(close(&one(colour::contrast_down, 3, &[[0.2; 3], [0.6; 3]]), &[[0.31; 3], [0.49; 3]]));
    assert!(close(&one(colour::gamma_up, 3, &[[0., 0.5, 1.]]), &[[0., 0.25, 1.]]));
    assert!(close(&one(colour::gamma_down, 3, &[[0., 0.25, 1.]]), &[[0., 0.5, 1.]]));
    let grey = [[0.3; 3]];
    assert!(close(&one(colour::saturation_up, 5, &grey), &grey));
    let [[r, g, b]] = one(colour::saturation_down, 5, &[[0.9, 0.2, 0.1]])[..] else { panic!("one pixel") };
    assert!((r - g).abs() < 1e-6 && (g - b).abs() < 1e-6 && (r - 0.3979).abs() < 1e-3, "{r} {g} {b}");
}

#[test]
fn the_middle_of_a_vignette_and_all_above_a_ruler_stay() {
    let clean = picture(Kind::Vignette, 1);
    let after = |kind, severity: usize| corrupt(&clean, kind, Severity::ALL[severity], KEY).unwrap();
    let vignette = after(Kind::Vignette, 4);
    assert_eq!(vignette.pixel(60, 48), clean.pixel(60, 48));
    assert!(vignette.pixel(0, 0).iter().all(|v| *v < 20));
    let ruler = after(Kind::Ruler, 0);
    let unchanged = (0..85).all(|y| (0..120).all(|x| ruler.pixel(x, y) == clean.pixel(x, y)));
    assert!(unchanged && ruler != clean);
}

#[test]
fn names_are_read_as_they_are_written_and_groups_hold_what_they_say() {
    for kinds in Kinds::every() {
        assert_eq!(kinds.name().parse::<Kinds>().unwrap(), kinds);
        assert_eq!(serde_json::from_value::<Kinds>(serde_json::to_value(kinds).unwrap()).unwrap(), kinds);
        assert!(!kinds.members().is_empty());
    }
    assert!("fog".parse::<Kinds>().unwrap_err().to_string().contains("gaussian_noise, "));
    assert_eq!(Kinds::Group(Group::All).members(), Kind::ALL);
    let common = Kinds::Group(Group::Common).members();
    let dermoscopy = Kinds::Group(Group::Dermoscopy).members();
    assert!(common.iter().all(|kind| dermoscopy.contains(kind)) && dermoscopy.len() == common.len() + 3);
    assert!(!dermoscopy.contains(&Kind::Bubbles));
}

#[test]
fn severities_are_one_to_five() {
    let read = |text: &str| serde_json::from_str::<Severity>(text);
    assert_eq!(read("5").unwrap(), Severity::ALL[4]);
    assert_eq!(serde_json::to_string(&Severity::default()).unwrap(), "3");
    for wrong in ["0", "6", "2.5", "\"3\""] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    assert!(read("6").unwrap_err().to_string().contains("use 1 (mild) to 5 (strong)"));
}
