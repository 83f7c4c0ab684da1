//! Somebody else's tools accept our evidence, and refuse what was changed:
//! plain `openssl` the signature, and Python's `securesystemslib` the whole
//! envelope (`tests/evidence/verify.py`, which also recomputes the chain).
//!
//! An absent tool is an error, never a pass.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use offboard_domain::evidence::{Invalid, Statement, seal, verify};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A whole departure, as the domain's own tests keep it.
const RICH: &str = include_str!("../../../../shared/domain/src/evidence/testdata/rich.json");

fn key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

fn sealed() -> Vec<u8> {
    let statement: Statement = serde_json::from_str(RICH).unwrap();
    seal(&statement, &key())
}

/// A fresh folder of this test's own, with the public key in it.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("evidence-{name}"));
    std::fs::create_dir_all(&path).unwrap();
    let pem = key().verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    std::fs::write(path.join("public.pem"), pem).unwrap();
    path
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The same statement with one fact changed, under the old signature.
fn tampered(file: &[u8]) -> Vec<u8> {
    let mut envelope: serde_json::Value = serde_json::from_slice(file).unwrap();
    let payload = B64.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let forged = String::from_utf8(payload)
        .unwrap()
        .replacen("\"enabled\":true", "\"enabled\":null", 1);
    envelope["payload"] = B64.encode(forged).into();
    serde_json::to_vec(&envelope).unwrap()
}

fn openssl(folder: &Path, file: &[u8]) -> Output {
    // The signed bytes are put together here after DSSE's protocol.md, not by
    // the code that signed them.
    let envelope: serde_json::Value = serde_json::from_slice(file).unwrap();
    let payload = B64.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let payload_type = envelope["payloadType"].as_str().unwrap();
    let mut signed = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    signed.extend_from_slice(&payload);
    std::fs::write(folder.join("signed.bin"), signed).unwrap();
    let signature = B64.decode(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap();
    std::fs::write(folder.join("signature.bin"), signature).unwrap();
    Command::new("openssl")
        .current_dir(folder)
        .args([
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            "public.pem",
            "-rawin",
            "-in",
            "signed.bin",
            "-sigfile",
            "signature.bin",
        ])
        .output()
        .expect("openssl must be installed (Debian: apt-get install openssl)")
}

fn securesystemslib(folder: &Path, file: &[u8]) -> Output {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("test-venv/bin/python");
    assert!(
        python.exists(),
        "the Python environment {} is missing; make it with tests/setup/python.sh",
        python.display()
    );
    std::fs::write(folder.join("evidence.json"), file).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../evidence/verify.py");
    Command::new(python)
        .current_dir(folder)
        .arg(script)
        .args(["evidence.json", "public.pem"])
        .output()
        .expect("the Python environment must run; make it anew with tests/setup/python.sh")
}

#[test]
fn openssl_accepts_the_signature_and_refuses_a_changed_payload() {
    let folder = folder("openssl");
    let file = sealed();
    let fine = openssl(&folder, &file);
    assert!(
        fine.status.success() && said(&fine).contains("Verified Successfully"),
        "{}",
        said(&fine)
    );
    let refused = openssl(&folder, &tampered(&file));
    assert!(
        !refused.status.success() && said(&refused).contains("Failure"),
        "{}",
        said(&refused)
    );
}

#[test]
fn securesystemslib_accepts_the_envelope_and_refuses_a_changed_one() {
    let folder = folder("securesystemslib");
    let file = sealed();
    let fine = securesystemslib(&folder, &file);
    assert!(
        fine.status.success() && said(&fine).contains("accepted"),
        "{}",
        said(&fine)
    );
    let refused = securesystemslib(&folder, &tampered(&file));
    assert!(
        !refused.status.success() && said(&refused).contains("refused: VerificationError"),
        "{}",
        said(&refused)
    );
}

/// What they refuse, ours refuses too, and what they accept, it accepts.
#[test]
fn ours_agrees_with_theirs() {
    let file = sealed();
    let public = key().verifying_key();
    assert!(verify(&file, &public).is_ok());
    assert!(matches!(
        verify(&tampered(&file), &public),
        Err(Invalid::SignatureDoesNotFit { .. })
    ));
}
