"""Generated messages, made FHIR, written again in any version: the facts stay the same."""

import emit_parts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_hub.hl7v2.emit.emit import VERSIONS, Receiver

pytestmark = pytest.mark.no_cover  # many rounds of what other tests cover

EXAMPLES = 15


TEXTS = st.text(
    st.sampled_from("abcXYZ 0129|^~\\&珅玘䶮沈桂芳（）·,.-/<>%"), min_size=1, max_size=20
).map(lambda text: " ".join(text.split()) or "x")
CODES = st.text(st.sampled_from("ABCDEFG0123456789-"), min_size=1, max_size=8)
NUMBERS = st.decimals(0, 5000, places=2).map(lambda number: f"{number:f}")


def escaped(text: str) -> str:
    marks = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
    return "".join(marks.get(sign, sign) for sign in text)


def one_of(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


# PV1-10 is a code alone: the ward's own name for the service has no place there.
NAME_OF_SERVICE = "Encounter V1:.serviceType.text"


# Some versions demand OBX-4 of each result: its number is written where there is none.
OF_SUB_ID = (
    "http://hl7.org/fhir/StructureDefinition/observation-v2-subid",
    *("original-sub-identifier", "1", "2", "3", "4", "5", "6"),
)


def is_filled_in(fact: tuple[str, str]) -> bool:
    return ".extension" in fact[0] and fact[1] in OF_SUB_ID


def assert_comes_back(lines: list[str], event: str, version: str = "2.4") -> None:
    conversion = emit_parts.read("\r".join(lines).encode())

    emitted = emit_parts.written(conversion, event, Receiver(version=version))

    before, after = emit_parts.facts(conversion), emit_parts.facts(emit_parts.read(emitted.raw))
    assert before
    changed = {one for one in before ^ after if one[0] != NAME_OF_SERVICE}
    assert {one for one in changed if not is_filled_in(one)} == set()


NUMBERS = one_of(
    *("310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN", "T1^^^SHTH01^PI", "M9^^^SHTH01^MR"),
    *("E12345^^^^PPN", "S900^^^&2.16.156.10011.1.15&ISO^SB", "X1^^^ABC&1.2.3&ISO^PI", "Q1"),
    *("123-45-6789^^^^SS", "AB12^^^&http://x.example/ids&URI^MR"),
)
NAMES = one_of("沈^桂芳", "欧阳^志明", "沈^", "买买提·艾力^", "Smith^John", "O'Neil^", "诸葛^芳")
PHONES = one_of(
    *("^PRN^CP^^86^^13000000001", "13000000001", "021-59720000", "^WPN^PH^^86^21^59720000"),
    *("^NET^Internet^a@b.cn", "^ORN^FX^^^^59720000", "400-800-8888~13000000002"),
)
STREETS = one_of("示范路100弄8号501室", "上海市青浦区示范路1号", "1 Main St", "", "a\\S\\b")
MARITAL = one_of("M^已婚^HL70002^20^已婚^GB/T2261.2", "20", "S", "", "X^其他^L")
ALLERGIES = one_of(
    *("DA|J01CA^青霉素类^ATC|MO|皮疹", "FA|^花生^L|SV|", "EA|X^花粉^L|MI|"),
    *("MC|Y^乳糖^L|U|", "|^尘螨|"),
)


@settings(max_examples=EXAMPLES)
@given(
    numbers=st.lists(NUMBERS, min_size=1, max_size=4, unique=True),
    name=NAMES,
    told=one_of("^^^^^L^I", "^^^^^D^", "", "^^^^^M^A"),
    sex=one_of("M", "F", "男", "9", ""),
    street=STREETS,
    place=one_of(
        "^^201713^CHN^H^朱家角镇^310118", "上海市^上海市^^^B^^青浦区", "^^^^^Suite 3^朝阳区"
    ),
    phone=PHONES,
    marital=MARITAL,
    ethnic=one_of("01", "HA^汉族^GB3304", "汉族", "", "99^外国^L"),
    dead=one_of("|", "20250101120000|Y", "|Y"),
    visit=one_of("O|QKMZ^01^^ZJJCHC^^^^^全科1室", "I|NFM^12^03^SHTH01", "E|内科", "R|W1-2^3"),
    allergy=ALLERGIES,
    # 2.3 has codes alone where these have CE, 2.7 no PID-28
    version=st.sampled_from(VERSIONS[1 : VERSIONS.index("2.7")]),
)
def test_a_generated_registration_comes_back_with_the_same_facts(
    numbers, name, told, sex, street, place, phone, marital, ethnic, dead, visit, allergy, version
):
    lines = [
        "MSH|^~\\&|HIS|SHTH01|HUB|H|20250314103000||ADT^A04^ADT_A01|G1|P|2.5|||||CHN|UNICODE UTF-8",
        f"PID|1||{'~'.join(numbers)}||{name}{told}||19530412|{sex}|||{street}^^{place}||{phone}"
        f"||zh|{marital}||||||{ethnic}||||||CHN^中国^ISO3166|{dead}",
        f"PV1|1|{visit}||||D1^戴^慧^^^^^^SHTH01^L||||||||||||V1^^^SHTH01^VN"
        "|||||||||||||||||||||||||20250310083010",
        f"AL1|1|{allergy}",
    ]

    assert_comes_back(lines, "ADT^A04", version)


RESULTS = st.lists(
    st.one_of(
        one_of("NM|C1^a^L||9.80|mmol/L|3.9-6.1|H", "SN|C1^a^L||>^300|mg/g|<30|H"),
        one_of("SN|C2^b^L||^1^-^2|g/L||N", "SN|C3^c^L||^1^:^128|||A", "ST|C5^e^L||2+||阴性|A"),
        one_of("CE|C4^d^L||260415000^未检出^SCT^NEG^阴性^L||阴性|N", "DT|C7^g^L||20250314|||"),
        one_of("TS|C8^h^L||202503140810|||", "TM|C9^i^L||0810|||", "NM|CA^j^L||<0.5|ng/mL|0-4|N"),
        one_of("NM|C1^a^L|1|8|10\\S\\9/L|3.5-9.5|LL", "NM|85354-9^血压^LN||148/92|mmHg|90-140|H"),
        one_of("NM|CC^l^LN^X^y^L||5|%^百分比^L|≤6|WR", "DR|CE^n^L||20250101^20250201|||"),
        TEXTS.map(escaped).map(lambda text: f"TX|C6^f^L||{text}|||"),
        one_of(*("TX|CF^o^L||<0.5|||", "FT|CF^o^L||12|||", "TX|CF^o^L||≥ 60|||")),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda result: tuple(result.split("|")[1:3]),
)


@settings(max_examples=EXAMPLES)
@given(
    results=RESULTS,
    note=TEXTS.map(escaped),
    states=one_of("FF", "CC", "PP", "XF"),
    section=one_of("CH", "LAB", "MB", "RAD", ""),
    placer=one_of("P1^SHTH01", ""),
    filler=one_of("F1^LIS", "F1"),
    end=one_of("", "20250314090000"),
    specimen=one_of("20250314082000|BLD&静脉血", "|"),
    observer=one_of("", "T30001^金^检验师^^^^^^SHTH01^L"),
    version=st.sampled_from(VERSIONS),
)
def test_a_generated_report_comes_back_with_the_same_facts(
    results, note, states, section, placer, filler, end, specimen, observer, version
):
    report, result = states
    lines = [
        "MSH|^~\\&|LIS|SHTH01|HUB|H|20250314103000||ORU^R01^ORU_R01|G1|P|2.5|||||CHN|UNICODE UTF-8",
        "PID|1||T1^^^SHTH01^PI||沈^桂芳^^^^^L^I||19530412|F",
        f"OBR|1|{placer}|{filler}|SH-1^组合^L|||20250314081000|{end}||||||{specimen}"
        f"|T20501^方^晓岚^^^^^^SHTH01^L||||||20250314102800||{section}|{report}"
        "|||||||T30001&金&检验师",
        *(
            f"OBX|{at}|{one}|||{result}|||20250314081000||{observer}"
            for at, one in enumerate(results, start=1)
        ),
        f"NTE|1|L|{note}",
    ]

    assert_comes_back(lines, "ORU^R01", version)


@settings(max_examples=EXAMPLES)
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

    assert_comes_back(lines, "REF^I12")
