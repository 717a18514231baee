"""A search for hundreds of values at once, as who keeps a list of patients sends it.

Spec: https://hl7.org/fhir/R4/search.html#combining
"""

from itertools import chain

import pytest

OTHERS = [f"other-{number}" for number in range(900)]


@pytest.fixture
async def stored(client):
    """Patients a1 and a2, a3 and a4 what was measured of them."""
    for family in ("Shen", "Lu"):
        patient = {"resourceType": "Patient", "name": [{"family": family}]}
        assert (await client.post("Patient", json=patient)).status_code == 201
    for number in (1, 2):
        measured = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": f"x-{number}"}]},
            "subject": {"reference": f"Patient/a{number}"},
            "focus": [{"reference": f"Patient/a{other}"} for other in (1, 2)],
            "valueQuantity": {"value": number},
        }
        assert (await client.post("Observation", json=measured)).status_code == 201


@pytest.mark.parametrize(
    ("address", "asked", "ids"),
    [
        ("Patient", {"_id": ["a2", *OTHERS]}, ["a2"]),
        ("Patient", {"family": ["lu", *OTHERS]}, ["a2"]),
        ("Observation", {"subject": ["a1", *OTHERS[:700]]}, ["a3"]),
        ("Observation", {"subject": ["a1", *OTHERS[:300]], "code": ["x-1"]}, ["a3"]),
        ("Observation", {"patient": ["a1", "a2", *OTHERS]}, ["a3", "a4"]),
        ("Observation", {"code": ["http://loinc.org|x-1", "x-2", *OTHERS]}, ["a3", "a4"]),
        ("Observation", {"code:not": ["x-1", *OTHERS]}, ["a4"]),
        ("Observation", {"value-quantity": ["2", *map(str, range(10, 900))]}, ["a4"]),
        ("Observation", {"patient.family": ["lu", *OTHERS]}, ["a4"]),
        ("Patient", {"_has:Observation:patient:code": ["x-1", *OTHERS]}, ["a1"]),
    ],
)
async def test_hundreds_of_values_are_answered_exactly(client, stored, address, asked, ids):
    form = {name: ",".join(values) for name, values in asked.items()} | {"_total": "accurate"}
    answer = await client.post(f"{address}/_search", data=form)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ids
    assert bundle["total"] == len(ids)


async def test_several_ids_that_may_be_of_any_type_are_counted(client, stored):
    form = list(chain([("_count", "0")], (("focus", one) for one in ("a1", "a2", "a1", "a2"))))
    answer = await client.get("Observation", params=form)
    assert (answer.status_code, answer.json()["total"]) == (200, 2)
