"""What is wrong with a map in Chinese, behind what is said of it in English.

A site's maps are written by the hospital's own people. Each sentence has its pattern here; the
file, the row and the names in it stand in front and are not said again.

Spec: DOMAIN 5.1 (reasons in Chinese)
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

WRONG = "映射文件有误"
_TYPES = {"string": "文本", "object": "表", "array": "列表", "boolean": " true 或 false"}
_WORDS = {"a text": "文本", "a table": "表", "a list": "列表", "true or false": " true 或 false"}
# English as a pattern = Chinese, in which \1 is what the first bracket holds
_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        r"there is no such key": "没有此键",
        r"unknown key": "没有此键",
        r"write (\[+\w+\]+), not (\[+\w+\]+)$": r"应写作 \1, 而不是 \2",
        r"`?(\w+)`? is missing$": r"缺少 \1",
        r"is not one of (\[.*\])$": r"只能是 \1",
        r"does not match": "格式不符",
        r"should be non-empty": "不能为空",
        r"is not valid under any of the given schemas": "写法不符",
        r"no such character set as": "没有该字符集",
        r"(?:not an offset|offset must be)": "时区应写作 +08:00",
        r"no such path as (\S+):": r"没有路径 \1",
        r"not an HL7v2 path": "不是 HL7v2 路径",
        r"a sender is known by fields of MSH": "发送方只能由 MSH 的字段识别",
        r"no row reads a table (\w+)": r"没有映射行读取码表 \1",
        r"no message uses a map (\S+?)(?:;|$)": r"没有消息使用映射 \1",
        r"no message uses this map": "没有消息使用该映射",
        r"there is no part": "没有该部分",
        r"the structure has no group (\S+)": r"该消息结构没有组 \1",
        r"there is no map (\S+)": r"没有映射 \1",
        r"is a map of \S+ to another type": "该映射属于其他段或资源类型",
        r"not a resource type": "不是资源类型",
        r"R4 has no resource type (\S+)": r"R4 没有资源类型 \1",
        r"no JSON": "不是有效的 JSON",
        r"no ConceptMap": "不是 ConceptMap",
        r"(\S+) may not refer to (\S+)": r"\1 不能引用 \2",
        r"`table` gives": "`table` 只能得到代码类的值",
        r"there is no datatype (\S+?)(?:;|$)": r"没有数据类型 \1",
        r"(\S+) cannot have such a value": r"\1 不能为该值",
        r"(\S+) is no Reference": r"\1 不是引用",
        r"not an element": "不是元素",
        r"(\S+) has no element (\w+)": r"\1 没有元素 \2",
        r"(\S+) is no list": r"\1 不是列表",
        r"(\S+) is a list": r"\1 是列表",
        r"(\S+) has several types": r"\1 有多种类型, 须写明",
        r"(\S+) has no elements": r"\1 没有下级元素",
        r"(\S+) is no code of (\S+?);": r"\1 不是 \2 的代码",
        r"write one of `as`": "只能写 `as`/`table`、`value`、`links`、`call` 之一",
        r"`as` and `table` need one path": "`as` 与 `table` 的 `from` 须为一个路径",
        r"there is no table (\S+?)(?:;|$)": r"没有码表 \1",
        r"there is no function (\S+) to call": r"没有可调用的函数 \1",
        r"needs `from` and `code`": "须有 `from` 与 `code`",
        r"source code (\S+) is there twice": r"源代码 \1 重复",
        r"is no regular expression": "不是正则表达式",
        r"cannot be read": "无法读取",
        r"(\S+) is ([\w ]+), not (\w+)$": r"\1 的类型为 \2, 不是 \3",
    }
)
_PATTERNS = tuple((re.compile(said), chinese) for said, chinese in _SENTENCES.items())
_of_type = re.compile(r"is not of type '(\w+)'(?:, '(\w+)')?").search
_must_be = re.compile(r"must be (a text|a table|a list|true or false)").search


def in_both(problem: str) -> str:
    """Return what is wrong with a map in English and Chinese; what is in both already stays.

    >>> in_both("senders/a.toml row 1: there is no table Nope")
    'senders/a.toml row 1: there is no table Nope / 没有码表 Nope'
    """
    return problem if " / " in problem else f"{problem} / {_chinese(problem)}"


def _chinese(problem: str) -> str:
    if found := _of_type(problem):
        return f"类型应为{'或'.join(_TYPES.get(one, one) for one in found.groups() if one)}"
    if found := _must_be(problem):
        return f"应为{_WORDS[found[1]]}"
    for pattern, chinese in _PATTERNS:
        if found := pattern.search(problem):
            return found.expand(chinese)
    return WRONG
