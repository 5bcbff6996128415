//! Rows that are asked about other texts than their own prompt.

use super::*;
use crate::oracle::Text;

#[test]
fn a_row_answers_under_any_prompt_as_a_row_of_that_prompt_does() {
    let (engine, signals) = engine(Toy::default());
    let (x, measure) = (noise(5, 9, 7), Measure::default());
    let mut other = open(&engine, "spleen", Loss::DiceCe);
    let (loss, logits) = other.loss(&x).unwrap();
    let wanted = other.loss_and_gradient(&x).unwrap();
    drop(other);
    let mut row = open(&engine, "kidney", Loss::DiceCe);
    let own = row.loss(&x).unwrap().0;
    let spleen = Text::Prompt("spleen".into());
    let (found, again) = row.loss_under(&spleen, &x, &measure).unwrap();
    assert_eq!((found.to_bits(), bits(&again)), (loss.to_bits(), bits(&logits)));
    let answer = row.gradient_under(&spleen, &x, &measure).unwrap();
    assert_eq!((answer.loss, bits(&answer.gradient)), (wanted.loss, bits(&wanted.gradient)));
    // the vector in the place of the prompt
    let vector = Text::Embedding(row.embedding("spleen").unwrap());
    assert_eq!(row.loss_under(&vector, &x, &measure).unwrap().0.to_bits(), loss.to_bits());
    assert_eq!(row.loss(&x).unwrap().0.to_bits(), own.to_bits(), "its own prompt stays");
    assert_eq!(signals.prompts.load(Ordering::SeqCst), 2, "each prompt is encoded once");
    assert!(matches!(row.loss_under(&Text::Prompt(String::new()), &x, &measure), Err(OracleError::Prompt(_))));
}

#[test]
fn a_gradient_to_a_text_is_never_missing_in_silence() {
    let (engine, signals) = engine(Toy::default());
    let (x, measure) = (noise(5, 9, 7), Measure::default());
    let spec = spec(&engine, "kidney", Loss::Bce);
    let cancel = spec.cancel.clone();
    let mut row = engine.open(spec).unwrap();
    let vector = Text::Embedding(row.embedding("kidney").unwrap());
    let refused = row.text_gradient(&vector, &x, &measure).unwrap_err();
    assert!(matches!(&refused, OracleError::Gradient(why) if why.contains("none to its text")), "{refused}");
    let unread = row.text_gradient(&Text::Prompt("kidney".into()), &x, &measure).unwrap_err();
    assert!(matches!(&unread, OracleError::Prompt(why) if why.contains("as tokens")), "{unread}");
    assert!(row.loss(&x).is_ok(), "the row lives on");
    assert_eq!(signals.calls.load(Ordering::SeqCst), 1);
    cancel.cancel();
    assert!(matches!(row.text_gradient(&vector, &x, &measure), Err(OracleError::Cancelled)));
}
