//! A password that nobody will ever know: generated, set, dropped.

use offboard_runtime::Secret;
use zeroize::Zeroizing;

/// Its length: beyond any guessing, below every directory's limit.
const LENGTH: usize = 40;

/// One letter of each class is in every password, so that no complexity rule
/// refuses it. Look-alikes do no harm: nobody types it.
const CLASSES: [&[u8]; 4] = [
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    b"-_.!*+=:@#%^",
];

/// A new random password.
///
/// # Errors
/// The system gave no random bytes.
pub(crate) fn generate() -> Result<Secret, getrandom::Error> {
    let letters: Vec<u8> = CLASSES.concat();
    loop {
        let mut password = String::with_capacity(LENGTH);
        while password.len() < LENGTH {
            password.push(char::from(letters[below(letters.len())?]));
        }
        let secret = Secret::new(password);
        if CLASSES
            .iter()
            .all(|class| secret.expose().bytes().any(|b| class.contains(&b)))
        {
            return Ok(secret);
        }
    }
}

/// A random number below `n` (at most 256), each as likely.
fn below(n: usize) -> Result<usize, getrandom::Error> {
    let limit = 256 - 256 % n;
    loop {
        let mut byte = Zeroizing::new([0u8; 1]);
        getrandom::fill(&mut byte[..])?;
        let drawn = usize::from(byte[0]);
        if drawn < limit {
            return Ok(drawn % n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_of_every_class_and_never_the_same() {
        let all: std::collections::BTreeSet<String> =
            (0..200).map(|_| generate().unwrap().expose().to_owned()).collect();
        assert_eq!(all.len(), 200);
        for password in &all {
            assert_eq!(password.len(), LENGTH);
            assert!(CLASSES.iter().all(|c| password.bytes().any(|b| c.contains(&b))));
        }
    }
}
