"""The life of a result, vaccination or document over several messages, in whatever order they come.

Spec: HL7v2 chapter 7, OBR-2, OBR-3, OBX-11; chapter 4A, RXA; chapter 9, TXA-13; chapter 4, ORC-3
"""

import itertools

import pytest
from meaning_parts import person, segment, visit

HBA1C, HB = "4548-4^HbA1c^LN", "718-7^HB^LN"
ORDER = ("OML^O21", (person(), "ORC|NW|P1^HIS", f"OBR|1|P1^HIS||{HBA1C}"), "HIS|SHTH01")
CANCEL = ("OML^O21", (person(), "ORC|OC|P1^HIS", f"OBR|1|P1^HIS||{HBA1C}"), "HIS|SHTH01")


def found(status, value="7", code=HBA1C, sub_id="", number=1):
    kinds = {"f1": str(number), "f2": "NM", "f3": code, "f4": sub_id, "f5": value, "f6": "%"}
    return segment("OBX", **kinds, f11=status, f14="20250314080500")


def results(status, *told, placer="P1^HIS", filler="F1^LIS", beside=()):
    order = segment("OBR", f1="1", f2=placer, f3=filler, f4=HBA1C, f7="20250314080000", f25=status)
    numbers = f"ORC|RE|{placer}|{filler}"
    return "ORU^R01", (person(), *beside, numbers, order, *told), "LIS|SHTH01"


def both(status, first, second):
    return found(status, first), found(status, second, HB, number=2)


def vaccine(code="03^MMR^CVX", action="A", *, filler="F1^HIS", placer="P1^HIS", **fields):
    told = {"f1": "0", "f2": "1", "f3": "20250310", "f5": code, "f20": "CP", "f21": action}
    dose = segment("RXA", **{**told, **fields})
    return "VXU^V04", (person(), f"ORC|RE|{placer}|{filler}", dose), "HIS|SHTH01"


def document(event, number, parent="", text="", **fields):
    told = {"f1": "1", "f2": "CN", "f3": "TX", "f12": f"{number}^HIS", "f17": "DI", "f19": "AV"}
    if parent:
        told["f13"] = f"{parent}^HIS"
    lines = [f"OBX|1|TX|CN^病历||{text}||||||F"] if text else []
    return f"MDM^{event}", (person(), segment("TXA", **{**told, **fields}), *lines), "HIS|SHTH01"


def one(resource):
    """Return what a test says of a resource: its state, and what it tells."""
    value = resource.get("valueQuantity", {}).get("value")
    code = resource.get("code", resource.get("vaccineCode", {})).get("text")
    related = [one["code"] for one in resource.get("relatesTo", ())]
    number = resource.get("masterIdentifier", {}).get("value")
    told = (number, resource["status"], code, value, resource.get("lotNumber"), *related)
    return tuple(str(part) for part in told if part)


NUMBERS = {  # the filler's number comes later than the results
    "the filler's number comes later": [
        ORDER,
        results("P", *both("P", "7", "3"), filler=""),
        results("F", *both("F", "7.5", "3.5")),
    ],
    "and is left out again": [
        results("P", *both("P", "7", "3"), filler=""),
        results("F", *both("F", "7", "3")),
        results("F", *both("F", "7.5", "3.5"), filler=""),
    ],
}
STORIES = {
    **{
        name: (
            "Observation",
            story,
            [("final", "HB", "3.5"), ("final", "HbA1c", "7.5")],
        )
        for name, story in NUMBERS.items()
    },
    "preliminary by the analyser, final by the laboratory": (
        "Observation",
        [(*results("P", found("P", "6"))[:2], "ANA|SHTH01"), results("F", found("F"))],
        [("final", "HbA1c", "7")],
    ),
    "and its order": (
        "ServiceRequest",
        [ORDER, (*results("P", found("P", "6"))[:2], "ANA|SHTH01"), results("F", found("F"))],
        [("completed", "HbA1c")],
    ),
    "preliminary, and final without its value (U)": (
        "Observation",
        [results("P", found("P")), results("F", found("U", ""))],
        [("final", "HbA1c", "7")],
    ),
    "preliminary, of another value, and final without it (U)": (
        "Observation",
        [results("P", found("P")), results("P", found("P", "9")), results("F", found("U", ""))],
        [("final", "HbA1c", "9")],
    ),
    "cannot be had, then it can": (
        "ServiceRequest",
        [ORDER, results("X", found("X", "")), results("F", found("F"))],
        [("completed", "HbA1c")],
    ),
    "cannot be had, then it is under way": (
        "ServiceRequest",
        [ORDER, results("X", found("X", "")), results("P", found("P"))],
        [("active", "HbA1c")],
    ),
    "its placer takes it back": (
        "ServiceRequest",
        [ORDER, CANCEL, results("F", found("F"))],
        [("revoked", "HbA1c")],
    ),
    "a dose, and its filler's number later": (
        "Immunization",
        [vaccine(filler=""), vaccine(action="U", f15="L2")],
        [("completed", "MMR", "L2")],
    ),
    "doses that nobody ordered": (
        "Immunization",
        [
            vaccine(placer="", filler="9999^HIS"),
            vaccine("10^IPV^CVX", placer="", filler="9999^HIS"),
            vaccine(action="D", placer="", filler="9999^HIS"),
        ],
        [("completed", "IPV"), ("entered-in-error", "MMR")],
    ),
    "a document is replaced, and that is cancelled": (
        "DocumentReference",
        [
            document("T02", "D1", text="one"),
            document("T10", "D2", "D1", "two"),
            document("T11", "D2", "D1", f19="CA"),
        ],
        [("D1", "current"), ("D2", "entered-in-error", "replaces")],
    ),
    "what replaced a document is replaced": (
        "DocumentReference",
        [
            document("T02", "D1", text="one"),
            document("T10", "D2", "D1", "two"),
            document("T10", "D3", "D2", "three"),
        ],
        [("D1", "superseded"), ("D2", "superseded", "replaces"), ("D3", "current", "replaces")],
    ),
    "a document is replaced under its own number": (
        "DocumentReference",
        [document("T02", "D1", text="one"), document("T10", "D1", "D1", "two")],
        [("D1", "current")],
    ),
}


@pytest.fixture
def tell(say):
    """Tell a story: each of its messages at its time, in any order."""

    async def run(story, order=None):
        for number in order or range(len(story)):
            event, segments, by = story[number]
            await say(event, f"{8 + number:02}00", *segments, by=by)

    return run


@pytest.mark.parametrize(
    ("name", "order"),
    [
        pytest.param(name, order, id=f"{name}: {' '.join(map(str, order))}")
        for name, (_, story, _) in STORIES.items()
        for order in itertools.permutations(range(len(story)))
    ],
)
async def test_a_story_has_one_end(tell, every, name, order):
    resource_type, story, end = STORIES[name]
    await tell(story, order)

    assert sorted(map(one, await every(resource_type))) == end


@pytest.mark.parametrize("story", NUMBERS.values(), ids=NUMBERS)
async def test_one_report_has_all_its_results_and_both_numbers(tell, every, only, story):
    await tell(story)

    report = await only("DiagnosticReport")
    told = [f"Observation/{one['id']}" for one in await every("Observation")]
    assert [one["value"] for one in report["identifier"]] == ["P1", "F1"]
    assert [one["reference"] for one in report["result"]] == told


async def test_another_number_of_the_filler_is_another_report(tell, every):
    told = [results("P", found("P"), filler=""), results("F", found("F"))]
    await tell([*told, results("F", found("F", "9"), filler="F2^LIS")])

    values = [one["valueQuantity"]["value"] for one in await every("Observation")]
    assert ([str(one) for one in values], len(await every("DiagnosticReport"))) == (["7", "9"], 2)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_result_that_is_corrected_without_its_visit_stays_of_that(tell, only, order):
    await tell([results("F", found("F"), beside=[visit()]), results("C", found("C", "8"))], order)

    result = await only("Observation")
    encounter, request = await only("Encounter"), await only("ServiceRequest")
    assert result["status"] == "corrected"
    assert result["encounter"] == {"reference": f"Encounter/{encounter['id']}"}
    assert result["basedOn"] == [{"reference": f"ServiceRequest/{request['id']}"}]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_a_dose_that_is_given_after_it_was_refused_has_no_reason_why_not(tell, only, order):
    await tell([vaccine(f18="00^Parental^NIP002", f20="RE"), vaccine(action="U")], order)

    given = await only("Immunization")
    assert given["status"] == "completed"
    assert "statusReason" not in given


@pytest.mark.parametrize(("first", "then"), [("", "1"), ("1", "")])
@pytest.mark.parametrize("status", ["A", "C", "D", "W"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1, 0, 1, 0)])
async def test_a_correction_finds_its_result_though_one_of_the_two_has_a_sub_id(
    say, every, first, then, status, order
):
    beside = found("F", "3", HB, number=2)
    told_at = (("1000", found("F", sub_id=first)), ("1100", found(status, "9", sub_id=then)))
    for at, told in [told_at[place] for place in order]:
        kind, parts, by = results("F", told, beside)
        await say(kind, at, *parts, by=by)

    kinds = {"A": "amended", "C": "corrected", "D": "entered-in-error", "W": "entered-in-error"}
    assert sorted(one(result) for result in await every("Observation")) == sorted(
        [("final", "HB", "3"), (kinds[status], "HbA1c", "9")]
    )


async def test_a_correction_with_a_sub_id_beside_its_result_without_is_another(say, every):
    for at, told in (
        ("1000", [found("F", "7")]),
        ("1100", [found("F", "7"), found("C", "9", sub_id="1", number=2)]),
        ("1200", [found("F", "7")]),
    ):
        kind, parts, by = results("F", *told)
        await say(kind, at, *parts, by=by)

    assert len(await every("Observation")) == 2
