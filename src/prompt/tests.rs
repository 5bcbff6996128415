//! Edits as a person would check them.

use proptest::prelude::*;

use super::*;

fn of(family: Family, prompt: &str) -> Vec<String> {
    edits(prompt, &[family], |_| [3; 32]).into_iter().map(|edit| edit.text).collect()
}

/// Letters to insert, delete, replace or swap to get from one text to the other (optimal string alignment).
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(table[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    table[a.len()][b.len()]
}

#[test]
fn a_typo_is_one_slip() {
    for prompt in ["polyp", "skin lesion", "Fetal Head", "cell nuclei"] {
        let texts = of(Family::Typo, prompt);
        assert!(texts.len() >= 4, "{texts:?}");
        assert!(texts.iter().all(|text| slips(prompt, text) == 1), "{texts:?}");
    }
    assert!(of(Family::Typo, "ab 12").is_empty());
}

#[test]
fn homoglyphs_look_the_same_and_are_not() {
    let texts = of(Family::Homoglyph, "polyp");
    assert_eq!(texts[0], "роӏур");
    assert!(texts.iter().all(|text| text.chars().count() == 5 && !text.is_ascii()), "{texts:?}");
    assert!(texts[1..].iter().all(|text| text.chars().filter(|c| !c.is_ascii()).count() == 1), "{texts:?}");
    assert!(of(Family::Homoglyph, "BMW 12").is_empty());
}

#[test]
fn words_are_replaced_as_whole_words() {
    assert_eq!(of(Family::Synonym, "polyp"), ["polypoid lesion"]);
    assert!(of(Family::Synonym, "a Skin Lesion here").contains(&"a cutaneous lesion here".into()));
    assert!(of(Family::Synonym, "polyps").is_empty(), "part of a word is another word");
    assert_eq!(wording::replaced("ärztin left", "left", "right").as_deref(), Some("ärztin right"));
    assert_eq!(wording::replaced("cleft", "left", "right"), None);
}

#[test]
fn places_and_attributes_are_swapped_where_there_are_any() {
    assert_eq!(of(Family::Location, "left ventricle"), ["right ventricle"]);
    assert_eq!(of(Family::Attribute, "one small polyp"), ["one large polyp", "several small polyp"]);
    assert_eq!(of(Family::Location, "polyp").len(), 6);
    assert_eq!(of(Family::Attribute, "polyp")[..2], ["small polyp", "large polyp"]);
}

#[test]
fn another_structure_is_never_the_one_that_is_asked_for() {
    for (prompt, forbidden) in
        [("a polyp", "polyp"), ("melanocytic skin lesion", "skin"), ("lung", "lungs"), ("LV", "left")]
    {
        let texts = of(Family::WrongStructure, prompt);
        assert_eq!(texts.len(), 5);
        assert!(texts.iter().all(|text| !text.contains(forbidden)), "{prompt}: {texts:?}");
    }
}

#[test]
fn the_order_of_words_changes_and_the_words_do_not() {
    assert_eq!(of(Family::WordOrder, "head of fetus"), ["fetus of head", "of fetus head"]);
    assert_eq!(of(Family::WordOrder, "skin lesion"), ["lesion skin"]);
    assert!(of(Family::WordOrder, "polyp").is_empty());
}

#[test]
fn what_keeps_the_meaning_counts_unless_nothing_does() {
    assert!(Edits::All.count(Family::Typo) && !Edits::All.count(Family::Empty));
    assert!(Edits::Changing.count(Family::Empty) && Edits::One(Family::Negation).count(Family::Negation));
    assert_eq!(Edits::Keeping.families().len() + Edits::Changing.families().len(), Family::ALL.len());
    for edits in Edits::every() {
        assert_eq!(edits.name().parse::<Edits>().unwrap(), edits);
        assert_eq!(serde_json::from_value::<Edits>(serde_json::to_value(edits).unwrap()).unwrap(), edits);
    }
    for family in Family::ALL {
        assert_eq!(serde_json::to_value(family).unwrap(), family.name());
    }
    assert!("rhyme".parse::<Edits>().unwrap_err().to_string().contains("word_order"));
}

#[test]
fn the_measure_weighs_families_and_says_when_text_does_not_matter() {
    let tried = |family, text, dsc, consistency| Tried { family, text, dsc, consistency };
    let all = [
        tried(Family::Typo, "poylp", 0.8, 0.9),
        tried(Family::Typo, "polp", 0.2, 0.3),
        tried(Family::Case, "POLYP", 0.9, 1.),
        tried(Family::Empty, "", 0.85, 0.95),
    ];
    let found = PromptSensitivity::new(&all).unwrap();
    assert!((found.fragility.unwrap() - 0.2).abs() < 1e-12 && (found.use_of_text.unwrap() - 0.05).abs() < 1e-12);
    let typo = &found.families[0];
    assert_eq!((typo.prompts, typo.lowest_dsc, typo.lowest_consistency), (2, 0.2, 0.3));
    assert_eq!(typo.farthest_prompt, "polp");
    assert!(found.notes()[0].contains("hardly depends on the text"));
    let only = PromptSensitivity::new(&all[3..]).unwrap();
    assert_eq!((only.fragility, only.notes().len()), (None, 2));
    assert_eq!(PromptSensitivity::new(&[]), None);
}

proptest! {
    #[test]
    fn any_prompt_has_a_bounded_number_of_distinct_edits(prompt in "\\PC{0,60}", key in any::<[u8; 32]>()) {
        let all = edits(&prompt, &Family::ALL, |_| key);
        prop_assert!(all.len() <= Edits::All.most());
        let texts: BTreeSet<&str> = all.iter().map(|edit| edit.text.as_str()).collect();
        prop_assert!(texts.len() == all.len() && !texts.contains(prompt.as_str()));
        prop_assert_eq!(&all, &edits(&prompt, &Family::ALL, |_| key));
        for family in Family::ALL {
            prop_assert!(all.iter().filter(|edit| edit.family == family).count() <= family.most());
        }
    }
}
