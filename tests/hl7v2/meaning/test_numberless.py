"""Results whose order has no number, or that stand under none: a resend is the same result.

Spec: HL7v2 chapter 7, ORU_R01 (PATIENT_OBSERVATION, OBX); docs/hl7v2-maps.md, keys
"""

import pytest
from meaning_parts import person, segment, visit


def glucose(value, at="", status="F"):
    return segment("OBX", f1="1", f2="NM", f3="GLU^x^L", f5=value, f11=status, f14=at)


def panel(code, at=""):
    return segment("OBR", f1="1", f4=f"{code}^x^L", f7=at)


def dose(number, value):
    return [f"ORC|RE||F{number}", "RXA|0|1|20250314||X^x|1", glucose(value)]


async def current(every):
    """Return value and version of each result, in the order in which they came."""
    return [
        (str(one["valueQuantity"]["value"]), one["meta"]["versionId"])
        for one in await every("Observation")
    ]


async def test_results_under_no_order_are_updated_by_a_resend_of_some(say, every):
    weight = segment("OBX", f1="2", f2="NM", f3="WT^x^L", f5="70", f11="F")
    await say("ORU^R01", "0800", person(), glucose("5", status="P"), weight)
    await say("ORU^R01", "0810", person(), weight, glucose("6", status="C"))
    assert await current(every) == [("6", "2"), ("70", "1")]


async def test_who_has_the_number_of_a_stay_alone_is_one_patient_and_her_child_another(say, every):
    stay = "ZY0098811^^^SGYY^住院号"
    mother = person(f3=stay, f5="王伟", f7="19850304")
    child = person(f3=stay, f5="王伟之子", f7="20250314", f8="M")
    await say("ADT^A01", "0800", mother, visit(f2="I"), by="HIS|SGYY")
    await say("ORU^R01", "0900", mother, glucose("5"), by="LIS|SGYY")
    await say("ADT^A01", "0930", child, visit(f2="I", f19="V2"), by="HIS|SGYY")
    await say("OMP^O09", "1000", mother, by="EMR|SGYY")

    assert [one["name"][0]["text"] for one in await every("Patient")] == ["王伟", "王伟之子"]


async def test_results_of_panels_without_numbers_are_those_of_their_panel(say, every):
    await say("ORU^R01", "0800", person(), panel("FAST"), glucose("5"), panel("1H"), glucose("8"))
    await say("ORU^R01", "0810", person(), panel("1H"), glucose("9", status="C"))
    assert await current(every) == [("5", "1"), ("9", "2")]


async def test_a_result_without_a_time_is_that_of_its_visit(say, every):
    for at, number, value in (("0800", "V1", "5"), ("0900", "V2", "9"), ("1000", "V2", "8")):
        await say("ORU^R01", at, person(), visit(f19=number), panel("A"), glucose(value))
    assert await current(every) == [("5", "1"), ("8", "2")]
    assert len(await every("DiagnosticReport")) == 2


async def test_what_is_seen_of_a_patient_is_of_no_order_that_comes_behind_it(say, every):
    for number in ("1", "2"):
        order = [
            f"ORC|RE|P{number}|F{number}",
            segment("OBR", f3=f"F{number}", f4="A^a", f7="0800"),
        ]
        seen = segment("OBX", f1="1", f2="NM", f3="WT^x^L", f5="70", f11="F")
        await say("ORU^R01", f"090{number}", person(), seen, *order, glucose(number))
    assert await current(every) == [("70", "1"), ("1", "1"), ("2", "1")]
    assert "effectiveDateTime" not in (await every("Observation"))[0]


async def test_a_resend_finds_what_a_build_of_before_stored_under_another_key(say, every):
    await say("VXU^V04", "0800", person(), *dose(1, "4"), glucose("5"))  # F1/GLU, F1/GLU#2
    await say("VXU^V04", "0810", person(), *dose(1, "4"), *dose(2, "5"))
    assert await current(every) == [("4", "1"), ("5", "2")]
    await say("VXU^V04", "0820", person(), *dose(1, "4"), *dose(2, "6"))
    assert await current(every) == [("4", "1"), ("6", "3")]
    at = "202503140700"
    await say("ORU^R01", "0830", person("T2"), glucose("7", at))
    await say("ORU^R01", "0840", person("T2"), panel("A"), glucose("7", at, "C"))
    assert (await current(every))[2:] == [("7", "2")]


def numberless(value, status="F"):
    weight = segment("OBX", f1="2", f2="NM", f3="WT^x^L", f5="70", f11="F")
    return person(), panel("A"), glucose(value, status=status), weight


@pytest.mark.parametrize("is_panel", [True, False])
async def test_results_without_number_time_or_visit_are_those_of_their_message(
    say, every, is_panel
):
    async def tell(at, value, status="F"):
        pid, order, *results = numberless(value, status)
        await say("ORU^R01", at, pid, *([order] if is_panel else []), results[0])
        return await current(every)

    assert await tell("0800", "5") == [("5", "1")]
    assert await tell("0900", "9") == [("5", "1"), ("9", "1")]
    assert await tell("0900", "9") == [("5", "1"), ("9", "1")]
    assert await tell("0930", "9") == [("5", "1"), ("9", "1")]  # the same again
    assert await tell("1000", "8", "C") == [("5", "1"), ("8", "2")]
    assert await tell("1010", "7", "P") == [("5", "1"), ("8", "2"), ("7", "1")]
    assert await tell("1020", "6") == [("5", "1"), ("8", "2"), ("6", "2")]
    assert len(await every("DiagnosticReport")) == (3 if is_panel else 0)


async def test_a_report_without_number_time_or_visit_is_that_of_its_results(say, every):
    for at, value in (("0800", "5"), ("0810", "9"), ("0820", "5")):
        await say("ORU^R01", at, *numberless(value))
    first, second = await every("DiagnosticReport")
    assert first["result"][0] != second["result"][0]
    await say("ORU^R01", "0830", *numberless("8", "C")[:3])
    assert sorted(value for value, _ in await current(every)) == ["5", "70", "8"]
