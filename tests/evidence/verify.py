"""Verifies an evidence file without any code of ours.

    verify.py EVIDENCE PUBLIC_KEY.pem

The signature by securesystemslib's DSSE; the key's id, the chain of events and
the subjects by the standard library, after the description in
shared/domain/src/evidence/statement.rs. Exit code 0 and "accepted", or 1 and
what was refused.
"""

import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey


def main(evidence: str, public_key: str) -> None:
    with open(public_key, "rb") as f:
        key = load_pem_public_key(f.read())
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key_id = hashlib.sha256(der).hexdigest()[:16]
    with open(evidence, "rb") as f:
        envelope = Envelope.from_dict(json.load(f))

    accepted = envelope.verify([SSlibKey.from_crypto(key, keyid=key_id)], threshold=1)
    assert list(accepted) == [key_id], accepted

    statement = json.loads(envelope.payload)
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://offboard.dev/evidence/departure/v1"
    assert all(len(bytes.fromhex(s["digest"]["sha256"])) == 32 for s in statement["subject"])

    head = bytes(32)
    for version, event in enumerate(statement["predicate"]["chain"]["events"], 1):
        assert event["version"] == version
        head = hashlib.sha256(b"offboard.event" + head + bytes.fromhex(event["body"])).digest()
        assert head.hex() == event["hash"], f"the chain breaks at version {version}"
    assert statement["subject"][0] == {"name": "chain-head", "digest": {"sha256": head.hex()}}


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (VerificationError, AssertionError, ValueError, KeyError) as refused:
        print(f"refused: {type(refused).__name__}: {refused}")
        sys.exit(1)
    print("accepted")
