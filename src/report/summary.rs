//! A grid as a table: CSV for machines, Markdown for people.

use std::fmt::Write;

use crate::attack::Unit;
use crate::evaluation::{AttackSummary, Estimate, GridRow, SetSummary, Summary, Verdict};

/// The header of [`csv`].
const HEADER: &str = "set,image,method,variant,epsilon,clean_dsc,clean_iou,dsc,iou,dsc_to_target,oblivious_dsc,linf_levels,success,queries,error\n";

/// One line for every row (RFC 4180); a value that does not exist is empty.
pub fn csv(rows: &[GridRow]) -> String {
    let mut text = HEADER.to_owned();
    for row in rows {
        let scores = row.scores.as_ref().ok();
        let attacked = scores.and_then(|s| s.attacked);
        let cells = [
            quoted(&row.set),
            quoted(&row.image),
            row.method.into(),
            quoted(row.variant.as_deref().unwrap_or_default()),
            cell(row.epsilon),
            cell(scores.map(|s| s.clean_dsc)),
            cell(scores.map(|s| s.clean_iou)),
            cell(attacked.map(|s| s.dsc)),
            cell(attacked.map(|s| s.iou)),
            cell(attacked.and_then(|s| s.dsc_to_target)),
            cell(attacked.and_then(|s| s.oblivious_dsc)),
            cell(attacked.map(|s| s.linf_levels)),
            cell(attacked.map(|s| s.success)),
            cell(attacked.map(|s| s.queries)),
            row.scores.as_ref().err().map_or_else(String::new, |error| quoted(error)),
        ];
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// One row for every data set and one for all images, one column for every attack; then one row for every attack over
/// all images, the checks and the images that were left out. `unit` is that of the epsilons.
pub fn markdown(summary: &Summary, unit: Unit) -> String {
    let mut text = String::new();
    let mut head: Vec<String> = ["set", "images", "clean DSC", "clean IoU"].map(String::from).to_vec();
    head.extend(summary.all.attacks.iter().map(|attack| of(attack, unit)));
    line(&mut text, head.iter());
    let rule = |column: usize| if column == 0 { "---" } else { "---:" }.to_owned();
    line(&mut text, (0..head.len()).map(rule));
    for set in &summary.sets {
        line(&mut text, cells(set, |estimate| format!("{:.3}", estimate.mean)));
    }
    line(&mut text, cells(&summary.all, with_interval));
    text.push_str("\nMean DSC over images; in brackets the 95 % bootstrap interval.");
    if !summary.all.attacks.is_empty() {
        text.push_str(" Attacks are scored on the file as read back.\n");
        every_attack(&mut text, &summary.all, unit);
        oblivious(&mut text, &summary.all.attacks, unit);
        let targeted = summary.all.attacks.iter().any(|attack| attack.dsc_to_target.is_some());
        let by = if targeted { ", by what is missing to the target (1 - DSC to the target)" } else { "" };
        push(&mut text, format_args!("\nChecks of the attacks{by}:\n"));
        for check in &summary.checks {
            let verdict = match check.verdict {
                Verdict::Pass => "pass",
                Verdict::Fail => "FAIL",
                Verdict::NotApplicable => "not applicable",
            };
            push(&mut text, format_args!("- {verdict}: {} ({})", check.name, check.figures));
        }
    } else {
        text.push('\n');
    }
    if !summary.left_out.is_empty() {
        push(&mut text, format_args!("\n{} images are left out of every mean:\n", summary.left_out.len()));
        for (image, reason) in &summary.left_out {
            push(&mut text, format_args!("- {image}: {reason}"));
        }
    }
    text
}

/// One row for every attack over all images.
fn every_attack(text: &mut String, all: &SetSummary, unit: Unit) {
    let number = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".into(), |v| format!("{v:.digits$}"));
    let estimate = |estimate: Option<Estimate>| estimate.map_or_else(|| "-".into(), with_interval);
    let mut head = vec!["attack", "DSC", "IoU", "success", "largest change", "queries"];
    let targeted = all.attacks.iter().any(|attack| attack.dsc_to_target.is_some());
    if targeted {
        head.push("DSC to the target");
    }
    text.push_str("\nAll images; success as the criterion of each attack has it, queries for an image on average:\n\n");
    line(text, head.iter());
    line(text, head.iter().map(|name| if *name == "attack" { "---" } else { "---:" }));
    let clean = ["none".into(), estimate(all.clean_dsc), estimate(all.clean_iou), "-".into(), "0".into(), "1".into()];
    line(text, clean.into_iter().chain(targeted.then(|| "-".into())));
    for attack in &all.attacks {
        let cells = [
            of(attack, unit),
            estimate(attack.dsc),
            estimate(attack.iou),
            number(attack.success_share, 2),
            attack.largest_linf_levels.to_string(),
            number(attack.queries, 0),
        ];
        line(text, cells.into_iter().chain(targeted.then(|| estimate(attack.dsc_to_target))));
    }
}

pub(super) fn with_interval(Estimate { mean, interval }: Estimate) -> String {
    format!("{mean:.3} [{:.3}, {:.3}]", interval.low, interval.high)
}

/// What a defence would be published with.
fn oblivious(text: &mut String, attacks: &[AttackSummary], unit: Unit) {
    let scored: Vec<_> = attacks.iter().filter_map(|attack| Some((attack, attack.oblivious_dsc?))).collect();
    if scored.is_empty() {
        return;
    }
    text.push_str("\nThe model is behind a defence, and the attacks know it. Mean DSC if they do not:\n\n");
    for (attack, dsc) in scored {
        push(text, format_args!("- {}: {dsc:.3}", of(attack, unit)));
    }
}

fn of(attack: &AttackSummary, unit: Unit) -> String {
    heading(attack.method, attack.variant.as_deref(), attack.epsilon, unit)
}

/// What a table calls an attack.
pub(super) fn heading(method: &str, variant: Option<&str>, epsilon: Option<f64>, unit: Unit) -> String {
    let variant = variant.iter().map(|variant| format!(" {variant}")).collect::<String>();
    let epsilon = epsilon.iter().map(|epsilon| format!(" {epsilon} {unit}")).collect::<String>();
    format!("{method}{variant}{epsilon}")
}

fn cells(set: &SetSummary, show: fn(Estimate) -> String) -> Vec<String> {
    let or_dash = |estimate: Option<Estimate>| estimate.map_or_else(|| "-".into(), show);
    let iou = set.clean_iou.map_or_else(|| "-".into(), |iou| format!("{:.3}", iou.mean));
    let mut cells = vec![set.set.clone(), set.images.to_string(), or_dash(set.clean_dsc), iou];
    cells.extend(set.attacks.iter().map(|attack| or_dash(attack.dsc)));
    cells
}

/// A row of a table.
pub(super) fn line<T: AsRef<str>>(text: &mut String, cells: impl IntoIterator<Item = T>) {
    let cells: Vec<T> = cells.into_iter().collect();
    let joined = cells.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" | ");
    push(text, format_args!("| {joined} |"));
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    writeln!(text, "{line}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::RowScores;

    fn rows() -> Vec<GridRow> {
        let row = |image: &str, scores| GridRow {
            set: "a".into(),
            image: image.into(),
            method: "none",
            variant: None,
            epsilon: None,
            scores,
        };
        let fine = Ok(RowScores { clean_dsc: 0.75, clean_iou: 0.6, attacked: None });
        vec![row("x,1.png", fine), row("y.png", Err("\"cut off\", twice".into()))]
    }

    #[test]
    fn commas_and_quotes_survive_csv() {
        let text = csv(&rows());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "a,\"x,1.png\",none,,,0.75,0.6,,,,,,,,");
        assert_eq!(lines[2], "a,y.png,none,,,,,,,,,,,,\"\"\"cut off\"\", twice\"");
        assert!(lines.iter().take(2).all(|l| l.replace("\"x,1.png\"", "x").split(',').count() == 15));
    }

    #[test]
    fn a_table_without_attacks_is_the_model_cards() {
        let text = markdown(&Summary::new(&rows()), Unit::Pixel255);
        assert!(text.starts_with("| set | images | clean DSC | clean IoU |\n| --- | ---: | ---: | ---: |\n"), "{text}");
        assert!(
            text.contains("| a | 1 | 0.750 | 0.600 |") && text.contains("| all | 1 | 0.750 [0.750, 0.750] |"),
            "{text}"
        );
        assert!(text.contains("- a/y.png: \"cut off\", twice") && !text.contains("Checks"), "{text}");
    }
}
