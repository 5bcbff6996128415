//! Figures as tables for people.

use std::fmt::Write;

use super::measure::Measured;
use super::{Change, Figures, SetFigures};
use crate::evaluation::Estimate;

/// The tables of a perturbation, and the answer.
pub fn markdown(measured: &Measured) -> String {
    let mut text = String::new();
    let held_out = &measured.held_out;
    section(&mut text, "Held-out images: fall of the DSC", held_out, |change| change.dsc_drop);
    section(&mut text, "Held-out images: fall of the IoU", held_out, |change| change.iou_drop);
    text.push_str(&answer(&held_out.all));
    section(&mut text, "Images it was trained on: fall of the DSC", &measured.training, |change| change.dsc_drop);
    if !measured.transfer.sets.is_empty() {
        let title = "Other data sets and prompts: fall of the DSC";
        section(&mut text, title, &measured.transfer, |change| change.dsc_drop);
    }
    text.push_str("Means over images, with 95 % bootstrap intervals; every image is scored on its 8-bit file.\n");
    text
}

/// Whether it is a universal perturbation, in a sentence.
fn answer(all: &SetFigures) -> String {
    let sentence = match all.beats_controls() {
        None => "There is nothing to compare with.".to_owned(),
        Some(true) => "It lowers the DSC of images it has never seen further than every control does.".into(),
        Some(false) => "It does not lower the DSC of images it has never seen further than every control does.".into(),
    };
    let mut text = format!("{sentence}\n\n");
    for beside in &all.beside {
        let Some(more) = beside.more else { continue };
        push(&mut text, format_args!("- further than {}: {}", beside.control, signed(more)));
    }
    text.push('\n');
    text
}

fn section(text: &mut String, title: &str, figures: &Figures, of: fn(&Change) -> Option<Estimate>) {
    push(text, format_args!("## {title}\n"));
    let names = figures.all.changes.iter().map(|change| change.name.as_str());
    let head: Vec<&str> = ["set", "images", "clean"].into_iter().chain(names).collect();
    push(text, format_args!("| {} |", head.join(" | ")));
    push(text, format_args!("| --- |{}", " ---: |".repeat(head.len() - 1)));
    for set in figures.sets.iter().chain([&figures.all]) {
        let is_iou = title.ends_with("IoU");
        let clean = if is_iou { set.clean_iou } else { set.clean_dsc };
        let clean = clean.map_or_else(|| "-".into(), |clean| format!("{clean:.3}"));
        let cells = set.changes.iter().map(|change| of(change).map_or_else(|| "-".into(), signed));
        let cells: Vec<String> = [set.set.clone(), set.images.to_string(), clean].into_iter().chain(cells).collect();
        push(text, format_args!("| {} |", cells.join(" | ")));
    }
    for (image, reason) in &figures.left_out {
        push(text, format_args!("\n{image} is left out: {reason}"));
    }
    text.push('\n');
}

fn signed(Estimate { mean, interval }: Estimate) -> String {
    format!("{mean:.3} [{:.3}, {:.3}]", interval.low, interval.high)
}

fn push(text: &mut String, line: std::fmt::Arguments) {
    writeln!(text, "{line}").expect("a string takes all");
}
