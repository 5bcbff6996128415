//! Certificates by noisy copies of the toy's images.

use candle_core::Tensor;

use super::*;
use crate::attack::SegCertify;

fn certify() -> SegCertify {
    SegCertify { sigma: 0.02, choose: 5, samples: 40, ..SegCertify::default() }
}

/// Standard deviation of the values of a perturbation.
fn spread(perturbation: &Tensor) -> f64 {
    let values = perturbation.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    (values.iter().map(|value| f64::from(value * value)).sum::<f64>() / values.len() as f64).sqrt()
}

#[test]
fn a_certificate_says_what_the_noisy_answers_were() {
    let setup = unbounded(9, 7);
    let problem = Problem::new(setup.clone(), &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None);
    let outcome = run(&AttackSpec::SegCertify(certify()), &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
    let certificate = outcome.certificate.as_ref().unwrap();
    // the first question is about the clean image, the last about the file
    let noisy = toy.seen[1..46].to_vec();
    let masks: Vec<Mask> = noisy
        .iter()
        .map(|x| Mask::from_logits(&crate::oracle::Oracle::logits(&mut toy, x).unwrap()).unwrap())
        .collect();
    let mut agreed = 0;
    for (x, y) in (0..9).flat_map(|x| (0..7).map(move |y| (x, y))) {
        let chosen = 2 * masks[..5].iter().filter(|mask| mask.get(x, y)).count() > 5;
        let agreeing = masks[5..].iter().filter(|mask| mask.get(x, y) == chosen).count();
        assert_eq!(certificate.mask.get(x, y), chosen, "({x}, {y})");
        if !certificate.abstained.get(x, y) {
            agreed += 1;
            assert!(agreeing >= 36, "({x}, {y}): {agreeing} of 40 are no evidence");
        } else {
            // 0.75^40 is less than 0.001 / 63
            assert!(agreeing < 40, "({x}, {y}) never changed");
        }
    }
    assert!(agreed > 0 && agreed < 63, "{agreed} of 63 pixels are certain");
    assert_eq!(outcome.records.len(), 45);
    assert_eq!(outcome.queries.gradient, 0);
    let worst = outcome.records.iter().map(|record| record.dsc).fold(f64::INFINITY, f64::min);
    assert_eq!(outcome.float.evaluation.dsc, worst);
    let spread = spread(&(&noisy[7] - problem.ball().clean()).unwrap());
    assert!((spread - 0.02).abs() < 0.003, "{spread}");
}

#[test]
fn a_certificate_that_was_stopped_anywhere_is_the_same() {
    let problem = Problem::new(unbounded(6, 5), &Device::Cpu).unwrap();
    let spec = AttackSpec::SegCertify(certify());
    let resumed = stopped_anywhere(|cancels, keeper| {
        let mut toy = Toy::new(&problem, cancels.map_or(Fault::None, Fault::CancelAfter));
        (run(&spec, &problem, &mut toy, keeper), toy.seen.len())
    });
    assert!(!resumed.contains(&false), "{resumed:?}");
}

#[test]
fn the_papers_space_has_the_same_noise_and_too_few_samples_are_refused() {
    let paper = Setup { choices: Protocol::Paper250502971.choices(), ..unbounded(6, 5) };
    let spec = AttackSpec::SegCertify(certify());
    let problem = Problem::new(paper, &Device::Cpu).unwrap();
    let mut toy = Toy::new(&problem, Fault::None);
    run(&spec, &problem, &mut toy, &mut |_: &StepRecord| ()).unwrap();
    let noise = (problem.setup().preprocess.denormalise(&toy.seen[1]).unwrap()
        - problem.setup().preprocess.denormalise(problem.ball().clean()).unwrap())
    .unwrap();
    let spread = spread(&noise);
    assert!((spread - 0.02).abs() < 0.005, "{spread}");
    let few = AttackSpec::SegCertify(SegCertify { samples: 26, ..certify() });
    let refusal = attack(&few, unbounded(6, 5)).unwrap_err().to_string();
    assert!(refusal.contains("one of 30 pixels needs 36"), "{refusal}");
}
