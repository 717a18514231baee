"""When an order is to be done: several TQ1 and TQ, patterns, as needed, priorities.

Spec: HL7v2 chapter 4, TQ1 and TQ, tables 0335 and 0485; R4 Timing, Dosage.sequence
"""

import pytest
from conversion_parts import converted, errors, lines, only

PID = "PID|1||T1^^^CLINIC^MR||Shen^Guifang||19530412|F"
RXO, OBR = "RXO|A^Aspirin|1||TAB", "OBR|1|P1||X^Y"
FURTHER = "/further-schedule"


def made(kind, *segments, version="2.5.1"):
    head = f"MSH|^~\\&|A|CLINIC|||20250315||{kind}|C1|P|{version}"
    conversion = converted(lines(head, PID, *segments))
    assert errors(conversion) == []
    return conversion


def medicine(*segments):
    return only(made("OMP^O09^OMP_O09", *segments), "MedicationRequest")


def order(*segments, kind="OML^O21^OML_O21", version="2.5.1"):
    return only(made(kind, *segments, version=version), "ServiceRequest")


def named(timing):
    return timing["code"]["coding"][0]["code"]


def doses(request):
    """Return sequence, pattern, dose and route of each dosage."""
    return [
        (
            one.get("sequence"),
            named(one["timing"]),
            one["doseAndRate"][0]["doseQuantity"]["value"],
            *(coding["code"] for coding in one.get("route", {}).get("coding", ())[:1]),
        )
        for one in request["dosageInstruction"]
    ]


def further(request):
    told = (one for one in request.get("extension", ()) if one["url"].endswith(FURTHER))
    return [named(one["valueTiming"]) for one in told]


@pytest.mark.parametrize(("then", "first", "second"), [("S", 1, 2), ("A", 1, 1), ("", None, None)])
def test_each_schedule_of_a_prescription_is_a_dosage_with_dose_and_route(then, first, second):
    told = (f"TQ1|1||QAM||||20250316|20250320||||{then}", "TQ1|2||QHS||||20250321|20250330")
    found = medicine("ORC|NW|P1", *told, RXO, "RXR|PO")
    assert doses(found) == [(first, "QAM", 1, "PO"), (second, "QHS", 1, "PO")]
    bounds = [one["timing"]["repeat"]["boundsPeriod"] for one in found["dosageInstruction"]]
    assert bounds == [
        {"start": "2025-03-16", "end": "2025-03-20"},
        {"start": "2025-03-21", "end": "2025-03-30"},
    ]


def test_schedules_with_amounts_of_their_own_have_them():
    told = ("TQ1|1|4^TAB|QD|||3^d||||||S", "TQ1|2|2^TAB|QD|||3^d|||||then less|S", "TQ1|3|1^TAB|QD")
    found = medicine("ORC|NW|P1", *told, "RXO|A^Prednisone")
    assert doses(found) == [(1, "QD", 4), (2, "QD", 2), (3, "QD", 1)]
    assert [one.get("text") for one in found["dosageInstruction"]] == [None, "then less", None]


def test_a_schedule_that_the_pharmacy_says_again_is_one():
    again = ("TQ1|1||QAM", "TQ1|2||QHS")
    order = ("ORC|NW|P1", *again, "RXE||A^Aspirin|1||TAB", *again, "RXR|PO")
    found = only(made("RDE^O11^RDE_O11", *order), "MedicationRequest")
    assert doses(found) == [(None, "QAM", 1, "PO"), (None, "QHS", 1, "PO")]


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("OMP^O09", ("ORC|NW|P1", "TQ1|1||QAM~QHS", RXO, "RXR|PO")),
        ("RDE^O01", ("ORC|NW|P1", "RXE|1^QAM~1^QHS|A^Aspirin|1||TAB", "RXR|PO")),
        ("RDE^O01", ("ORC|NW|P1|||||1^QAM~1^QHS", "RXE||A^Aspirin|1||TAB", "RXR|PO")),
        ("ORM^O01", ("ORC|NW|P1|||||1^QAM~1^QHS", RXO, "RXR|PO")),
    ],
)
def test_a_pattern_or_quantity_that_repeats_is_a_dosage_each(kind, segments):
    found = only(made(kind, *segments, version="2.4"), "MedicationRequest")
    assert doses(found) == [(None, "QAM", 1, "PO"), (None, "QHS", 1, "PO")]


@pytest.mark.parametrize(
    "segments",
    [
        ("ORC|NW|P1", "TQ1|1||QAM", "TQ1|2||QHS", OBR),
        ("ORC|NW|P1", "TQ1|1||QAM~QHS", OBR),
        ("ORC|NW|P1|||||^QAM~^QHS", OBR),
        ("ORC|NW|P1", OBR + "|" * 23 + "^QAM~^QHS"),
    ],
)
def test_further_schedules_of_an_order_extend_it(segments):
    found = order(*segments)
    assert named(found["occurrenceTiming"]) == "QAM"
    assert further(found) == ["QHS"]


def test_a_schedule_is_of_its_own_order():
    two = ("ORC|NW|P1", "TQ1|1||QAM", "TQ1|2||QHS", OBR, "ORC|NW|P2", "TQ1|1||BID", "OBR|2|P2||U^V")
    found = [
        one.resource
        for one in made("OML^O21^OML_O21", *two).resources
        if one.resource["resourceType"] == "ServiceRequest"
    ]
    assert [(named(one["occurrenceTiming"]), further(one)) for one in found] == [
        ("QAM", ["QHS"]),
        ("BID", []),
    ]


@pytest.mark.parametrize(
    ("pattern", "repeat"),
    [
        ("Q4H&0800", {"frequency": 1, "period": 4, "periodUnit": "h", "timeOfDay": ["08:00:00"]}),
        ("QD&0900,2100", {"period": 1, "timeOfDay": ["09:00:00", "21:00:00"]}),
        ("Q4-6H", {"frequency": 1, "period": 4, "periodMax": 6, "periodUnit": "h"}),
        ("Q1J2", {"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["tue"]}),
        ("QJ135", {"frequency": 3, "period": 1, "dayOfWeek": ["mon", "wed", "fri"]}),
        ("Q2J7", {"frequency": 1, "period": 2, "periodUnit": "wk", "dayOfWeek": ["sun"]}),
        ("3XW", {"frequency": 3, "period": 1, "periodUnit": "wk"}),
        ("PRNBID", {"frequency": 2, "period": 1, "periodUnit": "d"}),
        ("Q6H PRN", {"frequency": 1, "period": 6, "periodUnit": "h"}),
        ("PRN Q5H", {"frequency": 1, "period": 5, "periodUnit": "h"}),
        ("QD、PRN", {"frequency": 1, "period": 1, "periodUnit": "d"}),
        ("必要时，每日三次", {"frequency": 3, "period": 1, "periodUnit": "d"}),
        ("每日3次", {"frequency": 3, "period": 1, "periodUnit": "d"}),
        ("一天五次", {"frequency": 5, "period": 1, "periodUnit": "d"}),
        ("5次/天", {"frequency": 5, "period": 1, "periodUnit": "d"}),
        ("每八小时一次", {"frequency": 1, "period": 8, "periodUnit": "h"}),
        ("每十二小时", {"frequency": 1, "period": 12, "periodUnit": "h"}),
        ("1次/2周", {"frequency": 1, "period": 2, "periodUnit": "wk"}),
        ("ST", {"count": 1}),
    ],
)
def test_a_pattern_is_read(pattern, repeat):
    timing = order("ORC|NW|P1", f"TQ1|1||{pattern}", OBR)["occurrenceTiming"]
    assert repeat.items() <= timing["repeat"].items()
    assert timing["code"]["text"] == pattern.partition("&")[0]


def test_hours_beside_an_event_stay_the_name_of_the_pattern():
    timing = order("ORC|NW|P1", "TQ1|1||QHS&2100", OBR)["occurrenceTiming"]
    assert timing["code"]["text"] == "2100"
    assert "timeOfDay" not in timing["repeat"]


@pytest.mark.parametrize(
    ("kind", "segments"),
    [
        ("OMP^O09", ("ORC|NW|P1", "TQ1|1||TID", "TQ1|2||Q6H PRN|||||||pain", RXO)),
        ("OMP^O09", ("ORC|NW|P1", "TQ1|1||TID", "TQ1|2||Q6H||||||PRN|pain", RXO)),
        ("RDE^O11", ("ORC|NW|P1", "RXE|^TID~^Q6H PRN^^^^^pain|A^Aspirin|1||TAB")),
        ("RDE^O11", ("ORC|NW|P1|||||^TID~^Q6H^^^^PRN^pain", "RXE||A^Aspirin|1||TAB")),
    ],
)
def test_a_further_schedule_of_a_prescription_is_done_as_needed_by_itself(kind, segments):
    found = only(made(kind, *segments), "MedicationRequest")["dosageInstruction"]
    assert [one.get("asNeededCodeableConcept") for one in found] == [None, {"text": "pain"}]
    assert found[1]["additionalInstruction"] == [{"text": "pain"}]


def test_each_of_several_tq_is_one_dosage_with_its_own_amount_and_words():
    told = "RXE|1&TAB^TID^^^^^before^first~2&TAB^QHS^^^^^after^then|A^Aspirin"
    found = only(made("RDE^O11", "ORC|NW|P1", told), "MedicationRequest")
    assert doses(found) == [(None, "TID", 1), (None, "QHS", 2)]
    words = [
        (one["text"], one["additionalInstruction"][0]["text"]) for one in found["dosageInstruction"]
    ]
    assert words == [("first", "before"), ("then", "after")]


@pytest.mark.parametrize("numbers", [("", ""), ("2", "3"), ("9", "10")])
def test_a_schedule_is_a_further_one_by_its_place_whatever_number_it_has(numbers):
    told = [f"TQ1|{number}||{often}" for number, often in zip(numbers, ("QAM", "QHS"), strict=True)]
    found = medicine("ORC|NW|P1", *told, RXO)
    assert doses(found) == [(None, "QAM", 1), (None, "QHS", 1)]
    ordered = order("ORC|NW|P1", *told, OBR)
    assert (named(ordered["occurrenceTiming"]), further(ordered)) == ("QAM", ["QHS"])


def test_a_schedule_alone_is_the_one_of_its_order_whatever_number_it_has():
    found = medicine("ORC|NW|P1", "TQ1|2||BID", RXO)
    assert doses(found) == [(None, "BID", 1)]
    assert further(order("ORC|NW|P1", "TQ1|2||BID", OBR)) == []


def test_a_further_pattern_without_a_condition_is_done_as_needed():
    found = medicine("ORC|NW|P1", "TQ1|1||每日三次~必要时", RXO)["dosageInstruction"]
    assert [one.get("asNeededBoolean") for one in found] == [None, True]


def test_how_often_stands_in_the_name_of_a_hospitals_own_code():
    timing = order("ORC|NW|P1", "TQ1|1||7&必要时 每日三次&99FRQ", OBR)["occurrenceTiming"]
    assert timing["repeat"] == {"frequency": 3, "period": 1, "periodUnit": "d"}
    assert timing["code"] == {"text": "必要时 每日三次"}


@pytest.mark.parametrize("pattern", ["每周二", "0次/日", "每0小时", "8小时", "不必要时"])
def test_what_is_no_pattern_stays_its_text(pattern):
    timing = order("ORC|NW|P1", f"TQ1|1||{pattern}", OBR)["occurrenceTiming"]
    assert timing == {"code": {"text": pattern}}


@pytest.mark.parametrize(
    ("pattern", "condition", "as_needed"),
    [
        ("PRN", "", ("asNeededBoolean", True)),
        ("Q6H PRN", "pain", ("asNeededCodeableConcept", {"text": "pain"})),
        ("必要时", "", ("asNeededBoolean", True)),
        ("SOS", "", ("asNeededBoolean", True)),
        ("12&必要时&99FRQ", "疼痛", ("asNeededCodeableConcept", {"text": "疼痛"})),
        ("不必要时", "", None),
        ("BID", "", None),
    ],
)
def test_what_is_done_as_needed_says_so(pattern, condition, as_needed):
    told = f"TQ1|1||{pattern}|||||||{condition}"
    (dosage,) = medicine("ORC|NW|P1", told, RXO)["dosageInstruction"]
    for found in (dosage, order("ORC|NW|P1", told, OBR)):
        given = {name: value for name, value in found.items() if name.startswith("asNeeded")}
        assert given == ({as_needed[0]: as_needed[1]} if as_needed else {})


def test_the_condition_of_an_order_is_that_under_which_it_is_done():
    for segments in (
        ("ORC|NW|P1", "TQ1|1||BID|||||||if fever", OBR),
        ("ORC|NW|P1|||||^BID^^^^^if fever", OBR),
        ("ORC|NW|P1", OBR + "|" * 23 + "^BID^^^^^if fever"),
    ):
        assert order(*segments)["asNeededCodeableConcept"] == {"text": "if fever"}


def test_the_condition_of_a_prescription_is_an_instruction():
    (dosage,) = medicine("ORC|NW|P1|||||2&TAB^BID^^^^^with food^now", "RXO|A^Aspirin")[
        "dosageInstruction"
    ]
    assert dosage["additionalInstruction"] == [{"text": "with food"}]
    assert dosage["text"] == "now"
    assert dosage["doseAndRate"][0]["doseQuantity"]["value"] == 2


@pytest.mark.parametrize("code", ["TS30", "TM5", "TH2", "TD3", "TW2", "TL1", "T"])
def test_what_is_timing_critical_is_urgent(code):
    assert order("ORC|NW|P1", f"TQ1|1||||||||{code}", OBR)["priority"] == "urgent"


def test_a_priority_for_as_needed_is_one_too():
    found = order("ORC|NW|P1", "TQ1|1||||||||PRN", OBR)
    assert (found["priority"], found["asNeededBoolean"]) == ("routine", True)


def test_a_service_that_ends_begins_as_long_before_as_it_lasts():
    told = "TQ1|1||BID|||10^d||20250330"
    (dosage,) = medicine("ORC|NW|P1", told, RXO)["dosageInstruction"]
    for timing in (dosage["timing"], order("ORC|NW|P1", told, OBR)["occurrenceTiming"]):
        assert timing["repeat"]["boundsPeriod"] == {"start": "2025-03-20", "end": "2025-03-30"}


def test_how_long_one_time_lasts_is_read_of_the_older_form():
    found = order("ORC|NW|P1|||||^BID^^^^^^^^^15&min^20", OBR)
    repeat = found["occurrenceTiming"]["repeat"]
    assert (repeat["duration"], repeat["durationUnit"], repeat["count"]) == (15, "min", 20)
