"""A message made of FHIR says what the FHIR said: read again, it gives the same facts."""

import emit_parts
import pytest

from fhir_hub.hl7v2.emit.emit import VERSIONS, Receiver
from fhir_hub.hl7v2.emit.validity import faults

EVENTS = {
    "01": "ADT^A04",
    "03": "ADT^A40",
    "04": "SIU^S12",
    "07": "SIU^S26",
    "08": "ORU^R01",
    "09": "ORU^R01",
    "13": "REF^I12",
    "14": "RRI^I12",
    "15": "RRI^I12",
}
# PV1-10 has one component until 2.6: a service's code comes back without system and text.
_SHORTENED = ("serviceType",)


def kept(facts: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in facts if not any(f".{name}." in one[0] for name in _SHORTENED)}


def of_patient(facts: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in facts if one[0].startswith("Patient ")}


@pytest.mark.parametrize("number", ["01", "03", "04", "07", "08", "13", "14", "15"])
def test_an_example_comes_back_with_the_same_facts(number):
    conversion = emit_parts.read(emit_parts.example(number))

    emitted = emit_parts.written(conversion, EVENTS[number])

    before, after = emit_parts.facts(conversion), emit_parts.facts(emit_parts.read(emitted.raw))
    assert kept(before) ^ kept(after) == set()
    assert before
    assert emitted.left_out == ()


@pytest.mark.no_cover  # many rounds of what other tests cover
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("number", ["01", "03", "04", "08", "13", "15"])
def test_what_is_written_has_the_structure_of_its_version(number, version):
    conversion = emit_parts.read(emit_parts.example(number))

    emitted = emit_parts.written(conversion, EVENTS[number], Receiver(version=version))

    assert faults(emitted.text) == []
    assert f"|{version}|" in emitted.text.partition("\r")[0]


def test_a_message_of_another_structure_is_told():
    emitted = emit_parts.written(emit_parts.read(emit_parts.example("08")), "ORU^R01")

    assert faults(emitted.text.replace("OBR|", "OBY|", 1)) != []


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("GBK", "gb18030"), ("GB 18030-2000", "gb18030"), ("UNICODE UTF-8", "utf-8")],
)
def test_characters_whose_bytes_hold_a_delimiter_come_back(charset, codec):
    raw = emit_parts.EXAMPLES.joinpath("quirks/q7_gbk_delimiter_bytes.hl7").read_bytes()
    conversion = emit_parts.read(raw)

    emitted = emit_parts.written(conversion, "ADT^A08", Receiver(charset=charset))

    assert emitted.raw.decode(codec) == emitted.text
    assert f"|{charset}" in emitted.text.partition("\r")[0]
    again = emit_parts.read(emitted.raw)
    before, after = (of_patient(emit_parts.facts(one)) for one in (conversion, again))
    assert before
    assert before ^ after == set()
