//! Data sets times attacks, and the tables that come of it.

use segprobe::imaging::encode;
use segprobe::phantom::{Kind, draw, write_folder};
use serde_json::Value;

use crate::desk::Desk;

#[test]
fn an_evaluation_does_not_depend_on_how_many_run_at_once() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data/endoscopy"), 0..3, (70, 60)).unwrap();
    write_folder(Kind::Xray, &desk.path("data/xray"), 0..2, (60, 70)).unwrap();
    std::fs::write(desk.path("data/xray/images/xray-0001.png"), b"\x89PNG\r\n\x1a\n and no more").unwrap();
    let evaluate = |jobs, out: &str| {
        let grid = "--method fgsm --method pgd --epsilon 2,8 --steps 3";
        let flags = format!("evaluate --data data/endoscopy --data data/xray {grid} --jobs {jobs} --out {out}");
        let output = desk.run(&flags);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Its lines stand in the order in which attacks ended.
        let mut files = desk.files(out);
        assert_eq!(files.remove("measured.jsonl").unwrap().iter().filter(|byte| **byte == b'\n').count(), 4 * 5);
        files
    };
    let files = evaluate(1, "one");
    assert_eq!(files, evaluate(4, "four"));

    let csv = String::from_utf8(files["results.csv"].clone()).unwrap();
    assert_eq!(csv.lines().count(), 1 + 5 * 5);
    let bad: Vec<&str> = csv.lines().filter(|line| line.contains("xray-0001")).collect();
    assert!(bad.len() == 5 && bad.iter().all(|line| line.contains("PNG file")), "{csv}");
    assert!(csv.lines().filter(|line| line.contains("endoscopy-0000.png,pgd,,8,")).count() == 1, "{csv}");
    let summary: Value = serde_json::from_slice(&files["summary.json"]).unwrap();
    assert_eq!((&summary["all"]["images"], &summary["sets"][1]["images"]), (&4.into(), &1.into()));
    assert_eq!(summary["all"]["attacks"].as_array().unwrap().len(), 4);
    assert!(summary["left_out"]["xray/xray-0001.png"].is_string());
    let table = String::from_utf8(files["summary.md"].clone()).unwrap();
    assert!(table.starts_with("| set | images | clean DSC | clean IoU | fgsm 2 pixel255 |"), "{table}");
    assert!(table.contains("PGD is at least as strong as FGSM on average at every epsilon (epsilon 2: "), "{table}");
}

#[test]
fn an_evaluation_without_attacks_is_a_table_of_clean_scores() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("endoscopy"), 0..4, (70, 60)).unwrap();
    let output = desk.run("evaluate --data endoscopy --method none --limit 2 --out out");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let csv = std::fs::read_to_string(desk.path("out/results.csv")).unwrap();
    let images: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(images, ["endoscopy-0000.png", "endoscopy-0002.png"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("| endoscopy | 2 |"));
}

#[test]
fn an_evaluation_goes_on_where_another_ended_and_measures_what_has_changed() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..4, (48, 40)).unwrap();
    let evaluate = |out: &str, flags: &str| {
        let output =
            desk.run(&format!("evaluate --data data --method fgsm --method noise --epsilon 8 --out {out} {flags}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        let mut files = desk.files(out);
        files.remove("measured.jsonl");
        (said.lines().find_map(|line| line.split_once(" had been measured").map(|(n, _)| n.to_owned())), files)
    };
    let (reused, whole) = evaluate("whole", "");
    assert_eq!(reused, None);
    assert_eq!(evaluate("parts", "--limit 2").0, None);
    // A program that was killed leaves half a line.
    let kept = std::fs::read_to_string(desk.path("parts/measured.jsonl")).unwrap();
    std::fs::write(desk.path("parts/measured.jsonl"), &kept[..kept.len() - 20]).unwrap();
    let (reused, grown) = evaluate("parts", "");
    assert_eq!((reused.as_deref(), grown), (Some("5 of 12"), whole));
    assert_eq!(evaluate("parts", "").0.as_deref(), Some("12 of 12"));
    // The clean images do not hang on the loss, nor on the seed: but a key is no place to be clever.
    assert_eq!(evaluate("parts", "--loss bce").0, None);
    let (image, _) = draw(Kind::Endoscopy, 90, 48, 40);
    encode::write(&desk.path("data/images/endoscopy-0002.png"), &encode::png(&image).unwrap()).unwrap();
    assert_eq!(evaluate("parts", "").0.as_deref(), Some("9 of 12"));
}

#[test]
fn a_goal_is_pursued_on_every_image() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..2, (48, 40)).unwrap();
    let flags = "--method fgsm --method pgd --steps 3 --epsilon 4,8";
    let evaluate = |out: &str, more: &str| {
        let output = desk.run(&format!("evaluate --data data {flags} --out {out} {more}"));
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(evaluate("grown", "--goal grow=40 --success dsc_to_target_at_least=0.001"), (true, String::new()));
    let summary = desk.json("grown/summary.json");
    assert_eq!(
        (&summary["goal"]["grow"]["percent"], &summary["success"]["dsc_to_target_at_least"]),
        (&40.0.into(), &0.001.into())
    );
    let attacks = summary["all"]["attacks"].as_array().unwrap();
    assert!(attacks.iter().all(|attack| attack["dsc_to_target"]["mean"].is_f64()), "{summary}");
    // The first line of the table of all attacks, as the CSV has it.
    let csv = String::from_utf8(desk.files("grown")["results.csv"].clone()).unwrap();
    let column = csv.lines().next().unwrap().split(',').position(|name| name == "dsc_to_target").unwrap();
    let rows: Vec<f64> = csv
        .lines()
        .filter(|line| line.contains(",fgsm,,4,"))
        .map(|line| line.split(',').nth(column).unwrap().parse().unwrap())
        .collect();
    let mean = attacks[0]["dsc_to_target"]["mean"].as_f64().unwrap();
    assert!((rows.iter().sum::<f64>() / 2. - mean).abs() < 1e-12 && rows.len() == 2, "{csv}");
    let table = String::from_utf8(desk.files("grown")["summary.md"].clone()).unwrap();
    assert!(table.contains("| queries | DSC to the target |"), "{table}");
    assert!(table.contains("by what is missing to the target"), "{table}");
    assert!(table.contains("- not applicable: PGD at its largest epsilon leaves less"), "{table}");

    let (done, why) = evaluate("refused", "--goal target");
    assert!(!done && why.contains("needs a mask for each image"), "{why}");
    let (done, why) = evaluate("refused", "--goal shrink=100");
    assert!(!done && why.contains("less than 100"), "{why}");
    let (done, why) = evaluate("refused", "--success dsc_to_target_at_least=0.5");
    assert!(!done && why.contains("--success"), "{why}");
    assert!(!desk.path("refused").exists());
}

#[test]
fn corruptions_and_prompts_are_columns_of_a_table() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..2, (48, 40)).unwrap();
    let flags = "--method corruption --method prompt --kind hair,jpeg --severity 1,5 --edits typo";
    let output = desk.run(&format!("evaluate --data data --out table {flags}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = desk.json("table/summary.json");
    let attacks = summary["all"]["attacks"].as_array().unwrap();
    let variants: Vec<_> = attacks.iter().map(|attack| attack["variant"].as_str().unwrap()).collect();
    assert_eq!(variants, ["hair 1", "hair 5", "jpeg 1", "jpeg 5", "typo"]);
    assert!(attacks.iter().all(|attack| attack["epsilon"].is_null() && attack["dsc"]["mean"].is_f64()));
    let text = std::fs::read_to_string(desk.path("table/summary.md")).unwrap();
    assert!(text.contains("| corruption hair 1 | corruption hair 5 |"), "{text}");
}

#[test]
fn a_table_of_a_defended_model_has_both_scores() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..2, (48, 40)).unwrap();
    let output = desk.run("evaluate --data data --out table --method fgsm --epsilon 8 --defence median");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = desk.json("table/summary.json");
    assert_eq!(summary["defence"]["kind"], "median");
    assert!(summary["all"]["attacks"][0]["oblivious_dsc"].is_f64());
    let text = std::fs::read_to_string(desk.path("table/summary.md")).unwrap();
    assert!(text.contains("the attacks know it") && text.contains("- fgsm 8 pixel255: "), "{text}");
}

#[test]
fn a_method_with_noise_of_its_own_takes_no_defence() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..1, (48, 40)).unwrap();
    let output = desk.run("evaluate --data data --out table --method seg_certify --defence median");
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && why.contains("leave the defence out"), "{why}");
}
