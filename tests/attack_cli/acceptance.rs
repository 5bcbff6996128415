//! Evaluations that end in a judgement.

use segprobe::phantom::{Kind, write_folder};
use serde_json::Value;

use crate::desk::Desk;

/// The exit code of an evaluation under criteria, and what it said on standard output and standard error.
fn judged(desk: &Desk, criteria: &str, flags: &str) -> (i32, String, String) {
    std::fs::write(desk.path("criteria.toml"), criteria).unwrap();
    let grid = "--data polyps --data lungs --method fgsm --epsilon 4 --acceptance criteria.toml";
    let output = desk.run(&format!("evaluate {grid} --out out {flags}"));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn desk() -> Desk {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("polyps"), 0..2, (48, 40)).unwrap();
    write_folder(Kind::Xray, &desk.path("lungs"), 0..2, (40, 48)).unwrap();
    desk
}

const CLEAN: &str = "[[require]]\nname = 'clean'\nattack = 'none'\nover = 'each_set'\ndsc_at_least = 0\n";

#[test]
fn a_model_is_accepted_rejected_or_undecided() {
    let desk = desk();
    let (code, said, complaint) = judged(&desk, &format!("images_at_least = 2\n{CLEAN}"), "");
    assert_eq!((code, complaint.as_str()), (0, ""));
    assert!(said.starts_with("**accepted: the limits are kept in all 2 findings**"), "{said}");
    let junit = std::fs::read_to_string(desk.path("out/junit.xml")).unwrap();
    assert!(junit.contains(r#"tests="2" skipped="0" failures="0" errors="0""#), "{junit}");

    // Nothing is measured again for other criteria.
    let under = "[[require]]\nname = 'under attack'\nattack = 'fgsm'\n\
                 budget = { norm = 'linf', epsilon = { value = 4, unit = 'pixel255' } }\n";
    let (code, said, complaint) = judged(&desk, &format!("{CLEAN}{under}dsc_at_least = 1"), "");
    assert_eq!((code, complaint.as_str()), (3, "rejected: limits are broken in 1 of 3 findings\n"));
    assert!(said.contains("8 of 8 had been measured before"), "{said}");
    let summary = desk.json("out/summary.json");
    let finding = &summary["acceptance"]["findings"][2];
    assert_eq!((&summary["acceptance"]["judgement"], &finding["judgement"]), (&"rejected".into(), &"rejected".into()));
    assert_eq!((&finding["images"], &finding["epsilon"]), (&4.into(), &4.0.into()));
    assert_eq!(finding["measured"]["mean"]["mean"], summary["all"]["attacks"][0]["dsc"]["mean"]);
    assert_eq!(summary["acceptance"]["criteria"]["require"][1]["budget"]["norm"], "linf");
    let junit = std::fs::read_to_string(desk.path("out/junit.xml")).unwrap();
    assert!(
        junit.contains(r#"<testcase name="all, fgsm 4 pixel255: DSC at least 1" classname="under attack">"#),
        "{junit}"
    );
    assert!(junit.contains(r#"tests="3" skipped="0" failures="1" errors="2""#), "{junit}");

    let (code, said, complaint) = judged(&desk, CLEAN, "");
    assert_eq!((code, complaint.as_str()), (4, "undecided: the evidence does not reach in 2 of 2 findings\n"));
    assert!(said.contains("| undecided: 2 images, and images_at_least is 10 |"), "{said}");
}

#[test]
fn an_image_that_cannot_be_measured_is_not_left_out_in_silence() {
    let desk = desk();
    std::fs::write(desk.path("polyps/images/endoscopy-0001.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    let criteria = format!("images_at_least = 1\n{CLEAN}");
    assert_eq!(judged(&desk, &criteria, "").0, 4);
    let findings: Value = desk.json("out/summary.json")["acceptance"]["findings"].clone();
    assert_eq!(findings[0]["reasons"], serde_json::json!(["1 image could not be measured"]));
    assert_eq!(findings[1]["judgement"], "accepted");
}

#[test]
fn criteria_that_cannot_be_answered_are_refused_before_anything_is_measured() {
    let desk = desk();
    for (criteria, flags, says) in [
        ("[[require]]\nname = 'a'\nattack = 'pgd'\ndsc_at_least = 0", "", "pgd, which is not measured"),
        ("[[require]]\nname = 'a'\nattack = 'fgsm'\nsets = ['skin']\ndsc_at_least = 0", "", "there are polyps, lungs"),
        ("[[require]]\nname = 'a'\nattack = 'fgsm'\nat_least = 0", "", "dsc_at_least"),
        ("[[require]\n", "", "criteria.toml"),
        (CLEAN, "--acceptance absent.toml", "cannot be used multiple times"),
    ] {
        let (code, said, complaint) = judged(&desk, criteria, flags);
        assert!((code == 1 || code == 2) && said.is_empty(), "{criteria}: {code} {said}");
        assert!(complaint.contains(says), "{criteria}: {complaint}");
        assert!(!desk.path("out/measured.jsonl").exists());
    }
}
