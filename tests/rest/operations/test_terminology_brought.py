"""What a request brings with it is not stored, so nobody has checked it: it is refused, not a 500.

Spec: https://hl7.org/fhir/R4/terminology-service.html
"""

import pytest
from terms import EXPANSION, PAINTS, PALETTE, answered, ask, code_system, value_set

OIL = {"system": PAINTS, "code": "oil"}


def concept_map(**group):
    return {"resourceType": "ConceptMap", "group": [{"source": PAINTS, **group}]}


@pytest.mark.parametrize(
    "given",
    [
        concept_map() | {"group": "x"},
        concept_map(element=["x"]),
        concept_map(element=[{"code": "oil", "target": ["x"]}]),
        concept_map(element=[{"code": "oil", "target": "x"}]),
        concept_map(unmapped=None),
    ],
)
async def test_a_map_that_is_none_is_refused(client, given):
    answer = await ask(client, "ConceptMap/$translate", {"conceptMap": given, **OIL})

    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


@pytest.mark.parametrize(
    "of",
    [
        value_set({}, extension=None),
        value_set({}, compose={"extension": "x"}),
        value_set({}, compose={"extension": [{"url": EXPANSION, "extension": ["x"]}]}),
        value_set({"concept": [{"code": "oil", "designation": "x"}]}),
        value_set({"concept": [{"code": "oil", "extension": ["x"]}]}),
        value_set({"filter": "x"}),
    ],
)
async def test_a_value_set_that_is_none_is_refused(client, of):
    for address in ("ValueSet/$expand", "ValueSet/$validate-code"):
        given = {"valueSet": of} | ({} if "expand" in address else {"coding": OIL})
        assert (await ask(client, address, given)).status_code == 400


async def test_a_code_system_that_is_none_is_refused(client):
    faulty = code_system(PAINTS, {"code": "oil", "property": "x"}, version="9")
    brought = await ask(client, "ValueSet/$expand", {"url": PALETTE}, faulty)
    given = {"codeSystem": faulty, "code": "oil"}

    assert brought.status_code == 400
    assert (await ask(client, "CodeSystem/$validate-code", given)).status_code == 400


async def test_a_listed_concept_without_a_code_is_no_code(client):
    of = value_set({"concept": [{}, {"code": "oil"}]})
    expanded = await ask(client, "ValueSet/$expand", {"valueSet": of})
    said, _ = await answered(client, "ValueSet/$validate-code", {"valueSet": of, "coding": OIL})

    assert [one["code"] for one in expanded.json()["expansion"]["contains"]] == ["oil"]
    assert said["result"] is True
