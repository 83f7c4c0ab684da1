"""Takes a kept mailbox out of a store's folder with Python alone.

    python3 unpack.py STORE MANIFEST_SHA256 TO

What comes out is a Maildir for each folder, and `messages.jsonl` beside them:
a line for each message with its folder's true name, flags, date, size, SHA-256
and file. Everything is checked against its digest on the way. The form is
described in docs/decisions/0019-the-form-of-a-kept-mailbox.md.
"""

import hashlib
import io
import json
import os
import sys
import tarfile


def found(store):
    """Where each thing of the store is, by its SHA-256."""
    places = {}
    for folder, _, names in os.walk(store):
        for name in names:
            path = os.path.join(folder, name)
            places["".join(os.path.relpath(path, store).split(os.sep))[-64:]] = path
    return places


def main(store, manifest_digest, to):
    places = found(store)

    def get(digest):
        with open(places[digest], "rb") as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != digest:
            sys.exit(f"{digest} was changed")
        return data

    manifest = json.loads(get(manifest_digest))
    folders = {f["folder"]["number"]: f["folder"] for f in manifest["folders"]}
    os.makedirs(to)
    count = size = 0
    with open(os.path.join(to, "messages.jsonl"), "w", encoding="utf-8") as index:
        for part in manifest["parts"]:
            for line in get(part).decode("utf-8").splitlines():
                segment = json.loads(line).get("segment")
                if not segment:
                    continue
                data = b"".join(get(piece["sha256"]) for piece in segment["pieces"])
                files = tarfile.open(fileobj=io.BytesIO(data), mode="r:")
                for message in segment["messages"]:
                    if message["folder"] not in folders:
                        continue
                    content = files.extractfile(message["file"]).read()
                    if hashlib.sha256(content).hexdigest() != message["sha256"]:
                        sys.exit(f"message {message['number']} was changed")
                    path = os.path.join(to, message["file"])
                    for sub in ("cur", "new", "tmp"):
                        os.makedirs(os.path.join(os.path.dirname(os.path.dirname(path)), sub), exist_ok=True)
                    with open(path, "wb") as file:
                        file.write(content)
                    count, size = count + 1, size + len(content)
                    index.write(json.dumps({**message, "path": folders[message["folder"]]["path"]}) + "\n")
    if (count, size) != (manifest["messages"], manifest["bytes"]):
        sys.exit(f"the manifest says {manifest['messages']} messages of {manifest['bytes']} bytes, there are {count} of {size}")
    print(f"{count} messages, {size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
