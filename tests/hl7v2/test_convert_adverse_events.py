"""What a product did to a patient who had it (PEX P07, P08).

Spec: HL7v2 chapter 7, PES, PEO and PCR; https://hl7.org/fhir/R4/adverseevent.html
"""

from conversion_parts import codes, converted, errors, lines, of_type, only, target
from meaning_parts import segment

MSH = "MSH|^~\\&|ADR|SHTH01|HUB|QPRHP|20250315101500||PEX^{}|C1|P|2.5.1"
PID = "PID|1||T1^^^SHTH01^PI||沈^桂芳||19530412|F"
PES = "PES|市级医院|P7001^钱^芳|||ADR25-7^SHTH01||||202503141600|20250315"
WHAT = {"f2": "271807003^皮疹^SCT", "f3": "20250314", "f9": "Y"}
RASH = segment("PEO", **WHAT, f12="R", f24="202503141530")
DRUG = segment("PCR", f1="J01CA04^阿莫西林^ATC", f6="20261231", f12="LOT7", f20="M")


def report(*segments, event="P07"):
    conversion = converted(lines(MSH.format(event), PID, *segments))
    assert errors(conversion) == []
    return conversion


def test_an_event_with_its_outcome_and_the_products_that_may_be_its_cause():
    other = segment("PCR", f1="N02BE01^对乙酰氨基酚^ATC", f20="N")
    conversion = report(PES, RASH, DRUG, other)

    found = only(conversion, "AdverseEvent")
    assert (found["actuality"], found["identifier"]["value"]) == ("actual", "ADR25-7")
    assert found["event"]["text"] == "皮疹"
    assert (found["date"], found["detected"]) == ("2025-03-14", "2025-03-14T15:30:00+08:00")
    assert found["recordedDate"] == "2025-03-15"
    assert "serious" in codes(found["seriousness"])
    assert "recovering" in codes(found["outcome"])
    assert target(conversion, found["subject"]) is only(conversion, "Patient")
    assert target(conversion, found["recorder"])["name"][0]["text"] == "钱芳"
    first, second = found["suspectEntity"]
    assert target(conversion, first["instance"])["batch"]["lotNumber"] == "LOT7"
    assert "M" in codes(first["causality"][0]["assessment"])
    assert target(conversion, second["instance"])["code"]["text"] == "对乙酰氨基酚"
    assert "N" in codes(second["causality"][0]["assessment"])


def test_events_of_one_report_are_each_their_own_with_their_own_products():
    fever = segment("PEO", f2="386661006^发热^SCT", f9="N", f12="F")
    conversion = report(PES, RASH, DRUG, fever, "PCR|N02BE01^对乙酰氨基酚^ATC", event="P08")

    rash, warm = of_type(conversion, "AdverseEvent")
    assert (rash["event"]["text"], warm["event"]["text"]) == ("皮疹", "发热")
    assert "non-serious" in codes(warm["seriousness"])
    assert warm["detected"] == "2025-03-14T16:00:00+08:00"
    (only_one,) = warm["suspectEntity"]
    assert target(conversion, only_one["instance"])["code"]["text"] == "对乙酰氨基酚"


def test_an_outcome_that_r4_does_not_know_is_left_out():
    conversion = report(PES, segment("PEO", **WHAT, f12="X"))
    assert "outcome" not in only(conversion, "AdverseEvent")
