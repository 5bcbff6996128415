//! What a perturbation does to images, beside its controls at the same budget.

use std::sync::Arc;

use super::figures::{Figures, IMAGE_SPECIFIC, TRAINED};
use super::{Plan, Split, controls};
use crate::attack::universal::{About, PerturbationError};
use crate::attack::{Apgd, AttackSpec, Unit, Universal, UniversalPerturbation};
use crate::engine::Engine;
use crate::evaluation::{Case, Grid, GridRow, Named, Planned, RunError, run_grid};

/// The other ends of the scale, and how many attacks run at once.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Steps of APGD on each held-out image: what a perturbation made for that image alone can do; none if 0.
    pub apgd_steps: usize,
    /// Attacks that run at once.
    pub jobs: usize,
}

/// What a perturbation does to three kinds of images.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The images it was trained on, without controls.
    pub training: Figures,
    /// Images of the same data sets that it has never seen, with all controls.
    pub held_out: Figures,
    /// Images of other data sets, under other prompts, without controls; none if there are none.
    pub transfer: Figures,
}

/// Why a perturbation could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// A control cannot be used.
    #[error(transparent)]
    Perturbation(#[from] PerturbationError),
    /// The plan makes no sense, or a tensor operation failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Applies a perturbation to all images of a split. Every image is attacked at its own size and scored on its 8-bit
/// file.
///
/// # Errors
/// A budget that makes no sense. An image that fails has the reason in the figures.
pub fn measure(
    engine: &Engine,
    split: &Split,
    (perturbation, plan): (&UniversalPerturbation, &Plan),
    ends: Ends,
) -> Result<Measured, MeasureError> {
    let budget = plan.budget().map_err(RunError::from)?;
    let column = |attack: AttackSpec| Planned::bounded(attack, budget, plan.epsilon.in_unit(Unit::Pixel255, &[1.; 3]));
    let applied = |name: &str, perturbation: UniversalPerturbation| Planned {
        perturbation: Some(Named { name: name.into(), perturbation: Arc::new(perturbation) }),
        ..column(AttackSpec::Universal(Universal {}))
    };
    let trained = || vec![applied(TRAINED, perturbation.clone())];
    let mut beside = trained();
    let made = controls::all(perturbation.delta(), perturbation.about().epsilon(), plan.seed);
    for (name, control) in made.map_err(RunError::from)? {
        let about = About { method: name.into(), ..perturbation.about().clone() };
        beside.push(applied(name, UniversalPerturbation::new(&control, about)?));
    }
    if ends.apgd_steps > 0 {
        beside.push(column(AttackSpec::Apgd(Apgd { steps: ends.apgd_steps, ..Apgd::default() })));
    }
    let rows = |cases: &[Case], attacks: Vec<Planned>| -> Vec<GridRow> {
        let (loss, seed, jobs) = (Some(plan.loss), plan.seed, ends.jobs);
        let grid = Grid { attacks, loss, seed, jobs, ..Grid::default() };
        run_grid(engine, cases, &grid, None, &|| ())
    };
    Ok(Measured {
        training: Figures::new(&rows(&split.training, trained())),
        held_out: Figures::new(&rows(&split.held_out, beside)),
        transfer: Figures::new(&rows(&split.transfer, trained())),
    })
}

/// The name of a column: what was applied, or the attack on each image.
pub(super) fn name(row: &GridRow) -> String {
    match &row.variant {
        Some(variant) => variant.clone(),
        None => format!("{} {IMAGE_SPECIFIC}", row.method),
    }
}
