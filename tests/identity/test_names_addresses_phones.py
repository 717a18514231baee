"""Chinese names, addresses and phone numbers, as senders write them.

Spec: DOMAIN 3.4 and 3.6
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_hub.identity import addresses, names, phones


@pytest.mark.parametrize(
    ("whole", "family", "given_name"),
    [
        ("沈桂芳", "沈", "桂芳"),
        ("李珅", "李", "珅"),
        ("王䶮", "王", "䶮"),
        ("欧阳志明", "欧阳", "志明"),
        ("诸葛亮", "诸葛", "亮"),
        ("歐陽修", "歐陽", "修"),
        ("欧阳", "欧阳", ""),
        ("爱新觉罗溥仪", "爱新觉罗", "溥仪"),
        ("叶赫那拉氏", "叶赫那拉", "氏"),
        ("张 三", "张", "三"),
        ("司徒", "司徒", ""),
    ],
)
def test_a_chinese_name_is_split_by_its_family_name(whole, family, given_name):
    assert names.split(whole) == (family, given_name)


@pytest.mark.parametrize(
    "whole",
    [
        "买买提·艾力",
        "Shen",
        "王A",
        "王1",
        "阿不都热合曼",
        "李",
        "",
        "药师甲",
        "金检验师",
        "预约平台",
        "管理员",
        "无名氏",
        "未知",
        "不详",
        "新生儿",
        "欧阳a明",
        "?",
    ],
)
def test_other_names_are_left_whole(whole):
    assert names.split(whole) is None


@given(st.text(max_size=20))
def test_a_split_loses_no_character(text):
    parts = names.split(text)

    assert parts is None or "".join(parts) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "is_damaged"),
    [("王䶮", False), ("王\ue863", False), ("王?", True), ("王？", True), ("王\ufffd", True),
     ("王□", True), ("王\ue000", True), ("王\U000f0001", True), ("Shen", False)],
)  # fmt: skip
def test_a_lost_character_is_seen(text, is_damaged):
    assert names.is_damaged(text) is is_damaged


def test_a_private_character_of_old_systems_is_repaired():
    assert names.repair("王\ue863") == "王䶮"
    assert names.repair("王\ue000") == "王\ue000"


def test_scripts_are_told_apart():
    assert names.is_han("𬭎䶮")
    assert not names.is_han("")
    assert not names.is_han("王A")
    assert names.has_han("Dr 王")
    assert not names.has_han("Wang")
    assert names.is_latin("Zhang San")
    assert not names.is_latin("张")
    assert not names.is_latin("12")
    assert names.is_compound("欧阳")
    assert not names.is_compound("沈")


def test_names_compare_without_blanks_width_and_case():
    assert names.comparable("买买提・艾力") == names.comparable("买买提 · 艾力")
    assert names.comparable("ＳＨＥＮ") == names.comparable("shen")


@pytest.mark.parametrize(
    ("text", "state", "city", "district", "code", "lines"),
    [
        ("上海市青浦区朱家角镇示范路200号302室", "上海市", "上海市", "青浦区", "310118",
         ("朱家角镇", "示范路200号302室")),
        ("上海市市辖区浦东新区世纪大道1号", "上海市", "上海市", "浦东新区", "310115",
         ("世纪大道1号",)),
        ("浙江省嘉兴市嘉善县西塘镇东街1号", "浙江省", "嘉兴市", "嘉善县", "330421",
         ("西塘镇", "东街1号")),
        ("江苏省 苏州市 吴江区 松陵街道", "江苏省", "苏州市", "吴江区", "320509", ("松陵街道",)),
        ("苏州市吴江区", "", "苏州市", "吴江区", "320509", ()),
        ("青浦区公园路", "", "", "青浦区", "310118", ("公园路",)),
        ("内蒙古自治区呼和浩特市新城区", "内蒙古自治区", "呼和浩特市", "新城区", "", ()),
        ("江苏省昆山市玉山镇", "江苏省", "昆山市", "", "", ("玉山镇",)),
        ("江苏苏州市吴江区松陵街道1号", "江苏省", "苏州市", "吴江区", "320509",
         ("松陵街道", "1号")),
        ("广西南宁市青秀区民族大道1号", "广西壮族自治区", "南宁市", "青秀区", "",
         ("民族大道1号",)),
        ("内蒙古锡林郭勒盟多伦县", "内蒙古自治区", "锡林郭勒盟", "多伦县", "", ()),
        ("新疆巴音郭楞蒙古自治州库尔勒市", "新疆维吾尔自治区", "巴音郭楞蒙古自治州", "库尔勒市",
         "", ()),
        ("吉林吉林市昌邑区", "吉林省", "吉林市", "昌邑区", "", ()),
        ("吉林市昌邑区", "", "吉林市", "昌邑区", "", ()),
        ("海南藏族自治州共和县", "", "海南藏族自治州", "共和县", "", ()),
        ("云南路超市旁", "", "", "", "", ("云南路超市旁",)),
        ("中国上海", "上海市", "上海市", "", "", ()),
        ("示范路200号", "", "", "", "", ("示范路200号",)),
        ("新市路5号", "", "", "", "", ("新市路5号",)),
        ("110 Main St", "", "", "", "", ("110 Main St",)),
        ("", "", "", "", "", ()),
    ],
)  # fmt: skip
def test_an_address_in_one_text_is_taken_apart(text, state, city, district, code, lines):
    assert addresses.parse(text) == (state, city, district, code, lines)


@given(st.text(alphabet="上海市青浦区县镇路号苏州江省 a1", max_size=40))
def test_an_address_loses_no_character_but_the_ending_that_it_gains(text):
    parsed = addresses.parse(text)

    whole = "".join("".join(parsed.lines).split())
    assert whole in "".join(text.split())
    assert parsed.code == addresses.code_of(parsed.district)


def test_a_text_too_long_for_an_address_is_one_line():
    assert addresses.parse("市" * 300).lines == ("市" * 300,)


@pytest.mark.parametrize(
    ("written", "value", "is_mobile"),
    [
        ("13000000001", "13000000001", True),
        ("+86 130-0000-0001", "13000000001", True),
        ("008613000000001", "13000000001", True),
        ("8613000000001", "13000000001", True),
        ("013000000001", "13000000001", True),
        ("１３０００００００１１", "13000000011", True),
        ("021-59720000", "02159720000", False),
        ("(021) 5972 0000", "02159720000", False),
        ("59720000转123", "59720000-123", False),
        ("021-59720000 分机号：8012", "02159720000-8012", False),
        ("0755-26500000-801", "075526500000-801", False),
        ("400-820-8820", "4008208820", False),
        ("+1 555 5552004", "+1 555 5552004", False),
        ("(555)555-2004", "(555)555-2004", False),
        ("问护士台", "问护士台", False),
        ("-----", "-----", False),
    ],
)
def test_a_phone_number_is_read_as_people_write_it(written, value, is_mobile):
    assert phones.normalise(written) == (value, is_mobile)


def test_a_number_of_another_country_is_kept_as_written():
    assert phones.normalise("555 5552004", "1") == ("555 5552004", False)
    assert phones.normalise("   ") is None


def test_several_numbers_in_one_field_are_told_apart():
    assert phones.split_phones("13000000001/021-59720000；、13000000002 或 ") == [
        "13000000001",
        "021-59720000",
        "13000000002",
    ]
