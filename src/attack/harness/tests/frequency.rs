//! PGD on low frequencies.

use super::guard::Guard;
use super::*;
use crate::attack::Dct;
use crate::imaging::Image;

fn dct(steps: usize, frequencies: usize) -> AttackSpec {
    AttackSpec::Dct(Dct { steps, frequencies, alpha: None })
}

/// A grey image whose mask is a disc: what the toy model says changes smoothly.
fn smooth(budget: Budget) -> Setup {
    let grey = Image::new(24, 20, vec![128; 24 * 20 * 3]).unwrap();
    let disc = Mask::from_fn(24, 20, |x, y| (x as i32 - 11).pow(2) + (y as i32 - 9).pow(2) < 36);
    Setup::new(grey, disc, budget, toy::preprocess(24, 20))
}

#[test]
fn perturbations_are_smooth_and_work() {
    for (norm, levels) in [(Norm::Linf, 16.), (Norm::L2, 300.)] {
        let setup = smooth(budget(norm, levels, Unit::Pixel255));
        let outcome = attack(&dct(10, 5), setup.clone()).unwrap();
        assert!(outcome.within_budget == Some(true) && outcome.records.len() == 11);
        assert!(outcome.records.iter().all(|record| record.budget_used.unwrap() <= 1. + 1e-5));
        assert!(outcome.records.last().unwrap().loss > outcome.records[0].loss);

        // Neighbours differ little, compared with what all frequencies would do.
        let roughness = |spec: &AttackSpec| {
            let x = attack(spec, setup.clone()).unwrap().float.x;
            let delta = (x - setup.image.to_tensor(&Device::Cpu).unwrap()).unwrap();
            let steps = (delta.narrow(2, 1, 23).unwrap() - delta.narrow(2, 0, 23).unwrap()).unwrap();
            let square = |t: &candle_core::Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
            square(&steps) / square(&delta)
        };
        let (low, all) = (roughness(&dct(10, 4)), roughness(&dct(10, 24)));
        assert!(low < 0.7 * all, "{norm:?}: {low} {all}");
    }
}

#[test]
fn who_was_stopped_anywhere_goes_on_to_the_same_result() {
    let problem = Problem::new(setup(9, 7, budget(Norm::Linf, 9., Unit::Pixel255)), &Device::Cpu).unwrap();
    let spec = dct(4, 3);
    let resumed = stopped_anywhere(|cancels, keeper| {
        let mut guard = Guard { cancels, ..Guard::new(&problem) };
        (run(&spec, &problem, &mut guard, keeper), guard.asked)
    });
    assert!(resumed.len() >= 5, "{resumed:?}");
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    for (spec, name) in [(dct(0, 3), "steps"), (dct(3, 0), "frequencies")] {
        match attack(&spec, setup(4, 4, budget(Norm::Linf, 8., Unit::Pixel255))) {
            Err(AttackError::Parameter { name: found, .. }) => assert_eq!(found, name),
            other => panic!("{other:?}"),
        }
    }
}
