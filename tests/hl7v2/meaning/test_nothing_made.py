"""Messages of which nothing can be made are not accepted: AA would say that they are stored.

Spec: docs/hl7v2.md, what if something fails
"""

import pytest
from conversion_parts import mappings
from meaning_parts import person, segment

from fhir_hub.hl7v2.conversion.convert import convert
from fhir_hub.hl7v2.parsing import er7

RESULT = (
    segment("OBR", f1="1", f3="F1", f4="GLU^Glucose", f25="F"),
    segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F"),
)


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param((), id="MSH alone"),
        pytest.param(("OBX|1",), id="an empty OBX"),
        pytest.param(("OBR|1", "OBX|1|NM|"), id="an empty order"),
        pytest.param(("ZZZ|1|a",), id="a Z-segment alone"),
        pytest.param(("PID|1", "OBX|1|NM|"), id="an empty PID"),
        pytest.param(("PID|1||||||tomorrow|", "OBX|1|NM|"), id="a PID that cannot be read"),
    ],
)
async def test_a_message_of_which_nothing_is_made_is_refused(say, every, segments):
    answer = await say("ORU^R01", "0800", *segments, ack="AE")

    assert "nothing can be made" in str(answer)
    assert "无法生成" in str(answer)
    assert await every("Organization") == await every("Provenance") == []
    assert await every("Patient") == []


async def test_an_appointment_of_nobody_is_refused(say, every):
    await say("SIU^S12", "0800", "SCH|1", ack="AE")

    assert await every("Appointment") == []


@pytest.mark.parametrize("small", [("PID", "OBR", "OBX"), ("PID",), ("OBX",)])
async def test_segment_names_in_small_letters_are_refused(say, every, small):
    lines = [
        line.replace(line[:3], line[:3].lower(), 1) if line[:3] in small else line
        for line in (person(), *RESULT)
    ]
    answer = await say("ORU^R01", "0800", *lines, ack="AE")

    assert f"{small[0]} is in small letters" in str(answer)
    assert "小写" in str(answer)
    assert await every("Patient") == await every("Observation") == []


def test_the_report_names_segments_in_small_letters():
    header = "MSH|^~\\&|HIS|SHTH01|HUB|QPRHP|20250314||ORU^R01|C1|P|2.5"
    raw = "\r".join([header, person(), RESULT[1].lower(), "", "abc", "obx is no segment", ""])
    report = convert(er7.parse(raw), mappings()).report

    told = [issue.text for issue in report.issues() if issue.code == "small-segment-name"]
    assert told == ["OBX is in small letters, so it is no OBX"]
