//! Methods that see no gradient: the objective, or nothing but masks.

use super::{Entry, Paper, ThreatModel};
use crate::attack::schema::Parameters;
use crate::attack::{Attack, Boundary, Nes, Noise, Spsa, Square, SquareMask, Universal};

const SQUARE: Paper = Paper {
    title: "Andriushchenko et al.: Square Attack: a Query-Efficient Black-Box Adversarial Attack via Random Search (2020)",
    arxiv: "1912.00049",
};

/// The methods, the control first.
pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry {
            parameters: Parameters::of::<Noise>("noise"),
            title: "Noise: the worst of many random draws, the control of every attack",
            paper: Paper { title: "Carlini et al.: On Evaluating Adversarial Robustness (2019)", arxiv: "1902.06705" },
            threat_model: ThreatModel::Score,
            norms: Noise::default().norms(),
            steps_cost: "queries",
        },
        Entry {
            parameters: Parameters::of::<Square>("square"),
            title: "Square Attack: random squares, kept if the objective rises",
            paper: SQUARE,
            threat_model: ThreatModel::Score,
            norms: Square::default().norms(),
            steps_cost: "queries",
        },
        Entry {
            parameters: Parameters::of::<SquareMask>("square_mask"),
            title: "Square search by the mask: random squares, kept unless the mask gets better",
            paper: SQUARE,
            threat_model: ThreatModel::Decision,
            norms: SquareMask::default().norms(),
            steps_cost: "queries",
        },
        Entry {
            parameters: Parameters::of::<Boundary>("boundary"),
            title: "Boundary attack: a walk along the edge of success, towards the smallest perturbation, by the mask",
            paper: Paper {
                title: "Brendel, Rauber, Bethge: Decision-Based Adversarial Attacks: Reliable Attacks Against \
                        Black-Box Machine Learning Models (2018)",
                arxiv: "1712.04248",
            },
            threat_model: ThreatModel::Decision,
            norms: Boundary::default().norms(),
            steps_cost: "queries, or starts if none of them succeeds",
        },
        Entry {
            parameters: Parameters::of::<Nes>("nes"),
            title: "NES: steps along a gradient estimated from Gaussian probes",
            paper: Paper {
                title: "Ilyas et al.: Black-box Adversarial Attacks with Limited Queries and Information (2018)",
                arxiv: "1804.08598",
            },
            threat_model: ThreatModel::Score,
            norms: Nes::default().norms(),
            steps_cost: "queries, less one if odd: 2 * samples for each step, and 2",
        },
        Entry {
            parameters: Parameters::of::<Spsa>("spsa"),
            title: "SPSA: Adam along a gradient estimated from probes of random signs",
            paper: Paper {
                title: "Uesato et al.: Adversarial Risk and the Dangers of Evaluating Against Weak Attacks (2018)",
                arxiv: "1802.05666",
            },
            threat_model: ThreatModel::Score,
            norms: Spsa::default().norms(),
            steps_cost: "queries, less one if odd: 2 * samples for each step, and 2",
        },
        Entry {
            parameters: Parameters::of::<Universal>("universal"),
            title: "Universal: one perturbation for many images, trained beforehand and only added",
            paper: Paper {
                title: "Moosavi-Dezfooli et al.: Universal Adversarial Perturbations (2017)",
                arxiv: "1610.08401",
            },
            threat_model: ThreatModel::Transfer,
            norms: Universal::default().norms(),
            steps_cost: "1",
        },
    ]
}
