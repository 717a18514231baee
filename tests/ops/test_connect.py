"""The steps of docs/connect.md: a hospital's feed in GBK, with codes of its own."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhir_hub.cli import app
from fhir_hub.settings import load_settings

HOSPITAL = Path(__file__).parents[2] / "examples" / "hospital"


@pytest.fixture
def maps(tmp_path):
    """The maps of the example, to be written to."""
    return shutil.copytree(HOSPITAL / "maps", tmp_path / "maps")


async def test_a_hospital_is_connected_as_the_docs_say(start, maps):
    told = load_settings(HOSPITAL / "hub.toml", {}, {})
    given = {"mappings_folder": maps, "channels": told.channels, "mappings_watch_s": 0}
    async with start(**given) as hub, hub.client() as client:

        async def ask(path: str) -> dict:
            return (await client.get(path)).json()

        first, second, third = [path.read_bytes() for path in sorted(HOSPITAL.glob("feed/*.hl7"))]
        acks = [(await hub.send(one)).split(b"\rMSA|")[1][:2] for one in (first, second, third)]
        assert acks == [b"AA", b"AA", b"AR"]

        codes = (await ask("/ops/codes"))["codes"]
        assert {one["code"] for one in codes} == {"WBC1", "HGB1", "XCG", "LABNOTE"}
        table = ["codes", "import", str(HOSPITAL / "lis.csv"), "--facility", "SHTH09"]
        out = ["--target", "http://loinc.org", "--out", str(maps / "conceptmaps" / "lis.json")]
        (maps / "conceptmaps").mkdir()
        assert CliRunner().invoke(app, [*table, *out]).exit_code == 0
        concept_map = (maps / "conceptmaps" / "lis.json").read_bytes()
        assert (await client.post("/fhir/ConceptMap", content=concept_map)).status_code == 201
        found = await ask("/ops/codes/messages?sender=LIS@SHTH09&code=WBC1")
        again = {"again": True, "number": found["numbers"]}
        await client.post("/ops/messages/$replay", json=again)
        assert (await ask("/fhir/Observation?code=6690-2"))["total"] == 1

        wrong = (await ask("/ops/messages?state=failed"))["messages"][0]["number"]
        mended = third.replace(b"ORU^R99", b"ORU^R01")
        ended = await client.post(f"/ops/messages/{wrong}/$correct", content=mended)
        assert ended.json()["state"] == "done"
        assert (await ask("/fhir/Observation?code=http://loinc.org|6690-2"))["total"] == 2
        (patient,) = (await ask("/fhir/Patient"))["entry"]
        assert patient["resource"]["name"][0]["text"] == "张伟"
