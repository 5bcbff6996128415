//! The program as people run it: a real process, its files, its messages and its exit codes.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

type Checked = Result<(), Box<dyn Error>>;

/// Runs the program in a folder.
fn segprobe(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_segprobe")).args(args).current_dir(folder).output().expect("the program starts")
}

/// Runs the program and answers what it printed; it must succeed.
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let output = segprobe(folder, args);
    let (out, error) = texts(&output);
    assert!(output.status.success(), "{args:?}: {error}");
    out
}

/// Runs the program and answers its message; it must fail with exit code 1 and without a backtrace.
fn fails(folder: &Path, args: &[&str]) -> String {
    let output = segprobe(folder, args);
    let (_, error) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(error.starts_with("error: "), "{args:?}: {error}");
    assert!(!error.contains("panicked") && !error.contains("backtrace"), "{args:?}: {error}");
    error
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn json(path: &Path) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// A folder with phantoms in `data` and a model in `tiny` that has seen one batch of them.
fn workplace() -> Result<TempDir, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let architecture = dir.path().join("architecture");
    std::fs::create_dir(&architecture)?;
    std::fs::write(
        architecture.join("config.json"),
        r#"{"projection_dim": 8, "extract_layers": [0, 1], "reduce_dim": 8, "decoder_num_attention_heads": 2,
            "decoder_intermediate_size": 8,
            "text_config": {"vocab_size": 0, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
                            "num_attention_heads": 2},
            "vision_config": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2,
                              "num_attention_heads": 2, "image_size": 32, "patch_size": 8}}"#,
    )?;
    std::fs::write(architecture.join("preprocessor_config.json"), r#"{"size": 32}"#)?;
    let phantoms = "phantoms --out data --kind dermoscopy --count 4 --size 48x40";
    succeeds(dir.path(), &words(phantoms));
    let train = "train --data data --architecture architecture --out tiny --steps 1 --batch 2 --validation-share 0.4";
    succeeds(dir.path(), &words(train));
    Ok(dir)
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn every_command_has_help() -> Checked {
    let dir = tempfile::tempdir()?;
    assert!(succeeds(dir.path(), &["--version"]).starts_with("segprobe "));
    let overview = succeeds(dir.path(), &["--help"]);
    for command in ["segment", "models", "doctor", "bench", "phantoms", "train"] {
        assert!(overview.contains(command), "{overview}");
        let help = succeeds(dir.path(), &[command, "--help"]);
        assert!(help.contains(&format!("Usage: segprobe {command}")), "{help}");
    }
    Ok(())
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() -> Checked {
    let dir = tempfile::tempdir()?;
    for (line, wanted) in [
        ("fnord", "fnord"),
        ("segment --image x.png", "--prompt"),
        ("phantoms", "--out"),
        ("phantoms --out p --kind fnord", "endoscopy, dermoscopy, ultrasound, xray"),
        ("phantoms --out p --size 0x8", "from 1 to"),
        ("phantoms --out p --size 8", "352x288"),
        ("phantoms --samples --seed 3", "--seed"),
        ("doctor --device gpu", "cuda:INDEX"),
        ("bench --threads 0", "--threads"),
        ("bench --image x.png", "--mask"),
        ("bench --queue 3 --batch 2", "--batch"),
    ] {
        let output = segprobe(dir.path(), &words(line));
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(texts(&output).1.contains(wanted), "{line}: {}", texts(&output).1);
    }
    assert_eq!(std::fs::read_dir(dir.path())?.count(), 0);
    Ok(())
}

#[test]
fn phantoms_of_every_kind_are_the_same_each_time() -> Checked {
    let dir = tempfile::tempdir()?;
    for out in ["a", "b"] {
        succeeds(dir.path(), &["phantoms", "--out", out, "--count", "2", "--seed", "5", "--size", "40x30"]);
    }
    for kind in ["endoscopy", "dermoscopy", "ultrasound", "xray"] {
        let prompts = json(&dir.path().join("a").join(kind).join("prompts.json"))?;
        assert_eq!(prompts.as_object().map(serde_json::Map::len), Some(2), "{kind}");
        for file in [format!("images/{kind}-0005.png"), format!("masks/{kind}-0006.png")] {
            let read = |out: &str| std::fs::read(dir.path().join(out).join(kind).join(&file));
            assert_eq!(read("a")?, read("b")?, "{kind}/{file}");
        }
        let picture = image::open(dir.path().join("a").join(kind).join("images").join(format!("{kind}-0005.png")))?;
        assert_eq!((picture.width(), picture.height()), (40, 30));
    }
    succeeds(dir.path(), &["phantoms", "--samples"]);
    let kept = json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/prompts.json"))?;
    assert_eq!(json(&dir.path().join("samples/prompts.json"))?, kept);
    Ok(())
}

#[test]
fn a_segmentation_is_written_scored_and_the_same_each_time() -> Checked {
    let dir = workplace()?;
    let line = "segment --image data/images/dermoscopy-0001.png --mask data/masks/dermoscopy-0001.png \
                --model tiny --out out --save-logits logits.npy --prompt";
    let mut args = words(line);
    args.push("skin lesion");
    let shown = succeeds(dir.path(), &args);
    assert!(shown.contains("48x40") && shown.contains("DSC"), "{shown}");

    let out = dir.path().join("out");
    let result = json(&out.join("result.json"))?;
    assert_eq!((&result["prompt"], &result["model"]["name"]), (&"skin lesion".into(), &"tiny".into()));
    assert_eq!(result["model"]["weights_sha256"].as_str().map(str::len), Some(64));
    assert_eq!((&result["image"]["width"], &result["image"]["height"]), (&48.into(), &40.into()));
    let scores = result["scores"].as_object().expect("a mask was given");
    assert!(scores["dsc"].as_f64().is_some_and(|dsc| (0. ..=1.).contains(&dsc)));

    let mask = image::open(out.join("mask.png"))?.to_luma8();
    let inside = mask.iter().filter(|level| **level == 255).count();
    assert_eq!(result["mask_area_px"], inside);
    assert_eq!(result["mask_area_share"], inside as f64 / (48. * 40.));
    let logits = logits(&std::fs::read(dir.path().join("logits.npy"))?, (40, 48));
    assert!(mask.iter().zip(&logits).all(|(level, z)| (*level == 255) == (*z > 0.)));
    let probability = image::open(out.join("probability.png"))?.to_luma8();
    assert!(probability.iter().zip(&logits).all(|(p, z)| (f32::from(*p) / 255. - 1. / (1. + (-z).exp())).abs() < 0.01));
    assert!(image::open(out.join("overlay.png"))?.width() >= 320);

    let before = std::fs::read(out.join("result.json"))?;
    succeeds(dir.path(), &args);
    assert_eq!(std::fs::read(out.join("result.json"))?, before);
    assert_eq!(std::fs::read_dir(&out)?.count(), 4, "a partial file was left");
    Ok(())
}

/// The values of an NPY file of little-endian f32 with a shape of `(rows, columns)`.
fn logits(bytes: &[u8], (rows, columns): (usize, usize)) -> Vec<f32> {
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]);
    assert!(header.contains("'<f4'") && header.contains(&format!("({rows}, {columns})")), "{header}");
    assert_eq!((start % 64, bytes.len()), (0, start + rows * columns * 4));
    bytes[start..].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn a_wrong_file_or_model_is_named_and_nothing_is_written() -> Checked {
    let dir = workplace()?;
    let image = "data/images/dermoscopy-0000.png";
    std::fs::write(dir.path().join("text.png"), "not a picture")?;
    succeeds(dir.path(), &words("phantoms --out other --kind xray --count 1 --size 20x20"));
    for (line, wanted) in [
        ("--image absent.png --model tiny", vec!["absent.png"]),
        ("--image text.png --model tiny", vec!["text.png", "PNG"]),
        ("--image IMAGE --model tiny --mask other/masks/xray-0000.png", vec!["20x20", "48x40"]),
        ("--image IMAGE --model absent", vec!["absent", "does not exist", "config.json"]),
        ("--image IMAGE --model text.png", vec!["text.png", "is a file"]),
        ("--image IMAGE --model data", vec!["data", "no config.json", "model.safetensors"]),
        ("--image IMAGE --model architecture", vec!["architecture", "vocab_size"]),
        ("--image IMAGE --model hf://CIDAS/clipseg-rd64-refined", vec!["downloads nothing", "copy them"]),
        ("--image IMAGE --model tiny --adapter text.png", vec!["text.png", "not a weights file"]),
    ] {
        let line = format!("segment --prompt lesion --out out {}", line.replace("IMAGE", image));
        let message = fails(dir.path(), &words(&line));
        assert!(wanted.iter().all(|part| message.contains(part)), "{line}: {message}");
    }
    std::fs::remove_file(dir.path().join("tiny/model.safetensors"))?;
    let message =
        fails(dir.path(), &["segment", "--prompt", "lesion", "--out", "out", "--image", image, "--model", "tiny"]);
    assert!(message.contains("model.safetensors"), "{message}");
    let message = fails(dir.path(), &["segment", "--prompt", " ", "--out", "out", "--image", image]);
    assert!(message.contains("--prompt"), "{message}");
    assert!(!dir.path().join("out").exists());
    Ok(())
}

#[test]
fn the_models_are_listed_and_a_broken_one_does_not_hide_the_others() -> Checked {
    let dir = workplace()?;
    let list: Value = serde_json::from_str(&succeeds(dir.path(), &words("models --folder . --json")))?;
    let list = list.as_array().expect("a list");
    assert_eq!((&list[0]["name"], list.len()), (&"demo".into(), 3));
    assert!(list[0]["structures"].to_string().contains("polyp"));
    assert!(list[1]["error"].as_str().is_some_and(|error| error.contains("vocab_size")));
    assert_eq!((&list[2]["name"], &list[2]["architecture"]["input_px"]), (&"tiny".into(), &32.into()));
    let text = succeeds(dir.path(), &words("models --folder ."));
    for wanted in ["demo (embedded)", "unusable", "tiny", "32x32 px", "polyp"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    Ok(())
}

#[test]
fn a_demo_folder_in_the_working_directory_comes_before_the_embedded_model() -> Checked {
    let dir = workplace()?;
    std::fs::create_dir(dir.path().join("models"))?;
    std::fs::rename(dir.path().join("tiny"), dir.path().join("models/demo"))?;
    let list: Value = serde_json::from_str(&succeeds(dir.path(), &words("models --json")))?;
    assert_eq!(list.as_array().map(Vec::len), Some(1));
    assert_eq!((&list[0]["source"], &list[0]["architecture"]["input_px"]), (&"models/demo".into(), &32.into()));
    Ok(())
}

#[test]
fn a_model_is_timed_with_the_gradient_that_was_timed() -> Checked {
    let dir = workplace()?;
    let line = "bench --model tiny --batch 1,3 --resolution 16,32 --runs 2 --steps 1 --threads 2 --json speed.json";
    let table = succeeds(dir.path(), &words(line));
    assert!(table.contains("2 threads") && table.contains("PGD-1 ms"), "{table}");
    let speed = json(&dir.path().join("speed.json"))?;
    let steps = speed["steps"].as_array().ok_or("no steps")?;
    let sizes: Vec<_> = steps.iter().map(|s| (s["resolution_px"].as_u64(), s["batch"].as_u64())).collect();
    assert_eq!(sizes, [(16, 1), (16, 3), (32, 1), (32, 3)].map(|(side, batch)| (Some(side), Some(batch))));
    for figures in steps {
        let seconds = |kind: &str| figures[kind]["median_s"].as_f64().unwrap_or(0.);
        assert!(seconds("forward") > 0. && seconds("step") > 0., "{figures}");
        assert_eq!(figures["losses"].as_array().map(Vec::len), figures["batch"].as_u64().map(|n| n as usize));
    }
    assert!(speed["matmul_peak_gflops"].as_f64().is_some_and(|peak| peak > 0.));

    succeeds(dir.path(), &words("bench --model tiny --batch 2 --runs 1 --steps 0 --save-gradient gradient.npy"));
    let header = std::fs::read(dir.path().join("gradient.npy"))?;
    assert!(String::from_utf8_lossy(&header[..128]).contains("(192, 32)"), "2 rows of 3 x 32 lines");

    let attacks = "bench --model tiny --concurrency 2 --queue 3,5 --runs 1 --steps 1 --json attacks.json";
    assert!(succeeds(dir.path(), &words(attacks)).contains("attacks/s"));
    let attacks = json(&dir.path().join("attacks.json"))?;
    assert_eq!(attacks["throughput"][0]["concurrency"], 2);
    assert_eq!(attacks["queues"].as_array().map(Vec::len), Some(2));
    for (line, wanted) in [
        ("bench --model tiny --resolution 30", "30 px does not divide into patches of 8 px"),
        ("bench --model tiny --batch 0", "--batch"),
        ("bench --model tiny --batch 1,2 --save-gradient g.npy", "one --batch"),
        ("bench --model absent", "does not exist"),
    ] {
        assert!(fails(dir.path(), &words(line)).contains(wanted), "{line}");
    }
    Ok(())
}

#[test]
fn the_doctor_says_what_works_and_what_does_not() -> Checked {
    let dir = workplace()?;
    let report = succeeds(dir.path(), &["doctor"]);
    assert!(report.contains("demo") && !report.contains("FAIL"), "{report}");
    let report = succeeds(dir.path(), &words("doctor --model tiny"));
    for check in ["version", "threads", "out", "device", "model", "forward", "gradient"] {
        assert!(report.lines().any(|line| line[6..].starts_with(check)), "{check}: {report}");
    }

    let output = segprobe(dir.path(), &words("doctor --model absent --out data/prompts.json"));
    let (report, error) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(report.contains("FAIL  model") && report.contains("FAIL  out"), "{report}");
    assert!(error.contains("2 checks failed"), "{error}");
    Ok(())
}

#[test]
fn the_doctor_looks_at_the_service_whose_settings_are_named() -> Checked {
    let dir = tempfile::tempdir()?;
    let report = succeeds(dir.path(), &["doctor"]);
    assert!(!report.contains("settings") && !report.contains("listen"), "no service is meant: {report}");

    std::fs::write(
        dir.path().join("segprobe.toml"),
        "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nfolder = \"data\"\n",
    )?;
    let before = succeeds(dir.path(), &words("doctor --config segprobe.toml"));
    assert!(before.contains("warn  folder") && before.contains("warn  database"), "{before}");
    assert!(!dir.path().join("data").exists(), "the doctor makes nothing");
    succeeds(dir.path(), &words("migrate --config segprobe.toml"));
    let after = succeeds(dir.path(), &words("doctor --config segprobe.toml"));
    for check in ["settings", "folder", "room", "user", "database", "tables", "models", "listen"] {
        assert!(after.lines().any(|line| line[6..].starts_with(check)), "{check}: {after}");
    }
    assert!(after.contains("ok    tables"), "{after}");

    std::fs::write(dir.path().join("wrong.toml"), "[queue]\nlease_seconds = 1\n")?;
    let output = segprobe(dir.path(), &words("doctor --config wrong.toml"));
    let (report, error) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        report.contains("FAIL  settings   queue.lease_seconds is 1") && error.contains("1 check failed"),
        "{report}"
    );
    Ok(())
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_in_a_build_without_cuda_is_refused_with_the_build_to_use() -> Checked {
    let dir = tempfile::tempdir()?;
    let output = segprobe(dir.path(), &words("doctor --device cuda"));
    let (report, _) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(report.contains("FAIL  device") && report.contains("--features cuda"), "{report}");
    Ok(())
}
