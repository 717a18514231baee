"""Facts of one number that a message tells apart: two codes or times under it are two facts.

Spec: HL7v2 chapter 6, DG1-20, PR1-19 and IN1-36; chapter 3, IAM-7; chapter 7, SPM-2
"""

import pytest
from meaning_parts import person, segment, visit

I10, E11 = "I10^高血压^I10", "E11^糖尿病^I10"
JANUARY, MARCH = "20250110", "20250301"


def diagnosis(code, onset="", number="N1^SHTH01"):
    return segment("DG1", f1="1", f3=code, f5=onset, f6="F", f20=number)


FIRST, SECOND, OTHER = diagnosis(E11, JANUARY), diagnosis(E11, MARCH), diagnosis(I10, JANUARY)
BOTH = {("E11", "2025-01-10"), ("E11", "2025-03-01")}
CODES = {("E11", "2025-01-10"), ("I10", "2025-01-10")}


@pytest.fixture
def diagnosed(every):
    """Return code and onset of the diagnoses in force, and how many there are of all."""

    async def run():
        found = await every("Condition")
        states = ([one["code"]["coding"][0]["code"], one.get("onsetDateTime", "")] for one in found)
        in_force = {
            tuple(told)
            for told, one in zip(states, found, strict=True)
            if one["clinicalStatus"]["coding"][0]["code"] == "active"
        }
        return in_force, len(found)

    return run


@pytest.mark.parametrize(
    ("messages", "in_force", "stored"),
    [
        pytest.param([(FIRST, SECOND)], BOTH, 2, id="two times"),
        pytest.param([(FIRST, OTHER)], CODES, 2, id="two codes"),
        pytest.param([(FIRST, SECOND)] * 2, BOTH, 2, id="sent again"),
        pytest.param([(FIRST, SECOND), (SECOND, FIRST)], BOTH, 2, id="in another order"),
        pytest.param([(FIRST,), (SECOND, FIRST)], BOTH, 2, id="one alone before"),
        pytest.param([(FIRST,), (OTHER, FIRST)], CODES, 2, id="one of a code alone before"),
        pytest.param(
            [(FIRST, SECOND), (SECOND,)],
            {("E11", "2025-03-01")},
            2,
            id="one is not listed any more",
        ),
        pytest.param(
            [(FIRST, OTHER), (diagnosis(I10, MARCH),)],
            {("I10", "2025-03-01")},
            2,
            id="one alone with another time",
        ),
        pytest.param(
            [(FIRST, OTHER), (diagnosis(E11, MARCH), OTHER)],
            {("E11", "2025-03-01"), ("I10", "2025-01-10")},
            2,
            id="a time is corrected",
        ),
        pytest.param(
            [(FIRST, SECOND), (SECOND, diagnosis(E11, "20250111"))],
            {("E11", "2025-03-01"), ("E11", "2025-01-11")},
            2,
            id="a time of two is corrected",
        ),
        pytest.param(
            [(FIRST,), (diagnosis(E11, "20250201"), diagnosis(E11, "20250202"))],
            {("E11", "2025-02-01"), ("E11", "2025-02-02")},
            3,
            id="two others come after one",
        ),
        pytest.param([(FIRST, SECOND, FIRST)], BOTH, 2, id="one of them twice"),
        pytest.param([(FIRST, diagnosis(E11))], {("E11", "2025-01-10")}, 1, id="one without time"),
        pytest.param([(FIRST,), (OTHER,)], {("I10", "2025-01-10")}, 1, id="a code is corrected"),
        pytest.param([(FIRST, SECOND), (diagnosis(E11),)], None, 2, id="nobody says which"),
    ],
)
async def test_diagnoses_of_one_number_are_as_many_as_are_told(
    say, diagnosed, messages, in_force, stored
):
    for at, told in enumerate(messages, 10):
        await say("ADT^A08", f"{at}00", person(), visit(), *told)

    found, number = await diagnosed()
    assert number == stored
    assert len(found) == 1 if in_force is None else found == in_force


RESULT = ("ORC|RE|P1|F1", "OBR|1|P1|F1|C1^Culture")
SWAB = segment("SPM", f1="1", f2="S1^T1", f4="SWAB^Swab")
ISOLATE = segment("SPM", f1="2", f2="S1^T1", f4="ISLT^Isolate")
DOSE = segment("RXA", f1="0", f2="1", f3=JANUARY, f5="08^HepB^CVX", f6="1")
SECOND_DOSE = segment("RXA", f1="0", f2="1", f3=MARCH, f5="08^HepB^CVX", f6="1")
AT_ITS_END = ("id", "meta", "status", "clinicalStatus", "period")  # of what is listed no more
COVER = {"f1": "1", "f3": "X^Payer", "f36": "P1"}


@pytest.mark.parametrize(
    ("event", "kind", "one", "other"),
    [
        pytest.param(
            "ADT^A08",
            "Procedure",
            segment("PR1", f1="1", f3="A1^切除", f5=JANUARY, f19="N1"),
            segment("PR1", f1="2", f3="A1^切除", f5=MARCH, f19="N1"),
            id="procedures of two days",
        ),
        pytest.param(
            "ADT^A08",
            "AllergyIntolerance",
            segment("IAM", f1="1", f2="DA", f3="A^青霉素", f6="A", f7="N1"),
            segment("IAM", f1="2", f2="DA", f3="B^头孢", f6="A", f7="N1"),
            id="allergens",
        ),
        pytest.param(
            "ADT^A08",
            "Coverage",
            segment("IN1", **COVER, f2="310^职工医保"),
            segment("IN1", **COVER, f2="390^大额补助"),
            id="plans of one card",
        ),
        pytest.param(
            "DFT^P03",
            "ChargeItem",
            segment("FT1", f1="1", f2="N1", f4=JANUARY, f6="CG", f7="A^床位费"),
            segment("FT1", f1="2", f2="N1", f4=MARCH, f6="CG", f7="A^床位费"),
            id="charges of two days",
        ),
        pytest.param(
            "DFT^P03",
            "ChargeItem",
            segment("FT1", f1="1", f2="N1", f4=JANUARY, f6="CG", f7="A^床位费"),
            segment("FT1", f1="2", f2="N1", f4=JANUARY, f6="CD", f7="A^床位费"),
            id="a charge and what takes it back",
        ),
        pytest.param("VXU^V04", "Immunization", DOSE, SECOND_DOSE, id="doses of two days"),
        pytest.param("ORU^R01", "Specimen", SWAB, ISOLATE, id="swab and isolate"),
        pytest.param(
            "ORU^R01",
            "Specimen",
            segment("SPM", f1="1", f2="S1^T1", f4="BLD"),
            segment("SPM", f1="2", f2="S1^T2", f4="BLD"),
            id="two tubes of an order",
        ),
    ],
)
async def test_what_one_number_has_twice_is_found_again_each(say, every, event, kind, one, other):
    before = {"ADT^A08": [visit()], "ORU^R01": RESULT}.get(event, ())
    first = []
    between = ("ORC|RE|P1|F1",) if kind == "Immunization" else ()
    for at, told in (("1000", (one, other)), ("1100", (other, one)), ("1200", (one,))):
        told = [line for each in told for line in (*between, each)]
        await say(event, at, person(), *before, *told)

        found = [
            {name: value for name, value in one.items() if name not in AT_ITS_END}
            for one in await every(kind)
        ]
        first = first or found
        assert len(found) == 2
        assert found == first


async def test_what_has_the_number_of_facts_of_another_kind_is_told_apart_too(say, every):
    procedures = [segment("PR1", f1="1", f3=f"{code}^切除", f19="N1^SHTH01") for code in "AB"]

    await say("ADT^A08", "1000", person(), visit(), FIRST, OTHER, *procedures)

    assert [len(await every(kind)) for kind in ("Condition", "Procedure")] == [2, 2]
