//! The short table at the end of an attack, for a terminal.

use std::fmt::Write;

use crate::attack::Echo;
use crate::evaluation::result::{AttackResult, Reference, Scored};
use crate::prompt::PromptSensitivity;

/// Width of the first column.
const LABEL: usize = 26;

/// The scores before and after, the perturbation, the verdict and the notes.
pub fn attack(result: &AttackResult) -> String {
    let mut text = String::new();
    let tolerance = result.clean.scores.surface.nsd_tolerance_px;
    let head = ["DSC".into(), "IoU".into(), "HD95 px".into(), format!("NSD {tolerance} px"), "area px".into()];
    line(&mut text, "", &head);
    line(&mut text, "clean", &cells(&result.clean));
    if let Some(reencoded) = &result.clean_reencoded {
        line(&mut text, "clean, re-encoded", &cells(reencoded));
    }
    line(&mut text, "adversarial, as float", &cells(&result.adversarial_float));
    line(&mut text, "adversarial, from the file", &cells(&result.adversarial_file));
    let area = |s: &Scored| s.scores.overlap.confusion.predicted() as i64;
    let deltas = &result.deltas;
    let change = [
        format!("{:+.3}", deltas.dsc),
        format!("{:+.3}", deltas.iou),
        format!("{:+.1}", deltas.hd95_px),
        deltas.nsd.map_or_else(|| "-".into(), |nsd| format!("{nsd:+.3}")),
        format!("{:+}", area(&result.adversarial_file) - area(&result.clean)),
    ];
    line(&mut text, "change, file - clean", &change);
    if let Some(found) = &result.certificate {
        let share = 100. * found.abstained_share;
        push(
            &mut text,
            format_args!(
                "certified within an L2 distance of {:.4} of full scale: DSC at least {:.3} (smoothed model {:.3}), {share:.1} % of \
                 the pixels abstained from",
                found.radius_l2, found.certified_dsc, found.smoothed_dsc
            ),
        );
    }
    for transfer in &result.transfer {
        let (before, after) = (&transfer.clean.overlap, &transfer.adversarial_file.overlap);
        let verdict = if transfer.success.met { "succeeds" } else { "does not succeed" };
        let model = &transfer.model;
        push(
            &mut text,
            format_args!("shown to {model}: DSC {:.3} to {:.3}, the attack {verdict} there", before.dsc, after.dsc),
        );
    }
    perturbation(&mut text, result);
    text
}

fn cells(scored: &Scored) -> [String; 5] {
    let scores = &scored.scores;
    [
        format!("{:.3}", scores.overlap.dsc),
        format!("{:.3}", scores.overlap.iou),
        format!("{:.1}", scores.surface.hd95_px),
        format!("{:.3}", scores.surface.nsd),
        scores.overlap.confusion.predicted().to_string(),
    ]
}

fn line(text: &mut String, label: &str, cells: &[String; 5]) {
    push(text, format_args!("{label:<LABEL$}{}", cells.iter().map(|cell| format!("{cell:>11}")).collect::<String>()));
}

fn perturbation(text: &mut String, result: &AttackResult) {
    let p = &result.perturbation;
    let or_dash = |value: Option<f64>, unit| value.map_or_else(|| "-".into(), |v| format!("{v:.3}{unit}"));
    push(
        text,
        format_args!(
            "perturbation of the file: L-inf {} of 255, L2 {:.1}, L1 {}, PSNR {}, SSIM {}",
            p.linf_levels,
            p.l2_levels,
            p.l1_levels,
            or_dash(p.psnr_db, " dB"),
            or_dash(p.ssim, ""),
        ),
    );
    if let Some(budget) = &result.request.budget {
        push(
            text,
            format_args!(
                "budget: {:?} {:.3} of 255 = {:.5} of 1 = {:.4} normalised; {}",
                budget.norm,
                budget.pixel255,
                budget.unit01,
                budget.normalised,
                if result.within_budget == Some(true) { "kept by the file" } else { "EXCEEDED by the file" },
            ),
        );
    }
    if let Some(defence) = &result.defence {
        push(
            text,
            format_args!(
                "behind the defence {}: DSC {:.3} if the attack knows it, {:.3} if it does not; without the defence {:.3}",
                defence.defence.name(),
                defence.adaptive_dsc,
                defence.oblivious_dsc,
                defence.undefended_attacked_dsc,
            ),
        );
    }
    if let Some(worst) = &result.worst {
        push(text, format_args!("worst of what was tried: {worst}"));
    }
    if let Some(prompt) = &result.adversarial_prompt {
        push(text, format_args!("adversarial prompt: {prompt:?}"));
    }
    if let Some(original) = &result.adversarial_file_original_prompt {
        let (under, plain) = (result.adversarial_file.scores.overlap.dsc, original.scores.overlap.dsc);
        push(text, format_args!("the file has DSC {under:.3} under that prompt, {plain:.3} under the original one"));
    }
    if let Some(sensitivity) = &result.prompt_sensitivity {
        prompts(text, sensitivity);
    }
    let verdict = if result.success.met { "succeeded" } else { "did not succeed" };
    let queries = result.queries.loss + result.queries.gradient + result.queries.logits;
    push(text, format_args!("attack {verdict} ({}), {queries} queries", criterion(result)));
    if let (Some(smallest), Some(budget)) = (&result.smallest, &result.request.budget) {
        let size = |echo: &Option<Echo>| echo.as_ref().map_or_else(|| "-".into(), |e| format!("{:.2}", e.pixel255));
        let (float, file) = (size(&smallest.float), size(&smallest.file));
        let norm = budget.norm;
        push(text, format_args!("smallest that met it: {norm:?} {float} of 255 as float, {file} as the file"));
    }
    if result.reference == Reference::CleanPrediction {
        push(text, format_args!("NO REFERENCE MASK: scores compare with the model's own clean prediction"));
    }
    for note in &result.notes {
        push(text, format_args!("note: {note}"));
    }
}

fn prompts(text: &mut String, sensitivity: &PromptSensitivity) {
    let row = |label: &str, [a, b, c, d, e]: [String; 5]| format!("{label:<LABEL$}{a:>11}{b:>11}{c:>11}{d:>11}{e:>11}");
    let head = ["prompts", "mean DSC", "lowest DSC", "same mask", "lowest"].map(String::from);
    push(text, format_args!("{}", row("edits of the prompt", head)));
    for family in &sensitivity.families {
        let scores = [family.mean_dsc, family.lowest_dsc, family.mean_consistency, family.lowest_consistency];
        let [a, b, c, d] = scores.map(|score| format!("{score:.3}"));
        let label = format!("{}{}", family.family.name(), if family.keeps_meaning { "" } else { " (other meaning)" });
        push(text, format_args!("{}", row(&label, [family.prompts.to_string(), a, b, c, d])));
    }
    let or_dash = |value: Option<f64>| value.map_or_else(|| "-".into(), |v| format!("{v:.3}"));
    push(
        text,
        format_args!(
            "fragility {} (0 is best), use of the text {} (near 0: the prompt is not read)",
            or_dash(sensitivity.fragility),
            or_dash(sensitivity.use_of_text),
        ),
    );
}

fn criterion(result: &AttackResult) -> String {
    use crate::attack::Criterion::{DropAtLeast, DscBelow, DscToTargetAtLeast};
    match result.success.criterion {
        DscBelow(threshold) => format!("DSC below {threshold}"),
        DropAtLeast(drop) => format!("DSC lower by at least {drop}"),
        DscToTargetAtLeast(threshold) => format!("DSC to the target at least {threshold}"),
    }
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    writeln!(text, "{line}").expect("a string takes any text");
}
