//! A DICOM file: its pixels are attacked, its patient is forgotten.

use anyhow::ensure;

use crate::harness::{Answer, Checked, Options, Service, Submission, pictures, text};
use crate::submit::files_below;

const WIDTH: u16 = 64;
const HEIGHT: u16 = 48;
/// Words that stand in the file's tags and must not get out of it.
const PATIENT: [&str; 4] = ["QUUXWORTHY", "PID-83914477", "19470229", "ST-ELSEWHERE-HOSPITAL"];

/// The value at a pixel: a ramp from 0 to 3780.
fn value(x: u16, y: u16) -> u16 {
    x * 60 + y
}

/// A minimal CT-like file: explicit VR, little endian, one frame of 12 bits in 16, a window of 1000..3000.
fn file() -> Vec<u8> {
    let mut meta = vec![];
    element(&mut meta, (2, 1), b"OB", &[0, 1]);
    element(&mut meta, (2, 2), b"UI", b"1.2.840.10008.5.1.4.1.1.7");
    element(&mut meta, (2, 3), b"UI", b"1.2.826.0.1.3680043.10.1");
    element(&mut meta, (2, 0x10), b"UI", b"1.2.840.10008.1.2.1");
    element(&mut meta, (2, 0x12), b"UI", b"1.2.826.0.1.3680043.10.2");
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM");
    element(&mut bytes, (2, 0), b"UL", &(meta.len() as u32).to_le_bytes());
    bytes.extend(meta);

    element(&mut bytes, (8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.7");
    element(&mut bytes, (8, 0x18), b"UI", b"1.2.826.0.1.3680043.10.1");
    element(&mut bytes, (8, 0x80), b"LO", PATIENT[3].as_bytes());
    element(&mut bytes, (0x10, 0x10), b"PN", format!("{}^JANE", PATIENT[0]).as_bytes());
    element(&mut bytes, (0x10, 0x20), b"LO", PATIENT[1].as_bytes());
    element(&mut bytes, (0x10, 0x30), b"DA", PATIENT[2].as_bytes());
    let short = |bytes: &mut Vec<u8>, tag, value: u16| element(bytes, tag, b"US", &value.to_le_bytes());
    short(&mut bytes, (0x28, 2), 1);
    element(&mut bytes, (0x28, 4), b"CS", b"MONOCHROME2");
    short(&mut bytes, (0x28, 0x10), HEIGHT);
    short(&mut bytes, (0x28, 0x11), WIDTH);
    short(&mut bytes, (0x28, 0x100), 16);
    short(&mut bytes, (0x28, 0x101), 12);
    short(&mut bytes, (0x28, 0x102), 11);
    short(&mut bytes, (0x28, 0x103), 0);
    element(&mut bytes, (0x28, 0x1050), b"DS", b"2000");
    element(&mut bytes, (0x28, 0x1051), b"DS", b"2000");
    let pixels = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| value(x, y).to_le_bytes()));
    element(&mut bytes, (0x7fe0, 0x10), b"OW", &pixels.collect::<Vec<_>>());
    bytes
}

/// Appends a data element (PS3.5 7.1.2), padded to an even length.
fn element(bytes: &mut Vec<u8>, (group, number): (u16, u16), kind: &[u8; 2], content: &[u8]) {
    let length = content.len() + content.len() % 2;
    bytes.extend(group.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(kind);
    match kind {
        b"OB" | b"OW" => {
            bytes.extend([0, 0]);
            bytes.extend((length as u32).to_le_bytes());
        }
        _ => bytes.extend((length as u16).to_le_bytes()),
    }
    bytes.extend(content);
    if content.len() % 2 == 1 {
        bytes.push(if kind == b"UI" || kind == b"OB" { 0 } else { b' ' });
    }
}

fn check_levels(png: &[u8], (center, width): (f64, f64)) -> Checked {
    let image = pictures::pixels(png)?;
    ensure!((image.width(), image.height()) == (usize::from(WIDTH), usize::from(HEIGHT)));
    for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))) {
        // PS3.3 C.11.2.1.2.1
        let share = ((f64::from(value(x, y)) - (center - 0.5)) / (width - 1.) + 0.5).clamp(0., 1.);
        let [red, green, blue] = image.pixel(x.into(), y.into());
        ensure!(red == green && green == blue && (f64::from(red) - share * 255.).abs() <= 1., "{x} {y}: {red}");
    }
    Ok(())
}

#[tokio::test]
async fn the_window_is_applied_and_the_patient_is_forgotten() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let scan = Submission::fgsm().picture("image", file());
    let ended = client.succeed(&scan.clone().with("/labels/case", "7")).await?;
    ensure!(ended["inputs"]["image"]["format"] == "dicom", "{ended}");
    let id = text(&ended, "id");
    check_levels(&client.artifact(id, "original.png").await?, (2000., 2000.))?;
    ensure!(client.artifact(id, "adversarial.png").await?.starts_with(b"\x89PNG"), "it is saved as PNG");

    let mut told = vec![ended.to_string().into_bytes(), service.log().into_bytes()];
    for path in [String::from("/attacks"), format!("/attacks/{id}/artifacts"), format!("/attacks/{id}/artifacts.zip")] {
        told.push(Answer::to(client.get(&path)).await?.with_status(200)?.body.to_vec());
    }
    for name in ["manifest.json", "result.json", "overlay.png"] {
        told.push(client.artifact(id, name).await?);
    }
    told.push(Answer::to(client.get(&format!("/attacks/{id}/events"))).await?.body.to_vec());
    for path in files_below(&service.data())? {
        told.push(std::fs::read(path)?);
    }
    for word in PATIENT {
        let found = told.iter().any(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()));
        ensure!(!found, "{word} got out");
    }

    let bone = serde_json::json!({"center": 500, "width": 400});
    let windowed = client.succeed(&scan.with("/window", bone)).await?;
    check_levels(&client.artifact(text(&windowed, "id"), "original.png").await?, (500., 400.))?;
    service.finish().await
}

#[tokio::test]
async fn a_damaged_file_is_refused_without_a_word_about_the_patient() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let whole = file();
    let far = Submission::fgsm().picture("image", whole.clone()).with("/frame", 5);
    let cut = Submission::fgsm().picture("image", whole[..whole.len() - 99].to_vec());
    let tags_only = Submission::fgsm().picture("image", whole[..500].to_vec());
    let refused = [(far, 422, "invalid"), (cut, 422, "invalid"), (tags_only, 415, "unsupported-media-type")];
    for (wrong, status, slug) in refused {
        let problem = Answer::to(client.attack(&wrong)).await?.problem(status, slug)?.to_string();
        ensure!(!PATIENT.iter().any(|word| problem.contains(word)), "{problem}");
    }
    let log = service.log();
    ensure!(!PATIENT.iter().any(|word| log.contains(word)), "the log names the patient");
    service.finish().await
}
