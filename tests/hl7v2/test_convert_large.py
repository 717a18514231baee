"""A message of very many segments or repetitions takes as long as it is, and no longer.

Function calls are counted, because they are the same on every machine.
"""

import sys

import pytest
from conversion_parts import converted, lines, of_type

MSH = "MSH|^~\\&|XIS|TEST01|HUB|QPRHP|20250315101500||{}|C1|P|2.5.1"
PID = "PID|1||T1^^^TEST01^PI||沈^桂芳||19530412|F"


def calls(text, work=converted):
    """Return how many functions a conversion calls, or other work on a message."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work(text)
    finally:
        sys.setprofile(None)
    return count


def orders(count):
    """Return a message of orders, each with a doctor of its own, and a field that no row reads."""
    segments = [MSH.format("ORU^R01^ORU_R01"), PID]
    segments += [
        f"OBR|{n}|P{n}|F{n}|X^Y|||20250314||||||||||||||||||F||D{n}^周^明" for n in range(count)
    ]
    return lines(*segments)


def test_twice_as_many_orders_take_twice_as_many_steps():
    converted(orders(2))  # what is remembered of the maps and codes

    assert calls(orders(120)) < 2.1 * calls(orders(60))


def message_of(kind, *segments, behind=()):
    """Return what writes a message with so many times such segments, each with its number."""
    return lambda count: lines(
        MSH.format(kind),
        PID,
        *behind,
        *(one.format(n) for n in range(count) for one in segments),
    )


ORDER = "OBR|1|P1|F1|X^Y|||20250314||||||||||||||||||F"
PROBLEM = "PRB|AD|20250101|P^x|PI"


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(message_of("OMP^O09^OMP_O09", "ORC|NW|P{}"), id="orders of nothing"),
        pytest.param(message_of("OMP^O09^OMP_O09", "ORC|RP|P{}", "RXO|X^Y"), id="orders that go"),
        pytest.param(message_of("MDM^T02^MDM_T02", "TXA|{}|HP", "OBX|1|TX|A^B||line"), id="lines"),
        pytest.param(message_of("SIU^S12^SIU_S12", "SCH|P{}", "RGS|1", "AIS|1"), id="bookings"),
        pytest.param(message_of("ORU^R01^ORU_R01", "OBX", behind=[ORDER]), id="of nothing"),
        pytest.param(
            message_of("ORU^R01^ORU_R01", "PV1|1|I" + "|" * 17 + "V{}", ORDER, "OBX|1|NM|A^B||1"),
            id="visits",
        ),
        pytest.param(
            message_of("PPR^PC1^PPR_PC1", "ROL|R{}|AD|AT|D^Li", behind=[PROBLEM]), id="carers"
        ),
        pytest.param(
            message_of("ADT^A01^ADT_A01", "DG1|{0}||C{0}^X^I10|||A" + "|" * 14 + "D1"),
            id="diagnoses of one number",
        ),
        pytest.param(
            message_of("ADT^A01^ADT_A01", "DG1|1||X^Y^I10||{:04}0101|A" + "|" * 14 + "D1"),
            id="times of one diagnosis",
        ),
        pytest.param(
            message_of("DFT^P03^DFT_P03", "FT1|1|T1||20250101||CG|X^Y|{}"),
            id="charges of one number",
        ),
    ],
)
def test_twice_as_many_segments_take_twice_as_many_steps(made):
    converted(made(2))

    assert calls(made(160)) < 2.2 * calls(made(80))


def test_segments_that_no_map_reads_are_soon_told():
    made = message_of("ADT^A08^ADT_A01", "ZXA|{}|a^b~c|d")

    def told(text):
        return converted(text).report.as_data()

    told(made(2))

    assert calls(made(60), told) < 60 * 2000


def test_of_very_many_repetitions_each_is_kept():
    numbers = "~".join(f"T{n}^^^TEST01^PI" for n in range(300))
    text = lines(MSH.format("ADT^A08^ADT_A01"), f"PID|1||{numbers}||沈^桂芳")
    (patient,) = of_type(converted(text), "Patient")

    assert [one["value"] for one in patient["identifier"]] == [f"T{n}" for n in range(300)]


def test_of_very_many_diagnoses_the_visit_names_each_and_says_what_it_is_for():
    diagnoses = [f"DG1|{n}||I{n}^x^I10|||{'FW'[n % 2]}" for n in range(40)]
    visit = "PV1|1|I|||||||||||||||||V1"
    conversion = converted(lines(MSH.format("ADT^A01^ADT_A01"), PID, visit, *diagnoses))
    (encounter,) = of_type(conversion, "Encounter")
    codes = {
        one.full_url: one.resource["code"]["coding"][0]["code"] for one in conversion.resources
        if one.resource["resourceType"] == "Condition"
    }  # fmt: skip
    assert [codes[one["condition"]["reference"]] for one in encounter["diagnosis"]] == [
        f"I{n}" for n in range(40)
    ]


def test_of_very_many_components_one_that_is_said_again_is_one():
    parts = [f"RXC|B|C{n % 20}^x|{n // 40 + 1}|mg" for n in range(60)]
    order = ["ORC|NW|P1", "RXE|1|D^x^L|1||mg", *parts]
    (request,) = of_type(
        converted(lines(MSH.format("RDE^O11^RDE_O11"), PID, *order)), "MedicationRequest"
    )
    told = [one for one in request["extension"] if one["url"].endswith("medication-component")]
    assert len(told) == 40
