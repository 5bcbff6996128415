//! Methods without a budget: what happens to pictures by nature, what noise can prove, other texts, and patches.

use super::{Entry, Paper, ThreatModel};
use crate::attack::schema::Parameters;
use crate::attack::{Attack, Corruption, HotFlip, Patch, Prompt, PromptEmbedding, SegCertify};

/// The methods, the quicker first.
pub(super) fn entries() -> Vec<Entry> {
    vec![
        Entry {
            parameters: Parameters::of::<Corruption>("corruption"),
            title: "Natural corruptions: noise, blur, artefacts of the modality; the worst of a group",
            paper: Paper {
                title: "Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and \
                        Perturbations (2019)",
                arxiv: "1903.12261",
            },
            threat_model: ThreatModel::Natural,
            norms: Corruption::default().norms(),
            steps_cost: "number of kinds in the group, or 1",
        },
        Entry {
            parameters: Parameters::of::<SegCertify>("seg_certify"),
            title: "SegCertify: the pixels that keep their class under every small change",
            paper: Paper {
                title: "Fischer, Baader, Vechev: Scalable Certified Segmentation via Randomized Smoothing (2021)",
                arxiv: "2107.00228",
            },
            threat_model: ThreatModel::Natural,
            norms: SegCertify::default().norms(),
            steps_cost: "choose + samples",
        },
        Entry {
            parameters: Parameters::of::<Prompt>("prompt"),
            title: "Prompt edits: typos, synonyms, other structures; the worst, and how much the text matters",
            paper: Paper {
                title: "Ribeiro et al.: Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (2020)",
                arxiv: "2005.04118",
            },
            threat_model: ThreatModel::Prompt,
            norms: Prompt::default().norms(),
            steps_cost: "edits of the prompt, and for each further round those of beam texts",
        },
        Entry {
            parameters: Parameters::of::<Patch>("patch"),
            title: "Patch: some pixels, chosen freely, scored by all the others",
            paper: Paper { title: "Brown et al.: Adversarial Patch (2017)", arxiv: "1712.09665" },
            threat_model: ThreatModel::WhiteBox,
            norms: Patch::default().norms(),
            steps_cost: "steps + 2; each step asks for samples gradients",
        },
        Entry {
            parameters: Parameters::of::<HotFlip>("hot_flip"),
            title: "HotFlip: tokens of the prompt replaced by gradient; the worst text that can be typed",
            paper: Paper {
                title: "Ebrahimi et al.: HotFlip: White-Box Adversarial Examples for Text Classification (2018)",
                arxiv: "1712.06751",
            },
            threat_model: ThreatModel::Prompt,
            norms: HotFlip::default().norms(),
            steps_cost: "at most candidates * (1 + (flips - 1) * beam)",
        },
        Entry {
            parameters: Parameters::of::<PromptEmbedding>("prompt_embedding"),
            title: "Prompt embedding: PGD on what the text encoder makes of the prompt; a bound on texts near it",
            paper: Paper {
                title: "Miyato, Dai, Goodfellow: Adversarial Training Methods for Semi-Supervised Text Classification (2017)",
                arxiv: "1605.07725",
            },
            threat_model: ThreatModel::Prompt,
            norms: PromptEmbedding::default().norms(),
            steps_cost: "steps + 1",
        },
    ]
}
