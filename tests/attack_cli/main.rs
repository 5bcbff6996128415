//! `segprobe attack` and `segprobe evaluate` as a user runs them: real processes on a tiny model.

mod acceptance;
mod desk;
mod evaluations;
mod methods;

use std::collections::BTreeMap;

use segprobe::imaging::decode;
use segprobe::metric::{Confusion, PerturbationScores};
use segprobe::report::manifest::sha256;

use crate::desk::{Desk, nulls_have_reasons, picture};

#[test]
fn files_hold_what_the_result_says() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --mask mask.png --epsilon 6 --steps 4");
    let (clean, mask) = picture();
    let result = desk.json("out/result.json");
    let file = desk.image("out/adversarial.png");
    let scores = PerturbationScores::between(&clean, &file).unwrap();
    assert!(scores.linf_levels <= 6 && !scores.identical);
    assert_eq!(result["perturbation"]["linf_levels"], scores.linf_levels);
    assert_eq!((&result["within_budget"], &result["reference"]), (&true.into(), &"given".into()));
    for (name, side) in [("mask_clean", "clean"), ("mask_adversarial", "adversarial_file")] {
        let predicted = desk.mask(&format!("out/{name}.png"));
        assert_eq!(result[side]["dsc"], Confusion::between(&predicted, &mask).unwrap().dsc(), "{side}");
    }
    for scores in ["clean", "adversarial_file", "adversarial_float", "deltas", "perturbation"] {
        nulls_have_reasons(&result[scores]);
    }
    let text = std::fs::read_to_string(desk.path("out/result.json")).unwrap();
    assert!(!text.contains("NaN") && !text.contains("Infinity"));
    assert_eq!(result["steps"].as_array().unwrap().len(), 5);
    assert!(said.contains("adversarial, from the file") && said.contains("kept by the file"), "{said}");

    let manifest = desk.json("out/manifest.json");
    let mut files = desk.files("out");
    files.remove("manifest.json").unwrap();
    let hashes: BTreeMap<_, _> = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    assert_eq!(manifest["artifacts"], serde_json::to_value(&hashes).unwrap());
    assert_eq!(hashes.len(), 6);
    assert_eq!(manifest["inputs"]["image"], sha256(&std::fs::read(desk.path("image.png")).unwrap()));
    let grey = desk.image("out/perturbation.png");
    let drawn = grey.rgb().iter().zip(file.rgb().iter().zip(clean.rgb()));
    // Signed and centred: darker than the middle where a channel fell.
    assert!(drawn.clone().all(|(shown, (after, before))| shown.cmp(&128) == after.cmp(before)));
}

#[test]
fn one_seed_gives_one_result() {
    let desk = Desk::new();
    let run = |seed, out: &str| {
        desk.attack(&format!("--image image.png --mask mask.png --steps 3 --seed {seed} --out {out}"));
        let mut files = desk.files(out);
        files.remove("manifest.json");
        let mut manifest = desk.json(&format!("{out}/manifest.json"));
        assert!(manifest["duration_seconds"].take().as_f64().unwrap() > 0.);
        (files, manifest)
    };
    assert_eq!(run(1, "a"), run(1, "b"));
    assert_ne!(run(2, "c").0["adversarial.png"], run(1, "d").0["adversarial.png"]);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    for flags in [
        "--mask small.png",
        "--mask mask.png --goal target --target-mask small.png",
        "--mask mask.png --allowed-region small.png",
        "--mask small.png --protocol paper-2505.02971",
    ] {
        let refusal = desk.refusal(&format!("--image image.png {flags}"));
        assert!(refusal.contains("20x20") && refusal.contains("90x72"), "{flags}: {refusal}");
    }
    assert!(desk.refusal("--image absent.png").contains("absent.png"));
    assert!(desk.refusal("--image image.png --method fgsm --steps 3").contains("--steps is no parameter of fgsm"));
    assert!(desk.refusal("--image image.png --epsilon 8 --unit unit01").contains("did you mean pixel255?"));
    assert!(desk.refusal("--image image.png --protocol corrected --loss bce").contains("fixes the loss"));
    assert!(desk.refusal("--image image.png --success dsc_to_target_at_least=0.5").contains("has no target"));
}

#[test]
fn the_papers_protocol_keeps_the_container_and_the_networks_size() {
    let desk = Desk::new();
    let paper = "--protocol paper-2505.02971 --unit normalised --epsilon 0.1";
    let said = desk.attack(&format!("--image image.jpg --mask mask.png --method fgsm {paper}"));
    let result = desk.json("out/result.json");
    let file = std::fs::read(desk.path("out/adversarial.jpg")).unwrap();
    assert_eq!(decode::Container::of(&file), Some(decode::Container::Jpeg));
    let image = desk.image("out/adversarial.jpg");
    assert_eq!((image.width(), image.height()), (64, 64));
    assert_eq!(result["image"], serde_json::json!({"width": 64, "height": 64}));
    assert!(result["clean_reencoded"]["dsc"].is_number() && said.contains("clean, re-encoded"), "{said}");
    assert_eq!(result["request"]["loss"], "dice_ce_paper");
    let notes = result["notes"].to_string();
    assert!(notes.contains("resized from 90x72 to 64x64") && notes.contains("file format alone"), "{notes}");

    desk.attack(&format!("--image image.png --mask mask.png --method fgsm {paper} --out png"));
    assert!(desk.path("png/adversarial.png").exists());
    assert!(desk.json("png/result.json").get("clean_reencoded").is_none());
}

#[test]
fn without_a_mask_the_clean_prediction_is_the_reference_and_this_is_said() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --method fgsm");
    let result = desk.json("out/result.json");
    assert_eq!((&result["reference"], &result["clean"]["dsc"]), (&"clean_prediction".into(), &1.0.into()));
    assert!(said.contains("NO REFERENCE MASK"), "{said}");
    assert!(result["notes"][0].as_str().unwrap().contains("no reference mask was given"));
}

#[test]
fn goals_and_regions_reach_the_attack() {
    let desk = Desk::new();
    let flags = "--mask mask.png --goal erase --allowed-region mask.png --norm l2 --epsilon 300 --steps 3";
    desk.attack(&format!("--image image.png {flags} --success dsc_to_target_at_least=0.9"));
    let (clean, mask) = picture();
    let (file, result) = (desk.image("out/adversarial.png"), desk.json("out/result.json"));
    let changed = |x, y| file.pixel(x, y) != clean.pixel(x, y);
    let pixels: Vec<_> = (0..72).flat_map(|y| (0..90).map(move |x| (x, y))).filter(|(x, y)| changed(*x, *y)).collect();
    assert!(!pixels.is_empty() && pixels.iter().all(|(x, y)| mask.get(*x, *y)));
    assert_eq!(
        (&result["request"]["goal"], &result["request"]["allowed_pixels"]),
        (&"erase".into(), &mask.area().into())
    );
    assert!(result["perturbation"]["l2_levels"].as_f64().unwrap() <= 300.);
    assert!(result["adversarial_file"]["dsc_to_target"].is_number());
    assert_eq!(result["success"]["criterion"]["dsc_to_target_at_least"], 0.9);
}

#[test]
fn goals_with_parameters_reach_the_attack() {
    let desk = Desk::new();
    for (flag, wanted) in [
        ("shift=6,-3", serde_json::json!({"shift": {"dx_px": 6, "dy_px": -3}})),
        ("grow=25", serde_json::json!({"grow": {"percent": 25.0}})),
    ] {
        // The paper's protocol works at the network's size: what is asked for is told as it was asked for.
        for protocol in ["default --steps 2", "paper-2505.02971"] {
            desk.attack(&format!("--image image.png --mask mask.png --goal {flag} --protocol {protocol}"));
            let result = desk.json("out/result.json");
            assert_eq!(result["request"]["goal"], wanted);
            assert!(result["clean"]["dsc_to_target"].as_f64() < Some(1.), "{protocol}");
        }
    }
    let refusal = |goal: &str| desk.refusal_to(&format!("--mask mask.png --goal {goal}"));
    assert!(refusal("shift=90,0").contains("out of the frame"));
    assert!(refusal("shrink=100").contains("less than 100"));
    assert!(refusal("bigger=3").contains("shift=DX,DY"));
}

#[test]
fn budgets_in_l1_are_kept_and_reported() {
    let desk = Desk::new();
    for method in ["pgd", "apgd"] {
        let flags = format!("--mask mask.png --method {method} --norm l1 --epsilon 3000 --steps 6 --out {method}");
        let said = desk.attack(&format!("--image image.png {flags}"));
        let result = desk.json(&format!("{method}/result.json"));
        let levels = result["perturbation"]["l1_levels"].as_u64().unwrap();
        assert!((1..=3000).contains(&levels) && said.contains(&format!("L1 {levels}, PSNR")), "{said}");
        assert_eq!((&result["within_budget"], &result["request"]["budget"]["norm"]), (&true.into(), &"l1".into()));
    }
    let refusal = desk.refusal_to("--method bim --norm l1 --epsilon 3000");
    assert!(refusal.contains("norm is l1: this method works in linf and l2 only"), "{refusal}");
}
