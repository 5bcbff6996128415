use super::*;
use crate::attack::{Budget, Epsilon, Norm, Unit};
use crate::evaluation::Attacked;

/// Images of a data set: their clean DSC, and that under PGD at 4 pixel levels.
fn rows(set: &str, images: &[(f64, f64)]) -> Vec<GridRow> {
    let row = |image: usize, method, epsilon, scores| GridRow {
        set: set.into(),
        image: format!("{image}.png"),
        method,
        variant: None,
        epsilon,
        scores: Ok(scores),
    };
    let both = |(image, (clean, dsc)): (usize, &(f64, f64))| {
        let clean = RowScores { clean_dsc: *clean, clean_iou: clean / 2., attacked: None };
        let attacked = Attacked {
            dsc: *dsc,
            iou: dsc / 2.,
            linf_levels: 4,
            dsc_to_target: None,
            oblivious_dsc: None,
            success: *dsc < 0.5,
            queries: 41,
        };
        let attacked = RowScores { attacked: Some(attacked), ..clean };
        [row(image, "none", None, clean), row(image, "pgd", Some(4.), attacked)]
    };
    images.iter().enumerate().flat_map(both).collect()
}

fn require(attack: &str, limits: &[(Measure, f64)]) -> Requirement {
    Requirement {
        name: "asked".into(),
        attack: attack.into(),
        variant: None,
        budget: None,
        sets: vec![],
        over: Over::AllImages,
        limits: limits.iter().copied().collect(),
    }
}

fn check(verdict: Verdict) -> Check {
    Check { name: "PGD is at least as strong as FGSM", verdict, figures: "0.5 <= 0.6".into() }
}

fn judged(requirement: Requirement, rows: &[GridRow], checks: &[Check]) -> Acceptance {
    Criteria { images_at_least: 4, require: vec![requirement] }
        .judge(rows, &Summary { checks: checks.to_vec(), ..Summary::new(rows) })
}

/// The judgement of a single finding and its reasons.
fn one(requirement: Requirement, rows: &[GridRow]) -> (Judgement, String) {
    let Acceptance { judgement, findings, .. } = judged(requirement, rows, &[check(Verdict::Pass)]);
    assert!(findings.len() == 1 && findings[0].judgement == judgement, "{findings:?}");
    (judgement, findings[0].reasons.join("; "))
}

const SET: [(f64, f64); 5] = [(0.9, 0.7), (0.8, 0.6), (0.9, 0.5), (0.7, 0.7), (0.9, 0.6)];

#[test]
fn a_limit_is_broken_by_the_mean_and_kept_by_the_whole_interval() {
    let rows = rows("a", &SET);
    let at = |measure, bound| one(require("pgd", &[(measure, bound)]), &rows);
    assert_eq!(at(Measure::DscAtLeast, 0.5), (Judgement::Accepted, String::new()));
    let (judgement, why) = at(Measure::DscAtLeast, 0.6);
    assert_eq!(judgement, Judgement::Undecided);
    assert!(why.starts_with("the 95 % interval reaches 0.5") && why.ends_with("asked is a DSC at least 0.6"), "{why}");
    let (judgement, why) = at(Measure::DscAtLeast, 0.7);
    assert_eq!((judgement, why.as_str()), (Judgement::Rejected, "the mean is 0.620, asked is a DSC at least 0.7"));
    assert_eq!(at(Measure::IouAtLeast, 0.4).0, Judgement::Rejected);
    // drops of 0.2, 0.2, 0.4, 0 and 0.3: an interval of their own, not the difference of two
    assert_eq!(at(Measure::DscDropAtMost, 0.4).0, Judgement::Accepted);
    assert_eq!(at(Measure::DscDropAtMost, 0.3).0, Judgement::Undecided);
    assert_eq!(at(Measure::DscDropAtMost, 0.2).0, Judgement::Rejected);
    assert_eq!(at(Measure::IouDropAtMost, 0.2).0, Judgement::Accepted);
    assert_eq!(one(require("none", &[(Measure::DscAtLeast, 0.7)]), &rows).0, Judgement::Accepted);
    assert_eq!(one(require("none", &[(Measure::IouAtLeast, 0.5)]), &rows).0, Judgement::Rejected);
}

#[test]
fn no_success_on_few_images_proves_little() {
    let few = rows("a", &SET);
    let many = rows("a", &SET.repeat(20));
    let limit = require("pgd", &[(Measure::SuccessAtMost, 0.1)]);
    let (judgement, why) = one(limit.clone(), &few);
    assert_eq!((judgement, &why[..36]), (Judgement::Undecided, "the 95 % interval reaches 0.522, ask"), "{why}");
    assert_eq!(one(limit, &many).0, Judgement::Accepted);
}

#[test]
fn each_image_and_each_set_are_asked_for_themselves() {
    let mut rows = [rows("a", &SET), rows("b", &[(0.9, 0.2), (0.9, 0.9), (0.9, 0.9), (0.9, 0.9)])].concat();
    let each = |over, bound| Requirement { over, ..require("pgd", &[(Measure::DscAtLeast, bound)]) };
    let (judgement, why) = one(each(Over::EachImage, 0.3), &rows);
    assert_eq!((judgement, why.as_str()), (Judgement::Rejected, "b/0.png has 0.200, asked is a DSC at least 0.3"));
    assert_eq!(one(each(Over::EachImage, 0.2), &rows).0, Judgement::Accepted);
    let of = |over, bound| {
        let Acceptance { judgement, findings, .. } = judged(each(over, bound), &rows, &[check(Verdict::Pass)]);
        (judgement, findings.into_iter().map(|one| (one.set, one.images, one.judgement)).collect::<Vec<_>>())
    };
    let (judgement, findings) = of(Over::EachSet, 0.7);
    assert_eq!(judgement, Judgement::Rejected);
    assert_eq!(findings, [("a".into(), 5, Judgement::Rejected), ("b".into(), 4, Judgement::Undecided)]);
    assert_eq!(of(Over::AllImages, 0.4), (Judgement::Accepted, vec![("all".into(), 9, Judgement::Accepted)]));
    let named = Requirement { sets: vec!["a".into()], ..each(Over::AllImages, 0.5) };
    let findings = judged(named, &rows, &[check(Verdict::Pass)]).findings;
    assert_eq!((findings[0].images, findings[0].set.as_str()), (5, "a"));

    // another epsilon is another finding, unless a budget says which is meant
    let mut higher: Vec<GridRow> = rows.iter().filter(|row| row.method == "pgd").cloned().collect();
    higher.iter_mut().for_each(|row| row.epsilon = Some(8.));
    rows.extend(higher);
    assert_eq!(judged(each(Over::AllImages, 0.4), &rows, &[check(Verdict::Pass)]).findings.len(), 2);
    let budget = Budget { norm: Norm::Linf, epsilon: Epsilon::new(8., Unit::Pixel255).unwrap() };
    let at_eight = Requirement { budget: Some(budget), ..each(Over::AllImages, 0.4) };
    let findings = judged(at_eight, &rows, &[check(Verdict::Pass)]).findings;
    assert_eq!((findings.len(), findings[0].epsilon), (1, Some(8.)));
}

#[test]
fn what_is_missing_is_no_acceptance() {
    let limit = || require("pgd", &[(Measure::DscAtLeast, 0.3)]);
    let (judgement, why) = one(limit(), &rows("a", &SET[..3]));
    assert_eq!((judgement, why.as_str()), (Judgement::Undecided, "3 images, and images_at_least is 4"));
    // a broken limit needs no more images
    assert_eq!(one(require("pgd", &[(Measure::DscAtLeast, 0.9)]), &rows("a", &SET[..1])).0, Judgement::Rejected);

    let mut failed = rows("a", &SET);
    failed[0].scores = Err("cut off".into());
    let (judgement, why) = one(limit(), &failed);
    assert_eq!((judgement, why.as_str()), (Judgement::Undecided, "1 image could not be measured"));
    failed.iter_mut().for_each(|row| row.scores = Err("cut off".into()));
    let (judgement, why) = one(limit(), &failed);
    assert_eq!(judgement, Judgement::Undecided);
    assert_eq!(why, "5 images could not be measured; 0 images, and images_at_least is 4");

    for (attack, rows) in [("apgd", rows("a", &SET)), ("pgd", vec![])] {
        let Acceptance { judgement, findings, .. } =
            judged(require(attack, &[(Measure::DscAtLeast, 0.)]), &rows, &[check(Verdict::Pass)]);
        assert_eq!((judgement, findings[0].images, &findings[0].measured), (Judgement::Undecided, 0, &None));
    }
    // PGD without a target has no distance to one
    assert_eq!(one(require("pgd", &[(Measure::DscToTargetAtMost, 1.)]), &rows("a", &SET)).0, Judgement::Undecided);
}

#[test]
fn an_attack_that_may_be_broken_proves_nothing_but_what_it_breaks() {
    let rows = rows("a", &SET);
    let with = |attack, bound, verdict| {
        let limit = require(attack, &[(Measure::DscAtLeast, bound)]);
        judged(limit, &rows, &[check(verdict)])
    };
    let doubted = with("pgd", 0.3, Verdict::Fail);
    assert_eq!(doubted.judgement, Judgement::Undecided);
    assert_eq!(
        doubted.findings[0].reasons,
        ["a check of the attacks failed: PGD is at least as strong as FGSM (0.5 <= 0.6)"]
    );
    let unchecked = with("pgd", 0.3, Verdict::NotApplicable);
    assert_eq!(unchecked.judgement, Judgement::Undecided);
    assert!(unchecked.findings[0].reasons[0].contains("measure fgsm and pgd too"), "{unchecked:?}");
    assert_eq!(with("none", 0.3, Verdict::NotApplicable).judgement, Judgement::Accepted);
    assert_eq!(with("pgd", 0.3, Verdict::Pass).judgement, Judgement::Accepted);
    assert_eq!(with("pgd", 0.9, Verdict::Fail).judgement, Judgement::Rejected);
    assert_eq!(with("none", 0.3, Verdict::Fail).judgement, Judgement::Accepted);
}

#[test]
fn the_worst_finding_decides() {
    use Judgement::{Accepted, Rejected, Undecided};
    for (all, wanted) in [
        (&[][..], Accepted),
        (&[Accepted, Accepted], Accepted),
        (&[Accepted, Undecided, Accepted], Undecided),
        (&[Undecided, Rejected, Accepted], Rejected),
    ] {
        assert_eq!(Judgement::of(all.iter().copied()), wanted);
    }
}
