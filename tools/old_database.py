"""Make the small database of a schema that `tests/store/test_upgrades.py` opens for ever after.

Run it when a migration was added, by the program of before: `python tools/old_database.py
tests/store/upgrades`. It starts the hub that is installed, has it take some resources and
messages, and keeps the file, compressed, under the number of its schema. With the address of an
empty database on MongoDB behind the folder it keeps that one's documents as extended JSON.

Spec: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
"""

import json
import lzma
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo import MongoClient

MESSAGE = (
    "MSH|^~\\&|LIS|SHTH01|FHIRHUB|QPRHP|20250314103000||ORU^R01^ORU_R01|OLD-{0}|P|2.4||||||"
    "UNICODE UTF-8\rPID|1||T{0}^^^SHTH01^PI||沈^桂芳^^^^^L^I||19530412|F\r"
    "OBR|1|P{0}^SHTH01|F{0}^LIS|CHEM^生化^L|||20250314081000|||||||||||||||20250314102800||CH|F\r"
    "OBX|1|NM|14771-0^空腹血糖^LN||9.8|mmol/L|3.9-6.1|H|||F|||20250314081000\r"
)
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:old", "value": "1"}],
    "name": [{"family": "沈", "given": ["桂芳"], "period": {"start": "2001", "end": "2020"}}],
}
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "AMB"},
    "subject": {"reference": "Patient/p1"},
    "period": {"start": "2025-01-01", "end": "2025-03-01"},
}


def ask(address: str, method: str, body: dict[str, Any] | None = None) -> None:
    """Ask the hub for something that it does."""
    content = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/fhir+json"}
    with urllib.request.urlopen(
        urllib.request.Request(address, content, headers, method=method), timeout=60
    ):
        pass


def send(port: int, message: bytes) -> None:
    """Send a message and wait for its acknowledgment."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"\x0b" + message + b"\x1c\r")
        assert connection.recv(65536).startswith(b"\x0bMSH")


def make(store: str) -> None:
    """Have a hub fill the store at an address."""
    command = [sys.executable, "-m", "fhir_hub", "serve", "--port", "0", "--mllp-port", "0"]
    command += ["--store", store, "--ready-json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            fill(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def fill(ready: dict[str, Any]) -> None:
    """Have the hub take resources and messages."""
    base = ready["fhir"]
    other = {"resourceType": "Patient", "id": "p2", "active": True}
    ask(f"{base}/Patient/p1", "PUT", PATIENT)
    ask(f"{base}/Patient/p1", "PUT", PATIENT | {"birthDate": "1953-04-12"})
    ask(f"{base}/Patient/p2", "PUT", other)
    ask(f"{base}/Patient/p2", "DELETE")
    ask(f"{base}/Encounter/e1", "PUT", ENCOUNTER)
    for number in (1, 2):
        send(ready["mllp"], MESSAGE.format(number).encode())
    send(ready["mllp"], MESSAGE.format(3).replace("R01", "R99").encode())


def main(folder: Path) -> None:
    """Make the database of the installed program's schema in `folder`."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "hub.sqlite"
        make(f"sqlite:{path}")
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = DELETE")
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("VACUUM")
        connection.close()
        target = folder / f"schema-{schema}.sqlite.xz"
        target.write_bytes(lzma.compress(path.read_bytes(), preset=9))
        print(target, target.stat().st_size)


def main_on_mongo(folder: Path, url: str) -> None:
    """Make the documents of the installed program's schema on MongoDB in `folder`."""
    make(url)
    with MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        names = sorted(set(database.list_collection_names()) - {"process"})
        found = {name: list(database[name].find({"_id": {"$ne": "leader"}})) for name in names}
    (schema,) = [one["version"] for one in found["hub"] if one["_id"] == "schema"]
    target = folder / f"mongo-{schema}.json.xz"
    target.write_bytes(lzma.compress(json_util.dumps(found).encode(), preset=9))
    print(target, target.stat().st_size)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main_on_mongo(Path(sys.argv[1]), sys.argv[2])
    else:
        main(Path(sys.argv[1]))
