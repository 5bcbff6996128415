//! The methods as they stand in a request: the one list of their names and types.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    AlmaProx, Apgd, Bim, Boundary, Corruption, Cw, Dag, Dct, DiFgsm, Fgsm, HotFlip, Joint, MiFgsm, Nes, NiFgsm, Noise,
    Padam, Patch, Pgd, Prompt, PromptEmbedding, SegCertify, SmallestEpsilon, Spsa, Square, SquareMask, Strongest,
    TiFgsm, Universal,
};
use super::{Attack, AttackError, Norm, steps};

/// Turns the parameters of a request into those of a method.
pub trait ReadParameters {
    /// Why they cannot be used.
    type Error;

    /// The parameters as a `T`.
    ///
    /// # Errors
    /// Parameters that are none of a `T`.
    fn fit<T: DeserializeOwned>(self, parameters: Map<String, Value>) -> Result<T, Self::Error>;
}

macro_rules! methods {
    ($($(#[$about:meta])* $method:ident $name:literal;)*) => {
        /// A method and its parameters as they stand in a request, for example
        /// `{"method": "pgd", "steps": 40}`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "method")]
        pub enum AttackSpec {
            $($(#[$about])* #[serde(rename = $name)] $method($method),)*
        }

        impl AttackSpec {
            /// The method itself.
            pub fn attack(&self) -> &dyn Attack {
                match self {
                    $(Self::$method(attack) => attack,)*
                }
            }

            /// The name used in requests and reports.
            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$method(_) => $name,)*
                }
            }

            /// The method of a name with its parameters, as `how` reads them; `None` if there is no such method.
            ///
            /// # Errors
            /// Parameters that `how` refuses.
            pub fn read<P: ReadParameters>(
                method: &str,
                parameters: Map<String, Value>,
                how: P,
            ) -> Result<Option<Self>, P::Error> {
                match method {
                    $($name => how.fit(parameters).map(|attack| Some(Self::$method(attack))),)*
                    _ => Ok(None),
                }
            }
        }
    };
}

methods! {
    /// One step: [`Fgsm`].
    Fgsm "fgsm";
    /// Many projected steps: [`Pgd`].
    Pgd "pgd";
    /// PGD from the clean image: [`Bim`].
    Bim "bim";
    /// Momentum: [`MiFgsm`].
    MiFgsm "mi_fgsm";
    /// Momentum that looks ahead: [`NiFgsm`].
    NiFgsm "ni_fgsm";
    /// Diverse inputs: [`DiFgsm`].
    DiFgsm "di_fgsm";
    /// Blurred gradients: [`TiFgsm`].
    TiFgsm "ti_fgsm";
    /// Step length by schedule: [`Apgd`].
    Apgd "apgd";
    /// Adam: [`Padam`].
    Padam "padam";
    /// The worst case over several losses: [`Strongest`].
    Strongest "strongest";
    /// Random search by the objective: [`Square`].
    Square "square";
    /// Random search by the mask alone: [`SquareMask`].
    SquareMask "square_mask";
    /// An estimated gradient, by its sign: [`Nes`].
    Nes "nes";
    /// An estimated gradient, by Adam: [`Spsa`].
    Spsa "spsa";
    /// The control: [`Noise`].
    Noise "noise";
    /// The smallest budget: [`SmallestEpsilon`].
    SmallestEpsilon "smallest_epsilon";
    /// Short steps for the pixels that are still right: [`Dag`].
    Dag "dag";
    /// Distance against success, weighed: [`Cw`].
    Cw "cw";
    /// Low frequencies: [`Dct`].
    Dct "dct";
    /// The smallest perturbation by masks alone: [`Boundary`].
    Boundary "boundary";
    /// What happens to pictures by nature: [`Corruption`].
    Corruption "corruption";
    /// The image as it is, the text changed: [`Prompt`].
    Prompt "prompt";
    /// Some pixels, chosen freely: [`Patch`].
    Patch "patch";
    /// A constraint for each pixel: [`AlmaProx`].
    AlmaProx "alma_prox";
    /// Tokens replaced by gradient: [`HotFlip`].
    HotFlip "hot_flip";
    /// The image as it is, the prompt's embedding moved: [`PromptEmbedding`].
    PromptEmbedding "prompt_embedding";
    /// Image and text in turns: [`Joint`].
    Joint "joint";
    /// One perturbation for many images: [`Universal`].
    Universal "universal";
    /// What no attack can do: [`SegCertify`].
    SegCertify "seg_certify";
}

impl AttackSpec {
    /// Refuses a budget in a norm that the method cannot keep.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] with the name `norm`.
    pub fn check_norm(&self, norm: Norm) -> Result<(), AttackError> {
        let rule = match self.attack().norms() {
            norms if norms.contains(&norm) => return Ok(()),
            [Norm::L2] => "this method works in l2 only: give the budget in l2",
            [Norm::Linf] => "this method works in linf only: give the budget in linf",
            _ => "this method works in linf and l2 only: give the budget in one of these",
        };
        Err(steps::refused("norm", norm.name(), rule))
    }

    /// Refuses a defence before the model, if there is one and the method takes none.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] with the name `defence`.
    pub fn check_defence(&self, defended: bool) -> Result<(), AttackError> {
        if defended && !self.attack().takes_defence() {
            let rule = "this method puts its own noise before the model: leave the defence out";
            return Err(steps::refused("defence", "given", rule));
        }
        Ok(())
    }

    /// [`Attack::points`].
    pub fn points(&self) -> u64 {
        self.attack().points()
    }

    /// [`Attack::variant`].
    pub fn variant(&self) -> Option<String> {
        self.attack().variant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{Epsilon, Unit};

    #[test]
    fn requests_are_read_with_defaults_and_unknown_fields_are_refused() {
        let read = |json: &str| serde_json::from_str::<AttackSpec>(json);
        assert_eq!(read(r#"{"method":"fgsm"}"#).unwrap(), AttackSpec::Fgsm(Fgsm {}));
        assert_eq!(read(r#"{"method":"pgd"}"#).unwrap(), AttackSpec::Pgd(Pgd::default()));
        let bim = read(r#"{"method":"pgd","random_start":false,"alpha":{"value":2,"unit":"pixel255"}}"#).unwrap();
        let alpha = Some(Epsilon::new(2., Unit::Pixel255).unwrap());
        assert_eq!(bim, AttackSpec::Pgd(Pgd { random_start: false, alpha, ..Pgd::default() }));
        assert_eq!(read(&serde_json::to_string(&bim).unwrap()).unwrap(), bim);
        assert!(read(r#"{"method":"pgd","step":3}"#).unwrap_err().to_string().contains("unknown field"));
        assert!(read(r#"{"method":"fgsm","steps":3}"#).is_err());
        assert!(read(r#"{"method":"magic"}"#).is_err());
    }

    #[test]
    fn points_are_counted_without_overflow() {
        let points = |steps, restarts| AttackSpec::Pgd(Pgd { steps, restarts, ..Pgd::default() }).points();
        assert_eq!(AttackSpec::Fgsm(Fgsm {}).points(), 2);
        assert_eq!(points(40, 3), 123);
        assert_eq!(points(usize::MAX, 2), u64::MAX);
    }
}
