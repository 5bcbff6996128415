//! `segprobe attack` and `segprobe evaluate` as a user runs them: real processes on a tiny model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use segprobe::imaging::{Image, Limits, Mask, decode, encode};
use segprobe::metric::{Confusion, PerturbationScores};
use segprobe::phantom::{Kind, draw, write_folder};
use segprobe::report::manifest::sha256;
use serde_json::Value;

/// A folder with a picture, its mask, and the files of attacks on it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let (image, mask) = picture();
        encode::write(&desk.path("image.png"), &encode::png(&image).unwrap()).unwrap();
        encode::write(&desk.path("image.jpg"), &encode::jpeg(&image, 95).unwrap()).unwrap();
        encode::write(&desk.path("mask.png"), &encode::mask_png(&mask).unwrap()).unwrap();
        encode::write(&desk.path("small.png"), &encode::mask_png(&mask.resize(20, 20)).unwrap()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `segprobe` here, its flags separated by spaces, on the tiny model.
    fn run(&self, flags: &str) -> Output {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/tiny");
        let mut command = Command::new(env!("CARGO_BIN_EXE_segprobe"));
        command.current_dir(self.0.path()).args(flags.split_whitespace()).arg("--model").arg(model);
        command.output().unwrap()
    }

    /// What an attack says at its end, which nothing precedes.
    fn attack(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp {flags}"));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && complaint.is_empty(), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refusal(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp {flags}"));
        assert!(!output.status.success() && !self.path("out").exists());
        String::from_utf8(output.stderr).unwrap()
    }

    /// Why an attack on the picture is refused, whatever lies in the folder.
    fn refusal_to(&self, flags: &str) -> String {
        let output = self.run(&format!("attack --prompt polyp --image image.png {flags}"));
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn image(&self, name: &str) -> Image {
        decode::open(&self.path(name), &Limits::default()).unwrap().image
    }

    fn mask(&self, name: &str) -> Mask {
        decode::open_mask(&self.path(name), &Limits::default()).unwrap()
    }

    fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap().map(Result::unwrap);
        entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
    }
}

fn picture() -> (Image, Mask) {
    draw(Kind::Endoscopy, 3, 90, 72)
}

/// Every `null` score has a reason beside it, and so has every nested one.
fn nulls_have_reasons(scores: &Value) {
    for (field, _) in scores.as_object().unwrap().iter().filter(|(_, value)| value.is_null()) {
        assert!(scores["reasons"][field].is_string(), "{field} is null without a reason: {scores}");
    }
}

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
fn black_boxes_and_smallest_perturbations_are_run() {
    let desk = Desk::new();
    assert!(desk.refusal("--image image.png --method cw").contains("l2 only"));
    assert!(desk.refusal("--image image.png --method nes --parameter queries=3").contains("at least four times"));

    let said = desk.attack("--image image.png --mask mask.png --method square --parameter queries=12");
    let result = desk.json("out/result.json");
    assert_eq!(result["queries"], serde_json::json!({"loss": 14, "gradient": 0, "logits": 0}));
    assert!(said.contains("14 queries") && result.get("smallest").is_none(), "{said}");
    let steps: Vec<_> = result["steps"].as_array().unwrap().iter().map(|step| step["step"].as_u64()).collect();
    assert_eq!(steps, (0..12).map(Some).collect::<Vec<_>>());

    let search = "--method smallest_epsilon --epsilon 64 --steps 6 --success drop_at_least=0.05 --out search";
    let said = desk.attack(&format!("--image image.png {search}"));
    let result = desk.json("search/result.json");
    let smallest = &result["smallest"];
    assert!(said.contains("smallest that met it: Linf"), "{said}");
    assert_eq!(smallest["file"]["pixel255"], result["perturbation"]["linf_levels"].as_f64().unwrap(), "{smallest}");
    assert!(!smallest["curve"].as_array().unwrap().is_empty() && result["success"]["met"] == true);
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

#[test]
fn patches_and_constraints_are_run() {
    let desk = Desk::new();
    let place = r#"--parameter placement={"named":{"at":"top_left","share":0.04}}"#;
    let said = desk.attack(&format!("--image image.png --mask mask.png --method patch --steps 3 {place}"));
    let result = desk.json("out/result.json");
    assert_eq!(result["patch"]["pixels"], 18 * 14);
    assert_eq!(result["steps"][0]["tried"], "grey_patch");
    assert!(said.contains("which no score counts"), "{said}");
    assert!(desk.refusal_to("--method patch --epsilon 8").contains("has no budget"));

    desk.attack("--image image.png --mask mask.png --method alma_prox --epsilon 32 --steps 6 --out alma");
    let result = desk.json("alma/result.json");
    assert_eq!((&result["queries"]["gradient"], &result["within_budget"]), (&6.into(), &true.into()));
    assert!(result["smallest"]["curve"].is_array());
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
        desk.files(out)
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
    assert!(table.contains("PGD is at least as strong as FGSM at every epsilon (epsilon 2: "), "{table}");
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
fn a_corruption_has_no_budget_and_a_name() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --mask mask.png --method corruption --kind endoscopy --severity 5");
    let result = desk.json("out/result.json");
    assert!(result["within_budget"].is_null() && result["request"]["budget"].is_null());
    assert!(result["perturbation"]["linf_levels"].as_u64().unwrap() > 0);
    let worst = result["worst"].as_str().unwrap();
    assert!(said.contains(&format!("worst of what was tried: {worst}")) && !said.contains("budget"), "{said}");
    assert!(desk.refusal_to("--method corruption --epsilon 4").contains("has no budget"));
    assert!(desk.refusal_to("--method pgd --severity 4").contains("belongs to corruption"));
}

#[test]
fn an_edited_prompt_leaves_the_image_as_it_is() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --mask mask.png --method prompt --out text");
    let result = desk.json("text/result.json");
    assert_eq!(desk.image("text/adversarial.png"), picture().0);
    assert_eq!(result["perturbation"]["identical"], true);
    let prompt = result["adversarial_prompt"].as_str().unwrap();
    assert!(prompt != "polyp" && said.contains(&format!("adversarial prompt: {prompt:?}")), "{said}");
    let families = result["prompt_sensitivity"]["families"].as_array().unwrap();
    assert!(families.iter().any(|family| family["family"] == "empty" && family["prompts"] == 1));
    // the tokenizer folds capitals: the same ids, the same mask
    let case = families.iter().find(|family| family["family"] == "case").unwrap();
    assert_eq!(case["lowest_consistency"], 1.);
    let step = result["steps"].as_array().unwrap().iter().find(|step| step["prompt"]["text"] == prompt).unwrap();
    assert_eq!(step["dsc"], result["adversarial_file"]["dsc"]);
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
fn attacks_are_shown_to_other_models() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --mask mask.png --method fgsm --transfer-to demo --out out");
    assert!(said.contains("shown to demo: DSC "), "{said}");
    let result = desk.json("out/result.json");
    assert_eq!((&result["model"], &result["transfer"][0]["model"]), (&"tiny".into(), &"demo".into()));
    assert_ne!(result["transfer"][0]["clean"]["dsc"], result["clean"]["dsc"]);
    assert_eq!(desk.json("out/manifest.json")["transfer_to"][0]["name"], "demo");
    assert!(desk.refusal_to("--transfer-to absent").contains("--transfer-to absent"));
    assert!(desk.refusal_to("--transfer-to demo --transfer-to demo").contains("another model is called"));

    write_folder(Kind::Endoscopy, &desk.path("phantoms"), 0..2, (48, 40)).unwrap();
    let flags = "evaluate --data phantoms --method fgsm --epsilon 8 --transfer-to demo --out table";
    let output = desk.run(flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = std::fs::read_to_string(desk.path("table/results.csv")).unwrap();
    let columns: Vec<_> =
        table.lines().skip(1).map(|line| line.split(',').skip(2).take(3).collect::<Vec<_>>()).collect();
    assert_eq!(columns[..3], [["none", "", ""], ["fgsm", "", "8"], ["fgsm", "on demo", "8"]]);
    assert_eq!(columns.len(), 6);
}

#[test]
fn a_defended_model_is_attacked_with_and_without_knowledge_of_its_defence() {
    let desk = Desk::new();
    let said = desk.attack("--image image.png --mask mask.png --steps 4 --defence bit_depth:bits=3");
    let result = desk.json("out/result.json");
    let defence = &result["defence"];
    assert_eq!(defence["defence"], serde_json::json!({"kind": "bit_depth", "bits": 3}));
    assert_eq!((&defence["gradient"], &defence["samples"]), (&"straight_through".into(), &1.into()));
    assert_eq!(defence["adaptive_dsc"], result["adversarial_file"]["dsc"]);
    let dsc = |name: &str| defence[name].as_f64().unwrap();
    assert_eq!(dsc("worst_dsc"), dsc("adaptive_dsc").min(dsc("oblivious_dsc")));
    assert!(defence["repeated"].is_null() && said.contains("behind the defence bit_depth: DSC"), "{said}");

    desk.attack("--image image.png --mask mask.png --steps 4 --out bare");
    assert_eq!(desk.files("bare")["adversarial.png"], desk.files("out")["oblivious.png"]);
    assert_eq!(desk.json("bare/result.json")["adversarial_file"]["dsc"], defence["undefended_attacked_dsc"]);
    assert!(desk.refusal_to("--defence jpeg:quality=0").contains("1 to 100"));
}

#[test]
fn a_random_defence_is_judged_by_fresh_draws_and_repeats_itself() {
    let desk = Desk::new();
    let run = |out: &str| {
        desk.attack(&format!("--image image.png --mask mask.png --steps 2 --defence smoothing:samples=2 --out {out}"));
        let mut files = desk.files(out);
        files.remove("manifest.json");
        files
    };
    assert_eq!(run("a"), run("b"));
    let repeated = desk.json("a/result.json")["defence"]["repeated"].take();
    let dsc = |name: &str| repeated[name].as_f64().unwrap();
    assert_eq!(repeated["draws"], 5);
    assert!(dsc("lowest_dsc") <= dsc("mean_dsc") && dsc("mean_dsc") <= dsc("highest_dsc"));
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
fn a_certificate_counts_what_is_abstained_from_as_wrong_and_repeats_itself() {
    let desk = Desk::new();
    let method = "--method seg_certify --parameter sigma=0.02 --parameter choose=3 --parameter samples=70";
    let run = |out: &str| {
        desk.attack(&format!("--image image.png --mask mask.png {method} --parameter alpha=0.01 --out {out}"));
        let mut files = desk.files(out);
        files.remove("manifest.json");
        files
    };
    assert_eq!(run("a"), run("b"));
    let result = desk.json("a/result.json");
    let (predicted, abstained) = (desk.mask("a/mask_smoothed.png"), desk.mask("a/abstained.png"));
    let (_, reference) = picture();
    let wrong =
        Mask::from_fn(90, 72, |x, y| if abstained.get(x, y) { !reference.get(x, y) } else { predicted.get(x, y) });
    let certificate = &result["certificate"];
    assert_eq!(certificate["certified_dsc"], Confusion::between(&wrong, &reference).unwrap().dsc());
    assert_eq!(certificate["abstained_share"], abstained.area() as f64 / (90. * 72.));
    assert!((certificate["radius_l2"].as_f64().unwrap() - 0.02 * 0.674_489_75).abs() < 1e-9);
    assert_eq!((&result["worst"], &result["queries"]["gradient"]), (&"gaussian noise".into(), &0.into()));

    let few = desk.refusal_to("--method seg_certify --parameter samples=40 --out few");
    assert!(few.contains("one of 6480 pixels needs 55"), "{few}");
    assert!(desk.refusal_to("--method seg_certify --defence jpeg --out few").contains("--defence"));
}

#[test]
fn texts_are_attacked_by_gradient_and_in_turns_with_the_image() {
    let desk = Desk::new();
    let said =
        desk.attack("--image image.png --mask mask.png --method hot_flip --parameter flips=1 --beam 2 --out flip");
    let result = desk.json("flip/result.json");
    assert_eq!(desk.image("flip/adversarial.png"), picture().0);
    let prompt = result["adversarial_prompt"].as_str().unwrap();
    assert!(prompt != "polyp" && said.contains(&format!("adversarial prompt: {prompt:?}")), "{said}");
    assert_eq!(result["request"]["attack"]["beam"], 2);

    desk.attack("--image image.png --mask mask.png --method prompt_embedding --steps 4 --out bound");
    let bound = desk.json("bound/result.json");
    assert!(bound["adversarial_prompt"].is_null() && bound["queries"]["gradient"] == 4, "{bound}");

    desk.attack("--image image.png --mask mask.png --method pgd --epsilon 2 --steps 4 --out alone");
    desk.attack("--image image.png --mask mask.png --method joint --epsilon 2 --steps 4 --rounds 1 --out joint");
    let dsc = |folder: &str| desk.json(&format!("{folder}/result.json"))["adversarial_file"]["dsc"].as_f64().unwrap();
    assert!(dsc("joint") <= dsc("alone"));
    assert!(desk.refusal_to("--method hot_flip --epsilon 4").contains("has no budget"));
    assert!(desk.refusal_to("--method fgsm --epsilon 4 --rounds 2").contains("--rounds is no parameter of fgsm"));
}

#[test]
fn one_perturbation_is_trained_applied_and_held_against_controls() {
    let desk = Desk::new();
    write_folder(Kind::Endoscopy, &desk.path("data"), 0..10, (48, 40)).unwrap();
    write_folder(Kind::Xray, &desk.path("other"), 0..4, (40, 48)).unwrap();
    let train = |out: &str, flags: &str| {
        let shared = "--data data --transfer other --validation-share 0.5 --limit 4 --epsilon 6 --epochs 2";
        let output = desk.run(&format!("universal {shared} --apgd-steps 2 --out {out}.safetensors {flags}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (said, progress) = train("a", "--batch 2");
    assert!(progress.contains("pass 2: objective") && said.contains("Held-out images"), "{progress}{said}");
    train("b", "--batch 2 --jobs 1");
    let read = |name: &str| std::fs::read(desk.path(name)).unwrap();
    assert_eq!(read("a.safetensors"), read("b.safetensors"));
    train("c", "--method moosavi --success drop_at_least=0.9");
    assert_ne!(read("a.safetensors"), read("c.safetensors"));

    let report = desk.json("a.json");
    let columns = report["held_out"]["all"]["changes"].as_array().unwrap();
    let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    let controls = ["uniform noise", "random corners", "shuffled pixels", "shuffled blocks"];
    assert_eq!(names, [&["universal"], &controls[..], &["apgd per image"]].concat());
    assert_eq!(report["held_out"]["all"]["beside"].as_array().unwrap().len(), controls.len());
    assert!(report["universal"].is_boolean() && report["transfer"]["sets"][0]["set"] == "other", "{report}");
    let source = &report["about"]["sources"][0];
    assert_eq!((&source["set"], &source["training_images"]), (&"data".into(), &4.into()));
    assert!(!report.to_string().contains(desk.0.path().to_str().unwrap()), "the report names no folder");

    let flags = "--image image.png --mask mask.png --method universal --epsilon 6 --perturbation a.safetensors";
    desk.attack(flags);
    let result = desk.json("out/result.json");
    assert_eq!((&result["within_budget"], &result["queries"]["gradient"]), (&true.into(), &0.into()));
    assert!(result["perturbation"]["linf_levels"].as_u64().unwrap() <= 6, "{result}");
    assert_eq!(desk.json("out/manifest.json")["inputs"]["perturbation"], sha256(&read("a.safetensors")));

    let grid = "evaluate --data data --out table --method universal --epsilon 3,6";
    let output = desk.run(&format!("{grid} --perturbation a.safetensors --perturbation c.safetensors"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = desk.json("table/summary.json");
    let attacks = summary["all"]["attacks"].as_array().unwrap();
    let columns: Vec<_> =
        attacks.iter().map(|a| (a["variant"].as_str().unwrap(), a["epsilon"].as_f64().unwrap())).collect();
    assert_eq!(columns, [("a", 3.), ("a", 6.), ("c", 3.), ("c", 6.)]);

    assert!(desk.refusal_to("--method universal").contains("perturbation is missing"));
    assert!(desk.refusal_to("--perturbation a.safetensors").contains("only the method universal"));
    assert!(desk.refusal_to("--method universal --perturbation image.png").contains("not a usable universal"));
    for (flags, says) in [
        ("--method moosavi --momentum 0.5 --out d.safetensors", "--momentum"),
        ("--validation-share 0 --out d.safetensors", "both sides need some"),
        ("--out d.json", "--out"),
        ("--epsilon 300 --out d.safetensors", "full scale"),
    ] {
        let output = desk.run(&format!("universal --data data {flags}"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(says), "{flags}: {error}");
    }
}
