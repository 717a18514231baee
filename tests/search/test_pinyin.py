"""How names in Han are read: as pypinyin reads them with all of its phrases."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from fhir_hub.search.kinds.pinyin import spellings

# with the phrases as pypinyin keeps them itself, in a process of its own
ORIGINAL = """
import sys
from pypinyin import lazy_pinyin
for line in sys.stdin.read().split():
    print("".join(lazy_pinyin(line)))
"""


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        pytest.param("重庆医科大学", "chongqingyikedaxue", id="a phrase is read otherwise"),
        pytest.param("重要", "zhongyao", id="the same character in another phrase"),
        pytest.param("上海银行重庆分店", "shanghaiyinhangchongqingfendian", id="phrases in a text"),
        pytest.param("单于", "chanyu", id="a family name"),
    ],
)
def test_a_name_is_read_by_its_phrases(name, typed):
    assert typed in spellings(name)


def test_phrases_are_read_as_by_the_library_itself():
    path = Path(find_spec("pypinyin").origin).with_name("phrases_dict.json")
    known = [one for one in json.loads(path.read_bytes()) if one.isalpha()]
    some = known[:: len(known) // 400]
    texts = [*some, *(a + b[:2] for a, b in zip(some, some[7:], strict=False))]
    answer = subprocess.run(
        [sys.executable, "-c", ORIGINAL], input="\n".join(texts), capture_output=True, text=True
    )
    expected = answer.stdout.split()

    assert len(expected) == len(texts) > 700
    plain = {text: said for text, said in zip(texts, expected, strict=True) if "v" not in said}
    assert {text: said for text, said in plain.items() if said not in spellings(text)} == {}
