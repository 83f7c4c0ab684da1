//! Ids of our own making.

use offboard_domain::Digest;
use std::sync::atomic::{AtomicU64, Ordering};

/// A random GUID, by which a request can be found at the vendor's when no
/// answer came. Without a source of randomness it is merely unique in this
/// process: it protects nothing.
pub(crate) fn random_guid() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut b = [0_u8; 16];
    if getrandom::fill(&mut b).is_err() {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        b.copy_from_slice(
            &Digest::of(&[n.to_be_bytes(), u64::from(std::process::id()).to_be_bytes()].concat()).0[..16],
        );
    }
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Whether a text is a GUID.
pub(crate) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_guid_is_one_and_no_two_are_the_same() {
        let (a, b) = (random_guid(), random_guid());
        assert!(is_guid(&a) && is_guid(&b) && a != b, "{a} {b}");
        assert!(!is_guid("NT AUTHORITY\\SELF") && !is_guid(""));
    }
}
