"""Packs one static program as an image that `ctr images import` takes.

usage: archive.py PROGRAM IMAGE ARCHIVE
"""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def main() -> None:
    program, image, archive = sys.argv[1:]
    layer = packed({"pause": Path(program).read_bytes()})
    config = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }).encode()  # fmt: skip
    manifest = [{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]
    files = {
        "config.json": config,
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    Path(archive).write_bytes(packed(files))


if __name__ == "__main__":
    main()
