//! What criteria make of an evaluation: Markdown for people, JUnit XML for pipelines.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::summary::{heading, line, with_interval};
use crate::acceptance::{Acceptance, Finding, Judgement, Measured};
use crate::attack::Unit;

/// The judgement, then one row for every finding. `unit` is that of the epsilons.
pub fn markdown(acceptance: &Acceptance, unit: Unit) -> String {
    let mut text = format!("**{}**\n\n", sentence(acceptance));
    let head = ["requirement", "on", "attack", "limit", "measured", "images", "judgement"];
    line(&mut text, head.iter());
    line(&mut text, head.iter().map(|_| "---"));
    for finding in &acceptance.findings {
        let why = if finding.reasons.is_empty() { String::new() } else { format!(": {}", finding.reasons.join("; ")) };
        let cells = [
            finding.requirement.replace('|', "\\|"),
            finding.set.clone(),
            attack(finding, unit),
            finding.limit.to_string(),
            measured(finding),
            finding.images.to_string(),
            format!("{}{why}", name(finding.judgement)),
        ];
        line(&mut text, cells.iter());
    }
    text.push('\n');
    text
}

/// The judgement and how many findings are behind it.
pub fn sentence(acceptance: &Acceptance) -> String {
    let all = acceptance.findings.len();
    let of = |judgement| acceptance.findings.iter().filter(|finding| finding.judgement == judgement).count();
    match acceptance.judgement {
        Judgement::Accepted => format!("accepted: the limits are kept in all {all} findings"),
        Judgement::Rejected => format!("rejected: limits are broken in {} of {all} findings", of(Judgement::Rejected)),
        Judgement::Undecided => {
            format!("undecided: the evidence does not reach in {} of {all} findings", of(Judgement::Undecided))
        }
    }
}

/// As Jenkins and GitLab read test results: a suite for every requirement, a test case for every finding. A rejected one
/// is a failure, an undecided one an error.
///
/// # Errors
/// A document that cannot be written.
pub fn junit(acceptance: &Acceptance, unit: Unit) -> Result<String, SerializeError> {
    let mut report = Report::new("segprobe");
    for requirement in &acceptance.criteria.require {
        let mut suite = TestSuite::new(requirement.name.as_str());
        for finding in acceptance.findings.iter().filter(|finding| finding.requirement == requirement.name) {
            let status = match finding.judgement {
                Judgement::Accepted => TestCaseStatus::success(),
                Judgement::Rejected => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Judgement::Undecided => TestCaseStatus::non_success(NonSuccessKind::Error),
            };
            let (set, limit) = (&finding.set, &finding.limit);
            let mut case = TestCase::new(format!("{set}, {}: {limit}", attack(finding, unit)), status);
            case.set_classname(requirement.name.as_str());
            case.set_system_out(format!("measured: {} on {} images", measured(finding), finding.images));
            if !finding.reasons.is_empty() {
                case.status.set_type(name(finding.judgement)).set_message(finding.reasons.join("; "));
            }
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn name(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Accepted => "accepted",
        Judgement::Rejected => "rejected",
        Judgement::Undecided => "undecided",
    }
}

fn attack(finding: &Finding, unit: Unit) -> String {
    heading(&finding.method, finding.variant.as_deref(), finding.epsilon, unit)
}

fn measured(finding: &Finding) -> String {
    match &finding.measured {
        None => "-".into(),
        Some(Measured::Mean(estimate)) => with_interval(*estimate),
        Some(Measured::Worst { image, value }) => format!("{value:.3} ({image})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::{Criteria, Limit, Measure, Over, Requirement};
    use crate::evaluation::Estimate;

    fn acceptance() -> Acceptance {
        let requirement = |name: &str| Requirement {
            name: name.into(),
            attack: "pgd".into(),
            variant: None,
            budget: None,
            sets: vec![],
            over: Over::EachImage,
            limits: [(Measure::DscAtLeast, 0.5)].into(),
        };
        let finding = |name: &str, judgement, reason: &str| Finding {
            requirement: name.into(),
            set: "all".into(),
            method: "pgd".into(),
            variant: None,
            epsilon: Some(4.),
            limit: Limit { measure: Measure::DscAtLeast, bound: 0.5 },
            images: 12,
            measured: Some(Measured::Worst { image: "a/<1>.png".into(), value: 0.25 }),
            judgement,
            reasons: (!reason.is_empty()).then(|| reason.to_owned()).into_iter().collect(),
        };
        let estimate = Estimate::of(&[0.6, 0.6]).unwrap();
        Acceptance {
            judgement: Judgement::Rejected,
            criteria: Criteria { images_at_least: 10, require: vec![requirement("small"), requirement("a | b")] },
            findings: vec![
                finding("small", Judgement::Rejected, "a/<1>.png has 0.250, asked is more"),
                Finding { measured: Some(Measured::Mean(estimate)), ..finding("a | b", Judgement::Accepted, "") },
                Finding { measured: None, ..finding("a | b", Judgement::Undecided, "few \u{1b} images") },
            ],
        }
    }

    #[test]
    fn people_read_the_judgement_first() {
        let text = markdown(&acceptance(), Unit::Pixel255);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "**rejected: limits are broken in 1 of 3 findings**");
        let first =
            "| small | all | pgd 4 pixel255 | DSC at least 0.5 | 0.250 (a/<1>.png) | 12 | rejected: a/<1>.png has";
        assert!(lines[4].starts_with(first), "{text}");
        let second = r"| a \| b | all | pgd 4 pixel255 | DSC at least 0.5 | 0.600 [0.600, 0.600] | 12 | accepted |";
        assert_eq!(lines[5], second);
        assert!(lines[6].contains("| - | 12 | undecided: few"), "{text}");
    }

    #[test]
    fn pipelines_read_failures_and_errors() {
        let text = junit(&acceptance(), Unit::Pixel255).unwrap();
        let read = Report::deserialize_from_str(&text).unwrap();
        assert_eq!((read.tests, read.failures, read.errors), (3, 1, 1));
        assert_eq!(read.test_suites.len(), 2);
        assert!(text.contains(r#"<failure message="a/&lt;1&gt;.png has 0.250"#), "{text}");
        assert!(text.contains(r#"type="undecided""#) && !text.contains('\u{1b}'), "{text}");
        assert_eq!(text, junit(&acceptance(), Unit::Pixel255).unwrap());
    }
}
