//! Methods that look for the smallest perturbation that suffices.

use super::{Entry, Paper, ThreatModel};
use crate::attack::schema::Parameters;
use crate::attack::{AlmaProx, Attack, Cw, Dag, SmallestEpsilon};

/// The methods, the quickest first.
pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry {
            parameters: Parameters::of::<Dag>("dag"),
            title: "DAG: short steps for the pixels that are still right, until enough are wrong",
            paper: Paper {
                title: "Xie et al.: Adversarial Examples for Semantic Segmentation and Object Detection (2017)",
                arxiv: "1703.08603",
            },
            threat_model: ThreatModel::WhiteBox,
            norms: Dag::default().norms(),
            steps_cost: "at most steps + 1",
        },
        Entry {
            parameters: Parameters::of::<SmallestEpsilon>("smallest_epsilon"),
            title: "Smallest epsilon: bisection with warm-started PGD, down to the budget that just suffices",
            paper: Paper { title: "Carlini et al.: On Evaluating Adversarial Robustness (2019)", arxiv: "1902.06705" },
            threat_model: ThreatModel::WhiteBox,
            norms: SmallestEpsilon::default().norms(),
            steps_cost: "at most rounds * steps + 1",
        },
        Entry {
            parameters: Parameters::of::<Cw>("cw"),
            title: "C&W: length against success, with a search over their weights",
            paper: Paper {
                title: "Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks (2017)",
                arxiv: "1608.04644",
            },
            threat_model: ThreatModel::WhiteBox,
            norms: Cw::default().norms(),
            steps_cost: "rounds * steps + 1",
        },
        Entry {
            parameters: Parameters::of::<AlmaProx>("alma_prox"),
            title: "ALMA prox: the smallest perturbation under a constraint for each pixel",
            paper: Paper {
                title: "Rony, Pesquet, Ben Ayed: Proximal Splitting Adversarial Attacks for Semantic Segmentation (2023)",
                arxiv: "2206.07179",
            },
            threat_model: ThreatModel::WhiteBox,
            norms: AlmaProx::default().norms(),
            steps_cost: "steps + 1",
        },
    ]
}
