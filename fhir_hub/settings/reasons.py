"""Why a value of the settings is refused, in English and Chinese, for who writes TOML.

Spec: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from collections.abc import Mapping
from typing import Any

# by pydantic's type of error; in braces what its context says
_CHINESE: Mapping[str, str] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "应为整数"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "应为数字"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "应为 true 或 false"),
    **dict.fromkeys(("string_type", "path_type"), "应为文本，写在引号中"),
    **dict.fromkeys(("tuple_type", "list_type"), '应为列表，如 ["…"]'),
    **dict.fromkeys(("dict_type", "model_type"), "应为一个表"),
    **dict.fromkeys(("missing", "string_too_short", "too_short"), "缺少必需的值"),
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不得小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不得大于 {le}",
    "literal_error": "只能是 {expected}",
}
_ENGLISH: Mapping[str, str] = {
    **dict.fromkeys(
        ("dict_type", "model_type"), "it is a table, and its keys stand below it or in braces"
    ),
    **dict.fromkeys(("tuple_type", "list_type"), 'it is a list, such as ["…"]'),
}


def reason(error: Mapping[str, Any]) -> str:
    """Return why a value is refused: what pydantic says, or a validator of ours said itself.

    >>> reason({"type": "less_than_equal", "msg": "Input should be …", "ctx": {"le": 9}})
    'input should be … / 不得大于 9'
    """
    kind, said = error["type"], error["msg"].removeprefix("Value error, ")
    said = _ENGLISH.get(kind, said[0].lower() + said[1:])
    context = {name: _chinese(value) for name, value in error.get("ctx", {}).items()}
    return in_both(said, _CHINESE[kind].format(**context) if kind in _CHINESE else "")


def in_both(said: str, chinese: str = "") -> str:
    """Return a reason with its Chinese behind it, unless it has it already."""
    return said if " / " in said else f"{said} / {chinese or '配置值无效'}"


def _chinese(value: object) -> object:
    return value.replace(" or ", " 或 ") if isinstance(value, str) else value
