"""An order or a supply that is told again: what it said more than once, and what it says no more.

Spec: HL7v2 chapter 4A, RDE and RDS; docs/hl7v2-meaning.md
"""

import pytest
from meaning_parts import person

RXE = "RXE||A^Aspirin|1||TAB"
MIXED = ("RXC|A|G^Glucose|5|ml", "RXC|A|H^Water|5|ml", "RXC|A|K^Potassium|5|ml")
ALTERNATIVE, COMPONENT, FURTHER = "alternative-route", "medication-component", "further-schedule"


def told(resource, name):
    """Return the first code in each extension of a name."""
    codes = []
    for one in resource.get("extension", ()):
        if one["url"].endswith(f"/{name}"):
            part = one.get("extension", [one])[0]
            concept = part.get("valueCodeableConcept") or part["valueTiming"]["code"]
            codes.append(concept["coding"][0]["code"])
    return codes


async def test_an_order_that_comes_again_has_each_component_and_way_once(say, only):
    order = ("ORC|XO|P1", RXE, "TQ1|1||BID", "RXR|IV", "RXR|PO", "RXR|IM", *MIXED)
    await say("RDE^O11", "0900", person(), *order)
    await say("RDE^O11", "1000", person(), *order)

    again = await only("MedicationRequest")
    assert told(again, COMPONENT) == ["G", "H", "K"]
    assert told(again, ALTERNATIVE) == ["PO", "IM"]
    assert again["meta"]["versionId"] == "1"


@pytest.mark.parametrize(
    ("kind", "item", "supplied"),
    [
        ("RDE^O11", "MedicationRequest", ()),
        ("RDS^O13", "MedicationDispense", ("RXD|1|A^Aspirin|20250315|10|TAB||R1",)),
    ],
)
async def test_ways_and_components_that_are_told_no_more_are_over(say, only, kind, item, supplied):
    order = ("ORC|XO|P1", RXE, *supplied)
    await say(kind, "0900", person(), *order, "RXR|IV", "RXR|PO", "RXR|IM", *MIXED)
    await say(kind, "1000", person(), *order, "RXR|PO", "RXR|IV", *MIXED[:2])
    changed = await only(item)
    assert (told(changed, ALTERNATIVE), told(changed, COMPONENT)) == (["IV"], ["G", "H"])

    await say(kind, "1100", person(), *order, "RXR|PO")
    assert told(await only(item), ALTERNATIVE) == []


@pytest.mark.parametrize(
    ("kind", "control", "by", "kept"),
    [
        pytest.param("RDE^O11", "XO", "HIS|SHTH01", [], id="changed by who ordered it"),
        pytest.param("RDE^O11", "DC", "HIS|SHTH01", ["G", "H", "K"], id="stopped"),
        pytest.param("RDE^O11", "HD", "HIS|SHTH01", ["G", "H", "K"], id="on hold"),
        pytest.param("RDS^O13", "RE", "HIS|SHTH01", ["G", "H", "K"], id="supplied"),
        pytest.param("RDE^O11", "XO", "PHA|SHTH01", ["G", "H", "K"], id="changed by another"),
    ],
)
@pytest.mark.parametrize("comes", [1, -1])
async def test_a_mixture_that_is_told_anew_without_components_is_none(
    say, only, kind, control, by, kept, comes
):
    mixed = ("RDE^O11", "0900", (person(), "ORC|NW|P1^HIS", RXE, "RXR|IV", *MIXED), "HIS|SHTH01")
    supply = ("RXD|1|A^Aspirin|20250315|10|TAB||R1",) if kind == "RDS^O13" else ()
    anew = (kind, "1000", (person(), f"ORC|{control}|P1^HIS", RXE, "RXR|IV", *supply), by)
    for event, at, segments, sender in (mixed, anew)[::comes]:
        await say(event, at, *segments, by=sender)

    assert told(await only("MedicationRequest"), COMPONENT) == kept


async def test_a_schedule_that_is_told_anew_is_all_there_is(say, only):
    obr = "OBR|1|P1||X^Y"
    await say("OML^O21", "0900", person(), "ORC|NW|P1", "TQ1|1||Q6H PRN", "TQ1|2||QHS", obr)
    before = await only("ServiceRequest")
    assert (told(before, FURTHER), before["asNeededBoolean"]) == (["QHS"], True)

    await say("OML^O21", "1000", person(), "ORC|XO|P1", obr)
    assert told(await only("ServiceRequest"), FURTHER) == ["QHS"]

    await say("OML^O21", "1100", person(), "ORC|XO|P1", "TQ1|1||BID", obr)
    after = await only("ServiceRequest")
    assert (told(after, FURTHER), "asNeededBoolean" in after) == ([], False)
