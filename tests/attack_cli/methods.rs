//! Methods with flags, files or fields of their own.

use segprobe::imaging::Mask;
use segprobe::metric::Confusion;
use segprobe::phantom::{Kind, write_folder};
use segprobe::report::manifest::sha256;

use crate::desk::{Desk, picture};

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
    assert!(!report.to_string().contains(desk.path("data").to_str().unwrap()), "the report names no folder");

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
