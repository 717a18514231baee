"""Names, practitioners, addresses, places and telephones, as the story's senders write them.

Spec: https://hl7.org/fhir/R4/datatypes.html#HumanName; DOMAIN 3.4 and 3.6
"""

import datatype_parts as parts
import pytest

from fhir_hub.hl7v2.datatypes import places
from fhir_hub.identity import systems


def representation(name):
    return next((one["valueCode"] for one in name.get("extension", [])), None)


@pytest.mark.parametrize(
    ("raw", "text", "family", "given", "use", "kind"),
    [
        ("沈^桂芳^^^^^L^I", "沈桂芳", "沈", ["桂芳"], "official", "IDE"),
        ("Shen^Guifang^^^^^L^A", "Shen Guifang", "Shen", ["Guifang"], "official", "ABC"),
        ("shen^gui fang^^^^^L^P", "gui fang shen", "shen", ["gui fang"], "official", "SYL"),
        ("沈桂芳", "沈桂芳", "沈", ["桂芳"], None, None),
        ("沈 桂芳", "沈桂芳", "沈", ["桂芳"], None, None),
        ("欧阳^志明^^^^^L^I", "欧阳志明", "欧阳", ["志明"], "official", "IDE"),
        ("欧阳志明", "欧阳志明", "欧阳", ["志明"], None, None),
        ("欧阳", "欧阳", "欧阳", None, None, None),
        ("李珅", "李珅", "李", ["珅"], None, None),
        ("李", "李", "李", None, None, None),
        ("王^\ue863", "王䶮", "王", ["䶮"], None, None),
        ("买买提·艾力", "买买提·艾力", None, None, None, None),
        ("买买提^艾力", "买买提艾力", "买买提", ["艾力"], None, None),
        ("Smith^John^Q^^^^D", "John Q Smith", "Smith", ["John", "Q"], "usual", None),
        ("Beethoven&van^Ludwig", "Ludwig van Beethoven", "van Beethoven", ["Ludwig"], None, None),
        ("^桂芳", "桂芳", None, ["桂芳"], None, None),
        ("Smith^^^^^^XX", "Smith", "Smith", None, None, None),
    ],
)
def test_a_name_has_text_and_parts(raw, text, family, given, use, kind):
    name = parts.made("HumanName", raw)

    assert (name["text"], name.get("family"), name.get("given")) == (text, family, given)
    assert (name.get("use"), representation(name)) == (use, kind)


def test_pinyin_beside_a_chinese_name_is_a_name_of_its_own():
    chinese, pinyin = parts.made("HumanName", "张三丰^zhangsanfeng^^^^^L")

    assert (chinese["family"], chinese["given"], representation(chinese)) == ("张", ["三丰"], "IDE")
    assert (pinyin["text"], pinyin["use"], representation(pinyin)) == (
        "zhangsanfeng",
        "official",
        "ABC",
    )


def test_a_lost_character_of_a_name_is_an_issue():
    assert parts.issues_of("HumanName", "王^?") == ["damaged-name"]


def test_prefix_suffix_and_period_are_kept():
    name = parts.made("HumanName", "Smith^John^^JR^DR^MD^L^^^20200101&20210101^^^^PhD")

    assert (name["prefix"], name["suffix"]) == (["DR"], ["JR", "MD", "PhD"])
    assert name["period"] == {"start": "2020-01-01", "end": "2021-01-01"}
    assert parts.made("HumanName", "^^^^DR") == {"prefix": ["DR"]}


@pytest.mark.parametrize(
    ("raw", "number", "system", "text", "family"),
    [
        ("D10023^戴^慧^^^^^^ZJJCHC^L", "D10023", "ZJJCHC", "戴慧", "戴"),
        ("T20456^顾文清", "T20456", "SHTH01", "顾文清", "顾"),
        ("P5007^药师甲", "P5007", "SHTH01", "药师甲", None),
        ("T30001&金&检验师", "T30001", "SHTH01", "金检验师", "金"),
        ("Q30011^钱^护士长", "Q30011", "SHTH01", "钱护士长", "钱"),
    ],
)
def test_a_practitioner_has_the_facilitys_number_and_a_name(raw, number, system, text, family):
    found = parts.made("Practitioner", raw)

    assert found["identifier"] == [{"system": systems.practitioner(system), "value": number}]
    assert (found["name"][0]["text"], found["name"][0].get("family")) == (text, family)
    assert parts.made("CodedPractitioner", raw) == found


def test_a_practitioner_may_have_a_name_or_a_number_alone():
    assert "identifier" not in parts.made("Practitioner", "^戴^慧")
    assert "name" not in parts.made("Practitioner", "D10023")
    assert parts.made("Practitioner", "D1^Smith^John^^^^MD")["qualification"] == [
        {"code": {"text": "MD"}}
    ]
    assert len(parts.made("Practitioner", "0146^谢逊^xiexun")["name"]) == 2


def test_an_address_in_parts_has_district_and_its_code():
    found = parts.made("Address", "示范路100弄8号501室^^上海市^上海市^201713^CHN^H^朱家角镇^310118")

    assert found == {
        "use": "home",
        "text": "上海市青浦区朱家角镇示范路100弄8号501室",
        "line": ["朱家角镇", "示范路100弄8号501室"],
        "city": "上海市",
        "district": "青浦区",
        "state": "上海市",
        "postalCode": "201713",
        "country": "CHN",
        "extension": [
            {
                "url": places.DIVISION,
                "valueCoding": {
                    "system": places.DIVISION_SYSTEM,
                    "code": "310118",
                    "display": "青浦区",
                },
            }
        ],
    }


def test_an_address_in_one_text_is_taken_apart_and_kept():
    found = parts.made("HomeAddress", "上海市青浦区朱家角镇示范路200号302室")

    assert found["text"] == "上海市青浦区朱家角镇示范路200号302室"
    assert (found["use"], found["city"], found["district"]) == ("home", "上海市", "青浦区")
    assert found["line"] == ["朱家角镇", "示范路200号302室"]
    assert "use" not in parts.made("Address", "上海市青浦区朱家角镇示范路200号302室")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1 A St&B&2^PO^Exton^PA^19341^USA^M^^MIDDLESEX",
         {"type": "postal", "line": ["1 A St", "B", "2", "PO"], "city": "Exton", "state": "PA",
          "postalCode": "19341", "country": "USA", "district": "MIDDLESEX"}),
        ("1 A St^^X^^^^^Area", {"line": ["1 A St", "Area"], "city": "X"}),
        ("路1号^^上海市^^^^^青浦区", {"text": "上海市青浦区路1号", "line": ["路1号"],
                               "city": "上海市", "district": "青浦区"}),
        ("路1号^^X市^^^^^^999999", {"text": "X市路1号", "line": ["路1号"], "city": "X市"}),
        ("1 A St^^^^^^BI^^^^^^20200101^20210101",
         {"use": "billing", "line": ["1 A St"],
          "period": {"start": "2020-01-01", "end": "2021-01-01"}}),
    ],
)  # fmt: skip
def test_other_addresses_keep_their_parts(raw, expected):
    found = parts.made("Address", raw)
    found.pop("extension", None)

    assert found == expected


@pytest.mark.parametrize(
    ("raw", "facility", "number", "name", "kind"),
    [
        ("QKMZ^01^^ZJJCHC^^^^^全科门诊1诊室", "ZJJCHC", "QKMZ-01", "全科门诊1诊室", "ro"),
        ("NFM05^^^SHTH01", "SHTH01", "NFM05", "NFM05", None),
        ("XTZX^^12^QPDCH^^^^^血液透析中心12床", "QPDCH", "XTZX-12", "血液透析中心12床", "bd"),
        ("内分泌科^05诊室^^市级医院（示例）", "SHTH01", "内分泌科-05诊室", "内分泌科05诊室", "ro"),
        ("^^^SHTH01^^^^^花园", "SHTH01", "花园", "花园", None),
    ],
)
def test_a_place_has_a_number_in_its_facility(raw, facility, number, name, kind):
    found = parts.made("Location", raw)

    assert found["identifier"] == [{"system": systems.location(facility), "value": number}]
    assert found["name"] == name
    coding = found.get("physicalType", {}).get("coding", [{}])[0]
    assert coding.get("code") == kind


def test_a_facility_alone_is_no_place():
    assert parts.made("Location", "^^^SHTH01") is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("^PRN^CP^^86^^13000000001", [("phone", "13000000001", "mobile")]),
        ("13000000099", [("phone", "13000000099", "mobile")]),
        ("^PRN^PH^^86^021^59720000", [("phone", "02159720000", "home")]),
        ("13000000001/021-59720000", [("phone", "13000000001", "mobile"),
                                      ("phone", "02159720000", None)]),
        ("(555)555-2004^PRN^PH", [("phone", "(555)555-2004", "home")]),
        ("^PRN^PH^^1^555^5552004^12", [("phone", "+1 555 5552004 X12", "home")]),
        ("^WPN^Internet^ra@pa.gov", [("email", "ra@pa.gov", "work")]),
        ("^NET^Internet^x@y.z^86^^13000000001", [("email", "x@y.z", None),
                                                 ("phone", "13000000001", "mobile")]),
        ("x@y.z", [("email", "x@y.z", None)]),
        ("x@y.z^WPN^PH", [("email", "x@y.z", "work")]),
        ("^^^http://a/b", [("url", "http://a/b", None)]),
        ("^WPN^FX^^^^59720001", [("fax", "59720001", "work")]),
        ("^^^^^^^^^^^13000000001", [("phone", "13000000001", "mobile")]),
        ("13000000001^PRS", [("phone", "13000000001", "mobile")]),
        ("13000000001^ORN", [("phone", "13000000001", "home")]),
    ],
)  # fmt: skip
def test_a_telephone_has_system_value_and_use(raw, expected):
    found = parts.made("ContactPoint", raw)
    found = found if isinstance(found, list) else [found]

    assert [(one["system"], one["value"], one.get("use")) for one in found] == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("(021)59720001", {"HomePhone": "home", "WorkPhone": "work"}),
        ("x@y.example", {"HomePhone": "home", "WorkPhone": "work"}),
        ("13000000001", {"HomePhone": "mobile", "WorkPhone": "mobile"}),
        ("59720001^WPN", {"HomePhone": "work", "WorkPhone": "work"}),
        ("59720001^NET", {"HomePhone": None, "WorkPhone": None}),
    ],
)
def test_a_telephone_without_a_use_has_that_of_its_field(raw, expected):
    assert {name: parts.made(name, raw).get("use") for name in expected} == expected


def test_the_pieces_of_a_number_and_its_rank_are_kept():
    raw = "^PRN^PH^^1^555^5552004^12^^^^^20200101^^^^^2"
    found = parts.made("ContactPoint", raw)

    assert [one["valueString"] for one in found["extension"]] == ["1", "555", "5552004", "12"]
    assert (found["rank"], found["period"]) == (2, {"start": "2020-01-01"})
    assert "rank" not in parts.made("ContactPoint", "1^^^^^^^^^^^^^^^^^x")
    assert "rank" not in parts.made("ContactPoint", "1^^^^^^^^^^^^^^^^^.5")


@pytest.mark.parametrize("raw", ["-", "无", "/", "^PRN^CP"])
def test_no_number_is_no_contact(raw):
    assert parts.made("ContactPoint", raw) is None
