//! Edits of words that leave what is asked for.

/// Words for the same thing, in groups: each may stand for each. Longer ones first where one holds another.
const SAME: &[&[&str]] = &[
    &["colon polyp", "colonic polyp", "colorectal polyp"],
    &["polyp", "polypoid lesion"],
    &["skin lesion", "cutaneous lesion", "lesion of the skin"],
    &["lungs", "lung fields", "both lungs"],
    &["fetal head", "foetal head", "head of the fetus", "fetal skull"],
    &["left ventricle", "left ventricular cavity", "LV"],
    &["left atrium", "left atrial cavity", "LA"],
    &["myocardium", "heart muscle", "myocardial wall"],
    &["heart", "cardiac silhouette"],
    &["cell nuclei", "nuclei of cells", "nuclei"],
    &["retinal blood vessels", "retinal vessels", "blood vessels of the retina"],
    &["optic disc", "optic nerve head"],
    &["breast tumor", "breast tumour", "mammary tumor", "breast mass"],
    &["brain tumor", "brain tumour", "intracranial tumor", "cerebral tumor"],
    &["foot ulcer", "ulcer of the foot", "foot wound"],
    &["kidney", "renal organ"],
    &["liver", "hepatic organ"],
    &["pleural effusion", "fluid in the pleural space"],
    &["lesion", "abnormality"],
    &["tumor", "tumour", "neoplasm", "mass"],
    &["surgical instrument", "surgical tool"],
    &["endoscopic image", "endoscopy picture", "colonoscopy frame"],
    &["ultrasound image", "sonogram"],
    &["chest x-ray", "chest radiograph", "thorax x-ray"],
    &["image", "picture"],
    &["photograph", "photo"],
    &["small", "little"],
    &["large", "big"],
];

const FILLER: &str = "this text was added by a program and says nothing about the picture that was taken on an ordinary day \
                      in an ordinary room by a person who went home afterwards";

/// Each group of words that the prompt has, by each of the others.
pub(super) fn synonyms(prompt: &str) -> Vec<String> {
    let mut texts = vec![];
    for group in SAME {
        let Some(here) = group.iter().find(|words| replaced(prompt, words, "").is_some()) else { continue };
        texts.extend(group.iter().filter(|words| *words != here).filter_map(|words| replaced(prompt, here, words)));
    }
    texts
}

/// The first occurrence of `from` as whole words, in small or capital letters, by `to`.
pub(super) fn replaced(prompt: &str, from: &str, to: &str) -> Option<String> {
    // Same length as the prompt: other letters than ASCII stay as they are.
    let small = prompt.to_ascii_lowercase();
    let from = from.to_ascii_lowercase();
    let is_edge = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    let (at, _) = small.match_indices(&from).find(|(at, _)| {
        is_edge(small[..*at].chars().next_back()) && is_edge(small[at + from.len()..].chars().next())
    })?;
    Some(format!("{}{to}{}", &prompt[..at], &prompt[at + from.len()..]))
}

/// Sentences around the prompt, the first as CLIP was trained with.
pub(super) fn paraphrases(prompt: &str) -> Vec<String> {
    vec![
        format!("a photo of a {prompt}"),
        format!("the {prompt}"),
        format!("{prompt} in a medical image"),
        format!("segment the {prompt}"),
        format!("where is the {prompt}"),
        format!("this picture shows: {prompt}"),
    ]
}

/// Backwards, and with the first word last.
pub(super) fn orders(prompt: &str) -> Vec<String> {
    let words: Vec<&str> = prompt.split_whitespace().collect();
    match words.as_slice() {
        [] | [_] => vec![],
        [first, rest @ ..] => {
            let backwards: Vec<&str> = words.iter().rev().copied().collect();
            vec![backwards.join(" "), format!("{} {first}", rest.join(" "))]
        }
    }
}

/// Filler behind the prompt, before it, and so much before it that a model of 77 tokens never reads the prompt.
pub(super) fn padded(prompt: &str) -> Vec<String> {
    vec![format!("{prompt} {FILLER}"), format!("{FILLER} {prompt}"), format!("{FILLER} {FILLER} {FILLER} {prompt}")]
}
