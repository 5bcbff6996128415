//! Whether a spec makes sense by itself.

use super::{JobSpec, SpecError};
use crate::attack::{AttackError, Norm, Unit, check_bounds};

/// Most points that the attack of one job may visit: a job that runs for days would outlive every deploy.
pub const MOST_POINTS: u64 = 10_000;

const MOST_PROMPT_CHARACTERS: usize = 1000;
const MOST_TRANSFERS: usize = 8;
const MOST_PRIORITY: i32 = 9;
const MOST_LABELS: usize = 16;
const MOST_KEY_CHARACTERS: usize = 64;
const MOST_VALUE_CHARACTERS: usize = 256;

pub(super) fn spec(spec: &JobSpec) -> Result<(), SpecError> {
    prompt(&spec.prompt)?;
    attack(spec)?;
    budget(spec)?;
    spec.goal.check(&spec.prompt).map_err(blame)?;
    if let Some(criterion) = spec.success {
        criterion.check(spec.goal.is_targeted()).map_err(|error| SpecError::new("/spec/success", error))?;
    }
    transfer(spec)?;
    if spec.priority.abs() > MOST_PRIORITY {
        let detail = format!("the priority is {}: use -{MOST_PRIORITY} to {MOST_PRIORITY}", spec.priority);
        return Err(SpecError::new("/spec/priority", detail));
    }
    labels(spec)?;
    match spec.window {
        Some(window) if window.width < 1. => {
            let detail = format!("the window's width is {}: use at least 1", window.width);
            Err(SpecError::new("/spec/window/width", detail))
        }
        _ => Ok(()),
    }
}

fn prompt(prompt: &str) -> Result<(), SpecError> {
    let refuse = |detail: String| Err(SpecError::new("/spec/prompt", detail));
    let characters = prompt.chars().count();
    if prompt.trim().is_empty() {
        return refuse("the prompt is empty: name the structure to segment, for example \"polyp\"".into());
    }
    if characters > MOST_PROMPT_CHARACTERS {
        return refuse(format!("the prompt has {characters} characters: use at most {MOST_PROMPT_CHARACTERS}"));
    }
    if prompt.contains('\0') {
        return refuse("the prompt holds the character U+0000: leave it out".into());
    }
    Ok(())
}

fn attack(spec: &JobSpec) -> Result<(), SpecError> {
    spec.attack.attack().check().map_err(blame)?;
    spec.protocol.check(&spec.attack).map_err(blame)?;
    spec.protocol.choices_with(spec.loss).map_err(blame)?;
    spec.attack.check_defence(spec.defence.is_some()).map_err(blame)?;
    if let Some(defence) = &spec.defence {
        let checked = defence.transformation().check();
        checked.map_err(|error| SpecError::new(format!("/spec/defence/{}", error.parameter), error))?;
    }
    let points = spec.points();
    if points > MOST_POINTS {
        let written = serde_json::to_value(&spec.attack).unwrap_or_default();
        let (field, of) = match written.get("queries") {
            Some(_) => ("queries", "one for each question"),
            None => ("steps", "steps times restarts"),
        };
        let twice = if spec.defence.is_some() { ", twice with a defence" } else { "" };
        let detail = format!("the attack would visit {points} points ({of}{twice}): use at most {MOST_POINTS}");
        return Err(SpecError::new(format!("/spec/attack/{field}"), detail));
    }
    Ok(())
}

/// The part that needs no model: in normalised units, the full scale is the model's.
fn budget(spec: &JobSpec) -> Result<(), SpecError> {
    check_bounds(&spec.attack, spec.budget).map_err(blame)?;
    match spec.budget {
        Some(budget) if budget.norm == Norm::Linf && budget.epsilon.unit() != Unit::Normalised => {
            budget.check(1, &[1.; 3]).map_err(|error| SpecError::new("/spec/budget/epsilon", error))
        }
        Some(_) | None => Ok(()),
    }
}

fn transfer(spec: &JobSpec) -> Result<(), SpecError> {
    let names = &spec.transfer_to;
    if names.len() > MOST_TRANSFERS {
        let detail = format!("there are {} models: use at most {MOST_TRANSFERS}", names.len());
        return Err(SpecError::new("/spec/transfer_to", detail));
    }
    match (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        Some(twice) => {
            let detail = format!("{:?} stands there twice: name each model once", names[twice]);
            Err(SpecError::new(format!("/spec/transfer_to/{twice}"), detail))
        }
        None => Ok(()),
    }
}

fn labels(spec: &JobSpec) -> Result<(), SpecError> {
    let refuse = |detail: String| Err(SpecError::new("/spec/labels", detail));
    if spec.labels.len() > MOST_LABELS {
        return refuse(format!("there are {} labels: use at most {MOST_LABELS}", spec.labels.len()));
    }
    for (key, value) in &spec.labels {
        if key.is_empty() || key.chars().count() > MOST_KEY_CHARACTERS {
            return refuse(format!("the key {key:?} has to have 1 to {MOST_KEY_CHARACTERS} characters"));
        }
        if value.chars().count() > MOST_VALUE_CHARACTERS {
            return refuse(format!("the value of {key:?} has more than {MOST_VALUE_CHARACTERS} characters"));
        }
        if key.contains('\0') || value.contains('\0') {
            return refuse(format!("the label {key:?} holds the character U+0000: leave it out"));
        }
    }
    Ok(())
}

pub(super) fn blame(error: AttackError) -> SpecError {
    let pointer = match &error {
        AttackError::Parameter { name, .. } => parameter_pointer(name),
        _ => "/spec/attack".into(),
    };
    SpecError::new(pointer, error)
}

/// The field of a request behind the name of a parameter that an attack refuses.
pub fn parameter_pointer(name: &str) -> String {
    match name {
        "allowed region" => "/allowed_region".into(),
        "target mask" => "/target_mask".into(),
        "reference mask" => "/mask".into(),
        "perturbation" => "/perturbation".into(),
        "criterion" => "/spec/success".into(),
        "norm" => "/spec/budget/norm".into(),
        "budget" | "defence" | "goal" | "loss" | "prompt" | "protocol" => format!("/spec/{name}"),
        _ if name.starts_with("goal/") => format!("/spec/{name}"),
        _ => format!("/spec/attack/{name}"),
    }
}
