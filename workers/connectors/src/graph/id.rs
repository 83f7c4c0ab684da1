//! Ids of our own making.

use offboard_domain::{AttemptMark, Digest};
use std::sync::atomic::{AtomicU64, Ordering};

/// A random GUID.
pub(crate) fn random_guid() -> String {
    guid(random(), 4)
}

/// A GUID by which a request can be found at the vendor's, also when no answer
/// came: where an attempt makes it, it begins with the attempt's mark.
pub(crate) fn request_guid(mark: Option<AttemptMark>) -> String {
    let mut b = random();
    match mark {
        None => guid(b, 4),
        Some(mark) => {
            b[..6].copy_from_slice(&mark.bytes());
            // The version whose contents are the maker's own (RFC 9562 §5.8).
            guid(b, 8)
        }
    }
}

/// Without a source of randomness they are merely unique in this process: they
/// protect nothing.
fn random() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut b = [0_u8; 16];
    if getrandom::fill(&mut b).is_err() {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        b.copy_from_slice(
            &Digest::of(&[n.to_be_bytes(), u64::from(std::process::id()).to_be_bytes()].concat()).0[..16],
        );
    }
    b
}

fn guid(mut b: [u8; 16], version: u8) -> String {
    b[6] = (b[6] & 0x0f) | (version << 4);
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
    use offboard_domain::TaskId;

    #[test]
    fn a_random_guid_is_one_and_no_two_are_the_same() {
        let (a, b) = (random_guid(), random_guid());
        assert!(is_guid(&a) && is_guid(&b) && a != b, "{a} {b}");
        assert!(!is_guid("NT AUTHORITY\\SELF") && !is_guid(""));
    }

    #[test]
    fn the_requests_of_an_attempt_begin_with_its_mark() {
        let mark = AttemptMark::of(TaskId([7; 10]), 2);
        let (a, b) = (request_guid(Some(mark)), request_guid(Some(mark)));
        for id in [&a, &b] {
            assert!(is_guid(id) && id.starts_with(&format!("{mark}-8")), "{id}");
        }
        assert_ne!(a, b);
        assert!(!request_guid(None).starts_with(&mark.to_string()));
    }
}
