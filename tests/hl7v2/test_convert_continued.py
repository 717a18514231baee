"""What goes on elsewhere: a segment in ADD, a message in another one.

Spec: HL7v2 chapter 2, 2.10.2 (continuation messages and segments), table 0398
"""

import pytest
from conversion_parts import converted, lines, only, states

from fhir_hub.errors import InvalidMessage

HEAD = "MSH|^~\\&|LIS|LAB1|HUB|QPRHP|20250315101500||ORU^R01^ORU_R01|C1|P|2.5.1"
PID = "PID|1||T1^^^LAB1^MR||Shen^Guifang"
OBR = "OBR|1|P1|F1|24604-1^Mammogram^LN|||20250314|||||||||||||||P"
TEXT = "OBX|1|TX|24604-1^Mammogram^LN||No mass se"


@pytest.mark.parametrize(
    ("added", "value"),
    [
        (["ADD|en. BI-RADS 1.||||||F"], "No mass seen. BI-RADS 1."),
        (["ADD|en in the", "ADD| left breast.||||||F"], "No mass seen in the left breast."),
        (["ADD|en,", "axilla free.||||||F"], "No mass seen,\naxilla free."),
        (["ADD|||||||F"], "No mass se"),
    ],
)
def test_a_segment_goes_on_where_it_stopped(added, value):
    conversion = converted(lines(HEAD, PID, OBR, TEXT, *added, "NTE|1||checked"))

    found = only(conversion, "Observation")
    assert (found["valueString"], found["status"]) == (value, "final")
    assert found["note"] == [{"text": "checked"}]
    assert states(conversion)["OBX-11", 3] == "mapped"


@pytest.mark.parametrize(
    ("segments", "location"),
    [
        pytest.param((HEAD, PID, OBR, TEXT, "ADD|", "DSC|X1|F"), "ADD", id="a segment stops"),
        pytest.param((HEAD, PID, OBR, TEXT, "ADD"), "ADD", id="a segment stops, nothing behind it"),
        pytest.param((HEAD, PID, OBR, TEXT, "DSC|X1|F"), "DSC-1", id="a message stops"),
        pytest.param((HEAD, PID, OBR, TEXT, "DSC|X1"), "DSC-1", id="before 2.4 without a style"),
        pytest.param((f"{HEAD}||X1", "ADD|en.||||||F"), "ADD", id="the rest of a segment"),
    ],
)
def test_a_part_of_a_message_is_refused(segments, location):
    with pytest.raises(InvalidMessage) as caught:
        converted(lines(*segments))

    error = caught.value
    assert (error.ack_code, error.error_code, error.location) == ("AE", "207", location)


@pytest.mark.parametrize("end", ["DSC|", 'DSC|""', "DSC|X1|I"])
def test_a_message_of_which_no_part_is_elsewhere_is_taken(end):
    conversion = converted(lines(f"{HEAD}||X0", PID, OBR, f"{TEXT}en||||||F", end))

    assert only(conversion, "Observation")["valueString"] == "No mass seen"
