"""Compares a mailbox with what unpack.py made of its archive.

    python3 compare.py PORT CA USER PASSWORD UNPACKED

Reads the mailbox with Python's own imaplib over TLS: another client than the
one that made the archive. Every message's SHA-256, folder and flags must be
those of the archive, each as often as it is there.
"""

import base64
import collections
import hashlib
import imaplib
import json
import os
import re
import ssl
import sys

imaplib._MAXLINE = 10_000_000


def decoded(name):
    """IMAP's modified UTF-7 (RFC 3501, 5.1.3)."""

    def shifted(match):
        code = match.group(1)
        if not code:
            return "&"
        padded = code.replace(",", "/") + "=" * (-len(code) % 4)
        return base64.b64decode(padded).decode("utf-16-be")

    return re.sub(r"&([^-]*)-", shifted, name)


def main(port, ca, user, password, unpacked):
    box = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile=ca))
    box.login(user, password)
    on_server = collections.Counter()
    for line in box.list()[1]:
        if b"\\Noselect" in (line[0] if isinstance(line, tuple) else line):
            continue
        if isinstance(line, tuple):
            name = line[1].decode()
        else:
            name = re.match(rb'\(.*?\) "(?:.*?)" (.*)$', line).group(1).decode()
            if name.startswith('"'):
                name = re.sub(r"\\(.)", r"\1", name[1:-1])
        quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if not name or box.select(quoted, readonly=True)[0] != "OK":
            sys.exit(f"the folder {name!r} of {line!r} could not be opened")
        uids = box.uid("search", None, "ALL")[1][0].split()
        for first in range(0, len(uids), 100):
            batch = b",".join(uids[first : first + 100]).decode()
            for part in box.uid("fetch", batch, "(UID FLAGS BODY.PEEK[])")[1]:
                if not isinstance(part, tuple):
                    continue
                flags = re.search(rb"FLAGS \((.*?)\)", part[0]).group(1).decode().split()
                flags = tuple(sorted(f for f in flags if f != "\\Recent"))
                on_server[(decoded(name), flags, hashlib.sha256(part[1]).hexdigest())] += 1
    kept = collections.Counter()
    with open(os.path.join(unpacked, "messages.jsonl"), encoding="utf-8") as index:
        for line in index:
            message = json.loads(line)
            with open(os.path.join(unpacked, message["file"]), "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            kept[("/".join(message["path"]), tuple(sorted(message["flags"])), digest)] += 1
    lost, more = on_server - kept, kept - on_server
    if lost or more:
        sys.exit(f"{sum(lost.values())} lost or changed, {sum(more.values())} too many: {list(lost)[:3]} {list(more)[:3]}")
    print(f"{sum(kept.values())} messages agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
