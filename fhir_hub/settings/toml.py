"""A file of TOML is read as people write it: with a byte order mark, with the line ends of Windows.

What is no TOML is told with its row and what to do. An editor that saves Chinese comments as GBK
or UTF-16 is the usual reason.

Spec: https://toml.io/en/v1.0.0
"""

import codecs
import re
import tomllib
from typing import Any

_ROW = re.compile(r"line (\d+)")
# What Python says, and what somebody who wrote the file can do about it
_MENDED = {
    "Cannot overwrite a value": "a key is there twice / 键重复",
    "Cannot declare": "a table is there twice, or is a key too / 表重复",
    "Invalid value": 'invalid value: a text is "in such quotes" / 文本须用英文引号 "',
    "Illegal character '\\n'": "a text has no end: is a quote missing / 缺少英文引号",
    "Unterminated string": "a text has no end: is a quote missing / 缺少英文引号",
    "Unescaped '\\'": r"a \ in a text: write \\, or a path with / / 文本中的 \ 须写作 \\",
}
_NO_UTF_8 = "it is not UTF-8: save it as UTF-8 / 不是 UTF-8 编码，请另存为 UTF-8"


class NotToml(ValueError):
    """A file is no TOML: `row` is where, the text why."""

    def __init__(self, row: int, why: str) -> None:
        super().__init__(why)
        self.row = row

    @property
    def told(self) -> str:
        """Return the row and the reason, to be put behind the name of the file."""
        return f" line {self.row}: {self}"


def read_toml(octets: bytes) -> dict[str, Any]:
    """Return what a file of these bytes says; raises `NotToml`.

    >>> read_toml("\\ufeff# 端口\\r\\nport = 1\\r\\n".encode())
    {'port': 1}
    >>> read_toml(b"port = 1 \\n port = 2")
    Traceback (most recent call last):
    fhir_hub.settings.toml.NotToml: not TOML: a key is there twice / 键重复
    """
    octets = octets.removeprefix(codecs.BOM_UTF8)
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotToml(octets.count(b"\n", 0, error.start) + 1, _NO_UTF_8) from None
    except RecursionError:
        raise NotToml(1, "not TOML: it is nested too deeply / 嵌套过深") from None
    except tomllib.TOMLDecodeError as error:
        why, _, where = str(error).partition(" (at ")
        row = _ROW.match(where)  # else it is the end of the document
        usual = f"{why[0].lower()}{why[1:]} / 不是有效的 TOML"
        mended = next((told for said, told in _MENDED.items() if why.startswith(said)), usual)
        said = f"not TOML: {mended}"
        raise NotToml(int(row[1]) if row else octets.count(b"\n") + 1, said) from None
