//! A defence as it is written on the command line: `jpeg`, `jpeg:quality=50`, `smoothing:deviation=0.1,samples=8`,
//! `prompt_ensemble:prompts=polyp|colonic polyp`.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use crate::oracle::defended::Defence;

/// Reads `KIND[:PARAMETER=VALUE,...]`.
///
/// # Errors
/// A kind or parameter that does not exist, or a value that makes no sense.
pub fn parse(text: &str) -> Result<Defence> {
    let (kind, parameters) = text.split_once(':').unwrap_or((text, ""));
    let mut fields = Map::from_iter([("kind".to_owned(), Value::from(kind))]);
    for parameter in parameters.split(',').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').with_context(|| format!("{parameter:?}: write NAME=VALUE"))?;
        let value = match name {
            "prompts" => value.split('|').map(Value::from).collect(),
            _ => serde_json::from_str(value).with_context(|| format!("{name}: {value:?} is no number"))?,
        };
        fields.insert(name.to_owned(), value);
    }
    let defence: Defence = serde_json::from_value(Value::Object(fields))?;
    defence.transformation().check()?;
    Ok(defence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::defended::{Jpeg, PromptEnsemble, Smoothing};

    #[test]
    fn defences_are_read_with_defaults_and_wrong_ones_explained() {
        assert_eq!(parse("jpeg").unwrap(), Defence::Jpeg(Jpeg::default()));
        let wanted = Defence::Smoothing(Smoothing { deviation: 0.2, samples: 4 });
        assert_eq!(parse("smoothing:deviation=0.2,samples=4").unwrap(), wanted);
        let prompts = vec!["polyp".into(), "colonic polyp".into()];
        let wanted = Defence::PromptEnsemble(PromptEnsemble { prompts });
        assert_eq!(parse("prompt_ensemble:prompts=polyp|colonic polyp").unwrap(), wanted);
        for (wrong, says) in [
            ("prompt_ensemble:prompts=", "a text has 1 to 1000 characters"),
            ("magic", "bit_depth"),
            ("jpeg:quality", "NAME=VALUE"),
            ("jpeg:quality=good", "no number"),
            ("jpeg:quality=0", "1 to 100"),
            ("jpeg:bits=3", "unknown field"),
        ] {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
