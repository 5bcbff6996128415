//! Attacks on a model behind a defence.

use super::*;
use crate::oracle::defended::{BitDepth, Defence, Defended, Gaussian};

/// Where the gradient is a stand-in, as that of rounding, knowing it need not help; results give the worse of both.
#[test]
fn an_attack_that_knows_a_defence_succeeds_and_is_no_weaker_where_the_gradient_is_exact() {
    let setup = setup(16, 12, budget(Norm::Linf, 10., Unit::Pixel255));
    let problem = Problem::new(setup, &Device::Cpu).unwrap();
    let pgd = AttackSpec::Pgd(Pgd { steps: 20, ..Pgd::default() });
    for defence in [Defence::BitDepth(BitDepth { bits: 4 }), Defence::Gaussian(Gaussian::default())] {
        let mut toy = Toy::new(&problem, Fault::None);
        let silent = || |_: &StepRecord| ();
        let oblivious = run(&pgd, &problem, &mut toy, &mut silent()).unwrap().file.image;
        let mut defended = Defended::new(&mut toy, defence.transformation(), 0, None);
        let oblivious = problem.evaluate(&oblivious, &mut defended).unwrap();
        let adaptive = run(&pgd, &problem, &mut defended, &mut silent()).unwrap();
        let (knows, does_not) = (adaptive.file.evaluation.dsc, oblivious.dsc);
        let exact = defence.transformation().is_exact();
        assert!(knows < adaptive.clean.dsc && (knows <= does_not || !exact), "{}: {knows} {does_not}", defence.name());
    }
}
