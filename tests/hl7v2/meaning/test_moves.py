"""Visits that go to another patient or into another visit, with all that belongs to them.

Spec: HL7v2 chapter 3, A42, A45, A47 and A50
"""

import pytest
from meaning_parts import person, segment, visit


@pytest.fixture
async def visited(say):
    """Two patients; the first has a visit V1 with a result."""
    await say("ADT^A04", "0800", person("T1"), visit(f18="x"))
    await say("ADT^A04", "0810", person("T2"))
    order = segment("OBR", f3="F1", f4="GLU^Glucose", f25="F")
    found = segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F")
    await say("ORU^R01", "0900", person("T1"), visit(), order, found)


@pytest.fixture
def numbers(every):
    async def run(kind):
        return {f"{kind}/{one['id']}": one["identifier"][0]["value"] for one in await every(kind)}

    return run


async def test_a_visit_moved_to_another_patient_takes_its_results_along(
    say, only, numbers, visited
):
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A45", "1000", person("T2"), mrg, visit())

    people = await numbers("Patient")
    for kind in ("Encounter", "Observation", "DiagnosticReport"):
        assert people[(await only(kind))["subject"]["reference"]] == "T2", kind


async def test_a_visit_merged_into_another_leaves_its_results_there(
    say, every, only, numbers, visited
):
    await say("ADT^A04", "0930", person("T1"), visit(f19="V2"))
    mrg = segment("MRG", f1="T1^^^SHTH01^PI", f5="V1")
    await say("ADT^A42", "1000", person("T1"), mrg, visit(f19="V2"))

    visits = await numbers("Encounter")
    states = {one["identifier"][0]["value"]: one for one in await every("Encounter")}
    assert (states["V1"]["status"], states["V2"]["status"]) == ("entered-in-error", "in-progress")
    assert visits[states["V1"]["partOf"]["reference"]] == "V2"
    assert states["V1"]["class"]["code"] == "AMB"
    assert visits[(await only("Observation"))["encounter"]["reference"]] == "V2"


def numbered(*numbers, name="沈^桂芳"):
    return f"PID|1||{'~'.join(f'{one}^^^SHTH01^PI' for one in numbers)}||{name}"


@pytest.mark.parametrize(
    ("here", "mrg"),
    [
        (["T1"], "MRG|T9^^^SHTH01^PI|||T2^^^SHTH01^PI"),
        (["T9", "T1"], "MRG|T9^^^SHTH01^PI|||T2^^^SHTH01^PI"),
        (["T1", "T9"], "MRG|T9^^^SHTH01^PI"),
        (["T9", "T1"], "MRG|T9^^^SHTH01^PI~T2^^^SHTH01^PI"),
    ],
)
async def test_a_number_goes_to_the_patient_whose_it_is(say, every, here, mrg):
    await say("ADT^A04", "0800", numbered("T9", "T2", name="李^四"))
    await say("ADT^A04", "0810", numbered("T1"))
    await say("ADT^A43", "0900", numbered(*here), mrg)
    await say("ADT^A08", "0910", numbered("T9"))
    found = [
        (one["name"][0]["text"], sorted(number["value"] for number in one["identifier"]))
        for one in await every("Patient")
    ]
    assert found == [("李四", ["T2"]), ("沈桂芳", ["T1", "T9"])]
