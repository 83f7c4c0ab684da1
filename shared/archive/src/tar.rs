//! The little of POSIX ustar that is needed (IEEE Std 1003.1, `pax`): headers of
//! files and folders whose names are our own and short.

/// A tar file is made of blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// Two empty blocks end it.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The largest size that eleven octal digits hold.
const SIZE_MAX: u64 = 0o777_7777_7777;

/// The header of a file.
pub(crate) fn file(name: &str, bytes: u64, at_s: i64) -> [u8; BLOCK] {
    header(name, b'0', 0o600, bytes, at_s)
}

/// The header of a folder.
pub(crate) fn folder(name: &str) -> [u8; BLOCK] {
    header(name, b'5', 0o700, 0, 0)
}

/// How many zeros follow so many bytes of a file.
pub(crate) fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK as u64).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

fn header(name: &str, sort: u8, mode: u64, bytes: u64, at_s: i64) -> [u8; BLOCK] {
    let mut h = [0_u8; BLOCK];
    debug_assert!(name.len() <= 100, "our own names are short");
    let name = &name.as_bytes()[..name.len().min(100)];
    h[..name.len()].copy_from_slice(name);
    octal(&mut h[100..108], mode);
    octal(&mut h[108..116], 0);
    octal(&mut h[116..124], 0);
    octal(&mut h[124..136], bytes.min(SIZE_MAX));
    octal(&mut h[136..148], u64::try_from(at_s).unwrap_or(0).min(SIZE_MAX));
    h[148..156].fill(b' ');
    h[156] = sort;
    h[257..263].copy_from_slice(b"ustar\0");
    h[263..265].copy_from_slice(b"00");
    let sum: u64 = h.iter().map(|b| u64::from(*b)).sum();
    octal(&mut h[148..155], sum);
    h[155] = b' ';
    h
}

/// A number in octal digits, ended by a zero byte.
fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_the_standard_says() {
        let h = file("mail/0001-Inbox/cur/1:2,S", 1_234, 1_700_000_000);
        assert_eq!(&h[124..136], b"00000002322\0");
        assert_eq!(&h[257..265], b"ustar\x0000");
        let mut blank = h;
        blank[148..156].fill(b' ');
        let sum: u64 = blank.iter().map(|b| u64::from(*b)).sum();
        assert_eq!(&h[148..156], format!("{sum:06o}\0 ").as_bytes());
    }

    #[test]
    fn files_are_filled_up_to_whole_blocks() {
        for (bytes, zeros) in [(0, 0), (1, 511), (512, 0), (513, 511), (1_023, 1)] {
            assert_eq!(padding(bytes), zeros, "{bytes}");
        }
    }
}
