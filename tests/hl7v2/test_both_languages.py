"""What people are told of a message stands in English and in Chinese, wherever it is written."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fhir_hub.hl7v2.quirks import CHINESE
from fhir_hub.hl7v2.senders.strict import REFUSED

CODE = Path(__file__).parents[2] / "fhir_hub" / "hl7v2"
HAN = re.compile("[\u4e00-\u9fff]")
NAMED = {"issue", "normalised"}  # say what is odd, by a code


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                yield f"{path.name}:{node.lineno}", node


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def test_every_refusal_of_a_message_is_written_in_both():
    written = {
        place: ast.unparse(call.args[0])
        for place, call in calls()
        if name_of(call) == "InvalidMessage"
        and isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp)
    }

    assert len(written) > 25
    assert {place: text for place, text in written.items() if not HAN.search(text)} == {}


def test_every_quirk_has_its_chinese_and_none_is_left_over():
    told = {
        call.args[0].value: place
        for place, call in calls()
        if name_of(call) in NAMED and isinstance(call.args[0], ast.Constant) and len(call.args) > 1
    }
    pairs = {
        node.elts[0].value
        for path in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Tuple)
        and len(node.elts) == 2
        and isinstance(node.elts[0], ast.Constant)
        and re.match("broken-|charset-|control-", str(node.elts[0].value))
    }

    assert told.keys() | pairs == CHINESE.keys()
    assert REFUSED.keys() <= CHINESE.keys()
