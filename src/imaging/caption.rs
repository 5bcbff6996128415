//! Text in pictures: an 8x8 pixel font at twice its size.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};

use super::picture::{Colour, Picture};

const SCALE: usize = 2;
/// Width of a character in pixels.
const ADVANCE: usize = 8 * SCALE;
/// Height of a line in pixels, with the gap to the next.
pub const LINE: usize = 10 * SCALE;

/// Width of a line of text in pixels.
pub fn width(text: &str) -> usize {
    text.chars().count() * ADVANCE
}

/// Breaks `text` into lines of at most `width` pixels, between words where possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let room = (width / ADVANCE).max(1);
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            let used = line.chars().count();
            if used > 0 && used + 1 + length > room {
                lines.push(std::mem::take(&mut line));
            } else if used > 0 {
                line.push(' ');
            }
            for letter in word.chars() {
                if line.chars().count() == room {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(letter);
            }
        }
        lines.push(line);
    }
    lines
}

/// Writes one line with its upper left corner at `(left, top)`; a character without a glyph becomes `?`.
pub fn write(picture: &mut Picture, (left, top): (usize, usize), text: &str, colour: Colour) {
    for (place, letter) in text.chars().enumerate() {
        for (row, bits) in glyph(letter).iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                let corner = (left + place * ADVANCE + column * SCALE, top + row * SCALE);
                picture.fill(corner, (SCALE, SCALE), colour);
            }
        }
    }
}

fn glyph(letter: char) -> [u8; 8] {
    let found = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| GREEK_FONTS.get(letter));
    found.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("original DSC 0.91", 12 * ADVANCE), ["original DSC", "0.91"]);
        assert_eq!(wrap("a\nb", 100), ["a", "b"]);
        assert_eq!(wrap("abcdef", 4 * ADVANCE), ["abcd", "ef"]);
    }

    #[test]
    fn a_letter_leaves_ink_and_an_unknown_one_is_a_question_mark() {
        let ink = |text: &str| {
            let mut picture = Picture::new(ADVANCE, LINE, [0; 3]);
            write(&mut picture, (0, 0), text, [255; 3]);
            picture.finish()
        };
        assert!(ink("A").rgb().contains(&255));
        assert!(!ink(" ").rgb().contains(&255));
        assert_eq!(ink("\u{4e00}"), ink("?"));
        assert_ne!(ink("\u{3b5}"), ink("?"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_letter_is_lost(text in ".{0,80}", room in 1usize..400) {
            let lines = wrap(&text, room);
            prop_assert!(lines.iter().all(|l| l.chars().count() <= (room / ADVANCE).max(1)));
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
