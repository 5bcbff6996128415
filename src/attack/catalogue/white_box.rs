//! Methods that follow gradients.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Entry, Paper, ThreatModel};
use crate::attack::schema::Parameters;
use crate::attack::{Apgd, Attack, Bim, Dct, DiFgsm, Fgsm, Joint, MiFgsm, NiFgsm, Padam, Pgd, Strongest, TiFgsm};

/// A method with the parameters and norms of a `T`.
fn entry<T: Attack + ToSchema + Default + Serialize>(
    method: &'static str,
    title: &'static str,
    paper: Paper,
    steps_cost: &'static str,
) -> Entry {
    let (parameters, norms) = (Parameters::of::<T>(method), T::default().norms());
    Entry { parameters, title, paper, threat_model: ThreatModel::WhiteBox, norms, steps_cost }
}

/// The methods, the quickest first.
pub(super) fn entries() -> Vec<Entry> {
    vec![
        entry::<Fgsm>(
            "fgsm",
            "FGSM: one step along the sign of the gradient",
            Paper {
                title: "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples (2015)",
                arxiv: "1412.6572",
            },
            "2",
        ),
        entry::<Pgd>(
            "pgd",
            "PGD: many projected gradient steps (BIM without the random start)",
            Paper {
                title: "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks (2018)",
                arxiv: "1706.06083",
            },
            "restarts * (steps + 1)",
        ),
        entry::<Bim>(
            "bim",
            "BIM: projected gradient steps from the clean image",
            Paper {
                title: "Kurakin, Goodfellow, Bengio: Adversarial Examples in the Physical World (2017)",
                arxiv: "1607.02533",
            },
            "steps + 1",
        ),
        entry::<MiFgsm>(
            "mi_fgsm",
            "MI-FGSM: steps along a running sum of gradients",
            Paper { title: "Dong et al.: Boosting Adversarial Attacks with Momentum (2018)", arxiv: "1710.06081" },
            "steps + 1",
        ),
        entry::<NiFgsm>(
            "ni_fgsm",
            "NI-FGSM: momentum that takes the gradient ahead of itself",
            Paper {
                title: "Lin et al.: Nesterov Accelerated Gradient and Scale Invariance for Adversarial Attacks (2020)",
                arxiv: "1908.06281",
            },
            "steps + 1",
        ),
        entry::<TiFgsm>(
            "ti_fgsm",
            "TI-FGSM: steps along the blurred gradient",
            Paper {
                title: "Dong et al.: Evading Defenses to Transferable Adversarial Examples by Translation-Invariant \
                        Attacks (2019)",
                arxiv: "1904.02884",
            },
            "steps + 1",
        ),
        entry::<DiFgsm>(
            "di_fgsm",
            "DI-FGSM: gradients at shrunk and shifted copies of the image",
            Paper {
                title: "Xie et al.: Improving Transferability of Adversarial Examples with Input Diversity (2019)",
                arxiv: "1803.06978",
            },
            "steps + 1",
        ),
        entry::<Apgd>(
            "apgd",
            "APGD: gradient steps whose length follows the loss",
            Paper {
                title: "Croce, Hein: Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse \
                            Parameter-free Attacks (2020)",
                arxiv: "2003.01690",
            },
            "restarts * (steps + 1), and 2 more per restart with radius_reduction",
        ),
        entry::<Padam>(
            "padam",
            "PAdam: steps of Adam, projected",
            Paper {
                title: "Halmosi, Mohos, Jelasity: Evaluating the Adversarial Robustness of Semantic Segmentation: \
                        Trying Harder Pays Off (2024)",
                arxiv: "2407.09150",
            },
            "steps + 1",
        ),
        entry::<Dct>(
            "dct",
            "DCT: steps in the lowest frequencies",
            Paper {
                title: "Guo, Frank, Weinberger: Low Frequency Adversarial Perturbation (2019)",
                arxiv: "1809.08758",
            },
            "steps + 1",
        ),
        entry::<Strongest>(
            "strongest",
            "Strongest: the worst case of several attacks and losses",
            Paper {
                title: "Croce, Singh, Hein: Towards Reliable Evaluation and Fast Training of Robust Semantic \
                        Segmentation Models (2024)",
                arxiv: "2306.12941",
            },
            "at most starts * (steps + 1) for each member (fgsm: 2, bim, mi_fgsm and padam once), 2 more with radius_reduction",
        ),
        entry::<Joint>(
            "joint",
            "Joint: PGD on the image and the worst edit of the prompt in turns",
            Paper {
                title: "Zhang, Yi, Sang: Towards Adversarial Attack on Vision-Language Pre-training Models (2022)",
                arxiv: "2206.09391",
            },
            "steps + 1, and for each round at most edits of the prompt + steps + 2",
        ),
    ]
}
