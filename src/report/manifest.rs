//! Where a result comes from: enough to repeat it and to compare it byte by byte.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use candle_core::{Device, DeviceLocation};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::evaluation::Artifact;
use crate::evaluation::result::{Asked, SCHEMA_VERSION};
use crate::model::clipseg::LoadError;
use crate::model::{Precision, Source, file_sha256};

/// What `manifest.json` holds. Of its fields only `duration_seconds` differs between two runs of one
/// request on one machine.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Version of the layout, that of the result.
    pub schema_version: u32,
    /// The program.
    pub code: Code,
    /// The model.
    pub model: ModelIdentity,
    /// The other models that the attack was shown to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transfer_to: Vec<ModelIdentity>,
    /// SHA-256 of each input file's bytes, by its role: `image`, `mask`, ...
    pub inputs: BTreeMap<String, String>,
    /// What was asked for, the prompt and the seed included.
    pub request: Asked,
    /// Where it was computed.
    pub machine: Machine,
    /// SHA-256 of each file that was written, by its name.
    pub artifacts: BTreeMap<String, String>,
    /// Wall-clock time of the attack.
    pub duration_seconds: f64,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Version)]
pub struct Code {
    /// The program's name.
    #[schema(value_type = String)]
    pub name: &'static str,
    /// Its version.
    #[schema(value_type = String)]
    pub version: &'static str,
    /// The commit it was built from, if the build had it in `SEGPROBE_COMMIT`.
    #[schema(value_type = Option<String>)]
    pub commit: Option<&'static str>,
}

/// The model and its weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelIdentity {
    /// Name of the model.
    pub name: String,
    /// SHA-256 of the weights file.
    pub weights_sha256: String,
    /// SHA-256 of the adapter file, if there is one.
    pub adapter_sha256: Option<String>,
}

/// Where it was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// `cpu`, or `cuda:0` and so on.
    pub device: String,
    /// Arithmetic of the attack's steps; what is reported was computed in f32.
    pub dtype: &'static str,
    /// Threads for tensor operations.
    pub threads: usize,
    /// Processor architecture and operating system.
    pub platform: String,
}

impl ModelIdentity {
    /// The identity of a model that came from `source` with the adapters of a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(name: &str, source: &Source, adapter: Option<&Path>) -> Result<Self, LoadError> {
        Ok(Self {
            name: name.into(),
            weights_sha256: source.weights_sha256()?,
            adapter_sha256: adapter.map(file_sha256).transpose()?,
        })
    }
}

impl Code {
    /// This program.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("SEGPROBE_COMMIT"),
        }
    }
}

impl Machine {
    /// This machine, with the model on `device` and steps in `precision`.
    pub fn this(device: &Device, precision: Precision) -> Self {
        let device = match device.location() {
            DeviceLocation::Cpu => "cpu".into(),
            DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
            DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
        };
        Self {
            device,
            dtype: precision.name(),
            threads: rayon::current_num_threads(),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

impl Manifest {
    /// The manifest of files that are about to be written.
    pub fn new(
        (model, transfer_to, machine): (ModelIdentity, Vec<ModelIdentity>, Machine),
        inputs: BTreeMap<String, String>,
        (request, duration): (&Asked, Duration),
        artifacts: &[Artifact],
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            code: Code::this(),
            model,
            transfer_to,
            inputs,
            request: request.clone(),
            machine,
            artifacts: artifacts.iter().map(|a| (a.name.clone(), sha256(&a.bytes))).collect(),
            duration_seconds: duration.as_secs_f64(),
        }
    }
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_machine_names_its_device() {
        let machine = Machine::this(&Device::Cpu, Precision::F32);
        assert_eq!(machine.device, "cpu");
        assert!(machine.threads > 0);
    }
}
