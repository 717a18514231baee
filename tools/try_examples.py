"""Store every official R4 example in a running hub and see whether it comes back unchanged.

Each example is PUT and read again: as JSON, and as XML that is PUT and read as JSON. Order of
lists, ids, extensions and the digits of decimals must be the same; `meta.versionId` and
`meta.lastUpdated` are the server's. Bundles of a folder are then sent as they are.

    python tools/try_examples.py --examples r4-examples-json.tar.xz [--bundles FOLDER]

Spec: https://hl7.org/fhir/R4/downloads.html (examples)
"""

import argparse
import bz2
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from fhir_hub import fhirjson

JSON, XML = "application/fhir+json", "application/fhir+xml"
NEW_ID = "made-by-try-examples"


def start(store: str) -> tuple[subprocess.Popen[str], str]:
    """Return a running hub and its base; examples refer to what is not there."""
    command = [sys.executable, "-m", "fhir_hub", "serve", "--port", "0", "--mllp-port", "0"]
    command += ["--store", store, "--ready-json"]
    environment = os.environ | {"FHIR_HUB_REFERENCES": "off"}
    hub = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert hub.stdout is not None
    return hub, json.loads(hub.stdout.readline())["fhir"]


def examples(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each example in a .tar.xz."""
    with tarfile.open(archive) as opened:
        for member in opened:
            file = opened.extractfile(member)
            if file and member.name.endswith(".json"):
                yield member.name.rpartition("/")[2], file.read()


def meaning(content: bytes) -> bytes:
    """Return the resource without what a server sets, in a form that compares digits too."""
    resource: dict[str, Any] = fhirjson.loads(content)
    own = ("versionId", "lastUpdated")
    meta = {name: value for name, value in resource.pop("meta", {}).items() if name not in own}
    return fhirjson.canonical(resource | ({"meta": meta} if meta else {}))


def try_one(client: httpx.Client, content: bytes) -> tuple[str, str]:
    """Return how the example fared as JSON and through XML: `same`, or what went wrong."""
    resource = fhirjson.loads(content)
    if "id" not in resource:
        resource["id"] = NEW_ID
        content = fhirjson.dumps(resource)
    address = f"{resource['resourceType']}/{resource['id']}"
    stored = client.put(address, content=content, headers={"Content-Type": JSON})
    if stored.status_code >= 300:
        return f"refused {stored.status_code}", "not tried"
    if meaning(client.get(address).content) != meaning(content):
        return "changed", "not tried"
    return "same", through_xml(client, address, content)


def through_xml(client: httpx.Client, address: str, content: bytes) -> str:
    """Return how the stored example fares when it is read as XML, deleted, and stored from it."""
    shown = client.get(address, headers={"Accept": XML})
    if shown.status_code != 200 or not shown.content.startswith(b"<"):
        return f"no XML {shown.status_code}"
    client.delete(address)
    stored = client.put(address, content=shown.content, headers={"Content-Type": XML})
    if stored.status_code >= 300:
        return f"refused {stored.status_code}"
    return "same" if meaning(client.get(address).content) == meaning(content) else "changed"


def try_examples(client: httpx.Client, archive: Path) -> bool:
    """Print how all examples fared; return whether all came back unchanged."""
    told: dict[tuple[str, str], list[str]] = {}
    for name, content in examples(archive):
        told.setdefault(try_one(client, content), []).append(name)
    for (as_json, as_xml), names in sorted(told.items(), key=lambda row: -len(row[1])):
        some = "" if as_json == as_xml == "same" else ": " + ", ".join(names[:10])
        print(f"{len(names):5} JSON {as_json}, XML {as_xml}{some}")
    return set(told) == {("same", "same")}


def try_bundles(client: httpx.Client, folder: Path) -> bool:
    """Send each Bundle of the folder (.json or .json.bz2), by name; return whether all went."""
    entries, refused, began = 0, [], time.perf_counter()
    # what patients refer to conditionally comes first: practitioners and hospitals, by name
    for path in sorted(folder.glob("*.json*")):
        content = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
        answer = client.post("", content=content, headers={"Content-Type": JSON})
        entries += len(json.loads(content)["entry"])
        if answer.status_code != 200:
            refused.append(f"{path.name} {answer.status_code}")
    seconds = time.perf_counter() - began
    print(
        f"{entries} entries in {seconds:.1f} s, {entries / seconds:.0f} a second; refused: ", end=""
    )
    print(", ".join(refused) or "none")
    return not refused


def main() -> int:
    """Try what is given; return 0 if all of it came back unchanged."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=Path, help="a .tar.xz of JSON examples")
    parser.add_argument("--bundles", type=Path, help="a folder of Bundles, .json or .json.bz2")
    arguments = parser.parse_args()
    is_fine = True
    with tempfile.TemporaryDirectory() as folder:
        hub, base = start(f"sqlite:{folder}/hub.sqlite")
        try:
            with httpx.Client(base_url=f"{base}/", timeout=300) as client:
                if arguments.examples:
                    is_fine &= try_examples(client, arguments.examples)
                if arguments.bundles:
                    is_fine &= try_bundles(client, arguments.bundles)
        finally:
            hub.terminate()
            hub.wait()
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
