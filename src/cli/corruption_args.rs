//! The flags of natural corruptions, shared by the commands that attack one image and many.

use anyhow::{Result, bail};
use clap::Args;

use crate::attack::{AttackSpec, Corruption};
use crate::corruption::{Kinds, Severity};

/// Which corruptions, and how strong.
#[derive(Debug, Clone, Default, Args)]
pub struct CorruptionArgs {
    /// Kind of corruption (gaussian_noise, hair, ...; a wrong name lists all), or a group of which the worst counts
    /// (common, endoscopy, dermoscopy, ultrasound, xray, mri, all); common unless given.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<Kinds>,
    /// Severity of a corruption, from 1 (mild) to 5 (strong); 3 unless given.
    #[arg(long, value_name = "1-5", value_delimiter = ',', value_parser = severity)]
    severity: Vec<Severity>,
}

impl CorruptionArgs {
    /// Every kind at every severity that was asked for.
    pub fn all(&self) -> Vec<AttackSpec> {
        let default = Corruption::default();
        let kinds = if self.kind.is_empty() { &[default.kind][..] } else { &self.kind };
        let severities = if self.severity.is_empty() { &[default.severity][..] } else { &self.severity };
        let at = |kind: Kinds| severities.iter().map(move |severity| Corruption { kind, severity: *severity });
        kinds.iter().copied().flat_map(at).map(AttackSpec::Corruption).collect()
    }

    /// The one corruption that was asked for.
    ///
    /// # Errors
    /// Several kinds or severities.
    pub fn one(&self) -> Result<AttackSpec> {
        match self.all().as_slice() {
            [one] => Ok(one.clone()),
            _ => bail!("--kind and --severity: give one of each, or use segprobe evaluate"),
        }
    }

    /// Refuses these flags where no corruption is used.
    ///
    /// # Errors
    /// The name of such a flag.
    pub fn refuse(&self) -> Result<()> {
        match (self.kind.is_empty(), self.severity.is_empty()) {
            (true, true) => Ok(()),
            (false, _) => bail!("--kind belongs to corruption: leave it out, or add --method corruption"),
            (true, false) => bail!("--severity belongs to corruption: leave it out, or add --method corruption"),
        }
    }
}

fn severity(text: &str) -> Result<Severity> {
    Ok(Severity::try_from(text.parse::<u8>()?)?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        corruption: CorruptionArgs,
    }

    fn parse(flags: &str) -> Result<CorruptionArgs, clap::Error> {
        let all = ["segprobe"].into_iter().chain(flags.split_whitespace());
        Flags::try_parse_from(all).map(|flags| flags.corruption)
    }

    #[test]
    fn kinds_and_severities_multiply() {
        let variants = |flags: &str| -> Vec<String> {
            parse(flags).unwrap().all().iter().filter_map(AttackSpec::variant).collect()
        };
        assert_eq!(variants("--kind hair,jpeg --severity 1,5"), ["hair 1", "hair 5", "jpeg 1", "jpeg 5"]);
        assert_eq!(variants(""), ["common 3"]);
        assert!(parse("--kind hair,jpeg").unwrap().one().is_err());
        assert_eq!(parse("--severity 2").unwrap().one().unwrap().variant().as_deref(), Some("common 2"));
    }

    #[test]
    fn wrong_names_and_severities_are_explained() {
        assert!(parse("--kind fog").err().unwrap().to_string().contains("gaussian_noise"));
        assert!(parse("--severity 6").err().unwrap().to_string().contains("1 (mild) to 5 (strong)"));
        assert!(parse("--severity 1").unwrap().refuse().unwrap_err().to_string().contains("--severity"));
        parse("").unwrap().refuse().unwrap();
    }
}
