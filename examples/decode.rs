//! What a file becomes when it is read: `decode FILE [FRAME] [OUT.ppm]` prints its size and notes, or why it is
//! refused, and writes the pixels as PPM, which the comparison with pydicom reads.

use segprobe::imaging::{Limits, Selection, decode};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.first() else { anyhow::bail!("usage: decode FILE [FRAME] [OUT.ppm]") };
    let frame = arguments.get(1).map(|number| number.parse()).transpose()?;
    let selection = Selection { frame, window: None };
    match decode::decode_with(&std::fs::read(file)?, &Limits::default(), &selection) {
        Err(refusal) => println!("refused: {refusal}"),
        Ok(read) => {
            let (width, height) = (read.image.width(), read.image.height());
            println!("{} {width}x{height}; {}", read.container, read.notes.join("; "));
            if let Some(out) = arguments.get(2) {
                let head = format!("P6\n{width} {height}\n255\n");
                std::fs::write(out, [head.as_bytes(), read.image.rgb()].concat())?;
            }
        }
    }
    Ok(())
}
