//! Comments put into a file that is already written: its packets' blocks get one option more, and every other
//! octet stays what it is.

use std::io::{self, Read, Write};

use super::{COMMENT, END, PACKET, SECTION, shortened};

/// Longest block that is believed; what [`super::Writer`] writes is far shorter.
const BLOCK_MAX: usize = 16 << 20;
/// Kind and length before a block's body.
const HEAD: usize = 8;
/// Where in a packet's block its length as kept is told, and where it begins.
const KEPT: usize = 20;
const BYTES: usize = 28;
/// `Byte-Order Magic`, as this machine writes it.
const ORDER: u32 = 0x1a2b_3c4d;

/// Copies a file that [`super::Writer`] has written; `comment` is asked about each packet by its 1-based number,
/// in order. An end within a block is copied as it is.
///
/// # Errors
/// What reading or writing has met; `InvalidData` where the file is not one of this machine's [`super::Writer`].
pub fn annotate<'c>(
    input: &mut impl Read,
    output: &mut impl Write,
    mut comment: impl FnMut(u32) -> Option<&'c str>,
) -> io::Result<()> {
    let mut block = Vec::new();
    let mut number = 0_u32;
    loop {
        block.clear();
        input.by_ref().take(HEAD as u64).read_to_end(&mut block)?;
        let Some((kind, length)) = word(&block, 0).zip(word(&block, 4)) else {
            return output.write_all(&block);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(HEAD + 4..=BLOCK_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        input.by_ref().take((length - HEAD) as u64).read_to_end(&mut block)?;
        if block.len() < length {
            return output.write_all(&block);
        }
        if kind == SECTION && word(&block, HEAD) != Some(ORDER) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if kind == PACKET {
            number = number.saturating_add(1);
            if let Some(comment) = comment(number) {
                insert(&mut block, shortened(comment)).ok_or(io::ErrorKind::InvalidData)?;
            }
        }
        output.write_all(&block)?;
    }
}

/// Puts the comment before the other options of a packet's block; `None` where it is no such block.
fn insert(block: &mut Vec<u8>, comment: &str) -> Option<()> {
    let kept = usize::try_from(word(block, KEPT)?).ok()?;
    let at = BYTES.checked_add(kept.checked_next_multiple_of(4)?)?;
    let options = block.len().checked_sub(4)?.checked_sub(at)?;
    let mut option = Vec::with_capacity(comment.len() + 16);
    option.extend(COMMENT.to_ne_bytes());
    option.extend(u16::try_from(comment.len()).ok()?.to_ne_bytes());
    option.extend(comment.as_bytes());
    option.resize(option.len().next_multiple_of(4), 0);
    if options == 0 {
        option.extend([END, 0].map(u16::to_ne_bytes).as_flattened());
    }
    block.splice(at..at, option);
    let length = u32::try_from(block.len()).ok()?.to_ne_bytes();
    let end = block.len() - 4;
    block.get_mut(4..HEAD)?.copy_from_slice(&length);
    block.get_mut(end..)?.copy_from_slice(&length);
    Some(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of this kind and body.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 12).unwrap().to_ne_bytes();
        [&kind.to_ne_bytes()[..], &length, body, &length].concat()
    }

    fn section() -> Vec<u8> {
        block(SECTION, &[&ORDER.to_ne_bytes()[..], &[0; 12]].concat())
    }

    /// A packet of five octets, without options.
    fn packet() -> Vec<u8> {
        let head = [0, 0, 0, 5, 5].map(u32::to_ne_bytes);
        block(PACKET, &[head.as_flattened(), &[7; 5], &[0; 3]].concat())
    }

    fn annotated(file: &[u8], comments: &[Option<&str>]) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        let comment = |number: u32| comments.get(number as usize - 1).copied().flatten();
        annotate(&mut &file[..], &mut output, comment).map(|()| output)
    }

    #[test]
    fn only_the_packets_in_question_change() {
        let other = block(77, &[1; 8]);
        let file = [section(), packet(), other.clone(), packet()].concat();
        assert_eq!(annotated(&file, &[]).unwrap(), file);
        let changed = annotated(&file, &[None, Some("lost")]).unwrap();
        let kept = file.len() - packet().len();
        assert_eq!(changed[..kept], file[..kept]);
        let head = [0, 0, 0, 5, 5].map(u32::to_ne_bytes);
        let options = [&1_u16.to_ne_bytes()[..], &4_u16.to_ne_bytes(), b"lost", &[0; 4]].concat();
        let expected = block(PACKET, &[head.as_flattened(), &[7; 5], &[0; 3], &options].concat());
        assert_eq!(changed[kept..], expected);
        // Once more: the options that are there stay behind the new one.
        let again = annotated(&changed, &[None, Some("twice seen")]).unwrap();
        assert!(again.windows(4).any(|four| four == b"lost"));
        assert_eq!(again.len(), changed.len() + 4 + 12);
    }

    #[test]
    fn an_end_within_a_block_is_copied() {
        let file = [section(), packet()].concat();
        for cut in 0..file.len() {
            assert_eq!(annotated(&file[..cut], &[Some("x")]).unwrap(), file[..cut], "{cut}");
        }
    }

    #[test]
    fn what_no_writer_wrote_is_refused() {
        let mut length = packet();
        length[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        let mut kept = packet();
        kept[KEPT..KEPT + 4].copy_from_slice(&0xffff_fff0_u32.to_ne_bytes());
        let short = block(PACKET, &[0; 4]);
        let order = block(SECTION, &[&ORDER.swap_bytes().to_ne_bytes()[..], &[0; 12]].concat());
        for file in [length, kept, short, order] {
            let error = annotated(&file, &[Some("x")]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
