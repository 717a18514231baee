"""A message made of FHIR says what the FHIR said: read again, it gives the same facts."""

from datetime import date

import emit_parts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


TEXTS = st.text(
    st.sampled_from("abcXYZ 0129|^~\\&珅玘䶮沈桂芳（）·,.-/<>%"), min_size=1, max_size=20
).map(lambda text: " ".join(text.split()) or "x")
CODES = st.text(st.sampled_from("ABCDEFG0123456789-"), min_size=1, max_size=8)
NUMBERS = st.decimals(0, 5000, places=2).map(lambda number: f"{number:f}")


def escaped(text: str) -> str:
    marks = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
    return "".join(marks.get(sign, sign) for sign in text)


RESULTS = st.lists(
    st.one_of(
        st.tuples(st.just("NM"), NUMBERS, st.sampled_from(["mmol/L", "g/L", "%", "10\\S\\9/L"])),
        st.tuples(st.just("ST"), st.sampled_from(["阴性", "2+", "未见异常"]), st.just("")),
        st.tuples(st.just("TX"), TEXTS.map(escaped), st.just("")),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(
    results=RESULTS,
    note=TEXTS.map(escaped),
    number=CODES,
    born=st.dates(date(1930, 1, 1), date(2020, 1, 1)),
    sex=st.sampled_from("MFOU"),
    version=st.sampled_from(VERSIONS),
)
def test_a_generated_report_comes_back_with_the_same_facts(
    results, note, number, born, sex, version
):
    lines = [
        "MSH|^~\\&|LIS|SHTH01|HUB|H|20250314103000||ORU^R01^ORU_R01|G1|P|2.5|||||CHN|UNICODE UTF-8",
        f"PID|1||T{number}^^^SHTH01^PI||沈^桂芳^^^^^L^I||{born:%Y%m%d}|{sex}",
        f"OBR|1|P{number}^SHTH01|F{number}^LIS|SH-{number}^组合^L|||20250314081000"
        "|||||||||||||||20250314102800||CH|F",
        *(
            f"OBX|{at}|{kind}|C{at}^项目{at}^L||{value}|{unit}||N|||F|||20250314081000"
            for at, (kind, value, unit) in enumerate(results, start=1)
        ),
        f"NTE|1|L|{note}",
    ]
    conversion = emit_parts.read("\r".join(lines).encode())

    emitted = emit_parts.written(conversion, "ORU^R01", Receiver(version=version))

    assert emit_parts.facts(conversion) ^ emit_parts.facts(emit_parts.read(emitted.raw)) == set()


@settings(max_examples=25, deadline=None)
@given(
    reason=TEXTS.map(escaped),
    note=TEXTS.map(escaped),
    number=CODES,
    priority=st.sampled_from("SAR"),
    diagnosis=st.sampled_from(["E11.900^2型糖尿病^ICD10CN", "I10^高血压^I10", "X1^自定^L"]),
)
def test_a_generated_referral_comes_back_with_the_same_facts(
    reason, note, number, priority, diagnosis
):
    lines = [
        "MSH|^~\\&|CHIS|ZJJCHC|ZZPT|SHTH01|20250310094005||REF^I12^REF_I12|G2|P|2.4",
        f"RF1|P|{priority}|MED^专科^HL70281|SO^会诊^HL70282||R{number}^ZJJCHC|20250310094000"
        f"|20250409235959||W1^{reason}^99QPRR",
        "PRD|RP|戴^慧||^^^ZJJCHC|||D10023^ZJJCHC",
        "PRD|RT|内分泌科||^^^SHTH01",
        f"PID|1||Z{number}^^^ZJJCHC^PI||欧阳^志明||19530412|M",
        f"DG1|1||{diagnosis}||20180601|W",
        f"NTE|1|L|{note}",
    ]
    conversion = emit_parts.read("\r".join(lines).encode())

    emitted = emit_parts.written(conversion, "REF^I12")

    assert emit_parts.facts(conversion) ^ emit_parts.facts(emit_parts.read(emitted.raw)) == set()
