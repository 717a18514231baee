"""Run the official FHIRPath test cases through our evaluator, and say which fail.

    python tools/try_fhirpath.py --cases tests-fhir-r4.xml --examples r4-examples-json.tar.xz

The cases name XML inputs; the same examples are read here as JSON.

Spec: https://github.com/FHIR/fhir-test-cases (r4/fhirpath)
"""

import argparse
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from fhir_hub import fhirjson
from fhir_hub.r4.definitions import load_definitions
from fhir_hub.r4.expressions.evaluate import CannotCompile, Expressions, Wrong
from fhir_hub.r4.expressions.values import system, truth
from fhir_hub.r4.expressions.written import text_of

_NOTHING: dict[str, Any] = {"resourceType": "Patient"}


def examples(archive: Path) -> dict[str, dict[str, Any]]:
    """Return name without ending → resource, of the .tar.xz of R4's examples."""
    found = {}
    with tarfile.open(archive) as opened:
        for member in opened:
            file = opened.extractfile(member)
            if file and member.name.endswith(".json"):
                found[Path(member.name).stem] = fhirjson.loads(file.read())
    return found


def cases(path: Path) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield the group and the element of each test case."""
    for group in ElementTree.parse(path).getroot().findall("group"):
        for test in group.findall("test"):
            yield group.get("name", ""), test


def said(item: Any) -> str:
    """Return an item as the cases write it."""
    text = text_of(system(item))
    return "" if text is None else text


def run(test: ElementTree.Element, resource: dict[str, Any], expressions: Expressions) -> str:
    """Return what is wrong with our answer, empty if nothing is."""
    expression = test.find("expression")
    assert expression is not None
    is_invalid = expression.get("invalid") not in (None, "false")
    try:
        found = expressions.values(expressions.compile(expression.text or ""), resource)
        if test.get("predicate") == "true":
            found = [bool(truth(found))]
    except (Wrong, CannotCompile) as error:
        return "" if is_invalid else f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"FAULT {type(error).__name__}: {error}"
    if is_invalid:
        return "is evaluated, and should not be"
    wanted = [
        (output.text or "").lstrip("@").removesuffix("T") for output in test.findall("output")
    ]
    got = [said(item) for item in found]
    if [each.lstrip("T") for each in got] == [each.lstrip("T") for each in wanted]:
        return ""
    return f"{got} instead of {wanted}"


def main() -> int:
    """Run the cases; return 0 if all pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--examples", type=Path, required=True)
    arguments = parser.parse_args()
    resources = examples(arguments.examples)
    expressions = Expressions(load_definitions(), now=lambda: "2024-02-29T10:00:00.000Z")
    passed = total = missing = 0
    for group, test in cases(arguments.cases):
        name = Path(test.get("inputfile", "")).stem
        if name and name not in resources:
            missing += 1
            continue
        resource = resources.get(name, _NOTHING)
        total += 1
        problem = run(test, resource, expressions)
        passed += not problem
        if problem:
            text = " ".join((test.findtext("expression") or "").split())
            print(f"{group}/{test.get('name')}: {text}: {problem}")
    print(f"{passed} of {total} pass; of {missing} the input is not among the examples")
    return 0 if passed == total else 1


if __name__ == "__main__":
    sys.exit(main())
