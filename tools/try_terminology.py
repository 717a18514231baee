"""Ask a running hub the requests of the FHIR terminology tests and compare what it answers.

The tests are an archive of suites; each has code systems and value sets that go with every
request (`tx-resource`), so nothing is stored. Resources and parameters are in R5's form and are
brought to R4's; the answers are brought back to compare them. Suites about what is not R4's own,
and suites for one particular server, are left out and named.

    python tools/try_terminology.py --tests terminology-tests.tar.xz [--only TEXT] [--verbose]

Spec: the readme in the archive
"""

import argparse
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import httpx
from answer_patterns import difference
from try_examples import start

Json = dict[str, Any]
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-"
MODES = (None, "general")
OPERATIONS = {
    "expand": "ValueSet/$expand",
    "validate-code": "ValueSet/$validate-code",
    "cs-validate-code": "CodeSystem/$validate-code",
    "lookup": "CodeSystem/$lookup",
    "translate": "ConceptMap/$translate",
    "metadata": "metadata",
    "term-caps": "metadata?mode=terminology",
}
TRANSLATED = {
    "sourceCode": "code",
    "sourceSystem": "system",
    "sourceCoding": "coding",
    "sourceCodeableConcept": "codeableConcept",
    "sourceScope": "source",
    "targetScope": "target",
    "targetSystem": "targetsystem",
}
REVERSED = {"targetCode": "code", "targetSystem": "system", "sourceSystem": "targetsystem"}
RELATIONSHIPS = {
    "related-to": "relatedto",
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "unmatched",
}


class Tests:
    """The files of the archive."""

    def __init__(self, archive: Path) -> None:
        self._files: dict[str, bytes] = {}
        with tarfile.open(archive) as opened:
            for member in opened:
                if file := opened.extractfile(member):
                    self._files[member.name.removeprefix("tests/")] = file.read()
        self.suites: list[Json] = self.read("test-cases.json")["suites"]
        self.messages: dict[str, dict[str, str]] = self.read("messages-tx.fhir.org.json")

    def has(self, name: str) -> bool:
        """Say whether there is a file of that name."""
        return name in self._files

    def read(self, name: str) -> Any:
        """Return what a JSON file holds."""
        return json.loads(self._files[name].decode("utf-8-sig"))


def to_r4(resource: Json) -> Json:
    """Return a resource of R5 in R4's form: what R4 writes in another way, or as an extension."""
    if resource["resourceType"] != "ConceptMap":
        return resource
    shown = {k: v for k, v in resource.items() if not k.endswith(("ScopeUri", "ScopeCanonical"))}
    for end in ("source", "target"):
        for form in ("Uri", "Canonical"):
            if value := resource.get(f"{end}Scope{form}"):
                shown[f"{end}{form}"] = value
    for group in shown.get("group", ()):
        for element in group["element"]:
            for target in element.get("target", ()):
                if relationship := target.pop("relationship", ""):
                    target["equivalence"] = RELATIONSHIPS[relationship]
    return shown


def from_r4(resource: Any) -> Any:
    """Return an answer with what R4 says by extensions of R5 as R5's own elements."""
    if isinstance(resource, list):
        return [from_r4(item) for item in resource]
    if not isinstance(resource, dict):
        return resource
    shown = {name: from_r4(value) for name, value in resource.items()}
    kept = []
    for extension in shown.get("extension", []):
        name = extension["url"].rpartition(".")[2]
        if not extension["url"].startswith(R5):
            kept.append(extension)
        elif "extension" in extension:
            parts = {
                part["url"]: next(value for key, value in part.items() if key != "url")
                if part["url"] != "value"
                else part
                for part in extension["extension"]
            }
            if "value" in parts:
                parts |= {key: v for key, v in parts.pop("value").items() if key != "url"}
            shown.setdefault(name, []).append(parts)
    if kept or not shown.get("extension"):
        shown |= {"extension": kept} if kept else {}
    else:
        del shown["extension"]
    return shown


def parameters_of(tests: Tests, suite: Json, test: Json) -> Json:
    """Return the Parameters of a request, with the suite's resources beside them."""
    request: Json = tests.read(test["request"])
    rows: list[Json] = request["parameter"]
    if profile := test.get("profile"):
        rows += tests.read(profile)["parameter"]
    rows = [row for row in rows if row["name"] != "uuid"]
    if test["operation"] == "translate":
        is_reverse = any(row["name"] == "targetCode" for row in rows)
        for row in rows:
            row["name"] = (REVERSED if is_reverse else TRANSLATED).get(row["name"], row["name"])
        rows += [{"name": "reverse", "valueBoolean": True}] if is_reverse else []
    rows += [
        {"name": "tx-resource", "resource": to_r4(tests.read(name))}
        for name in suite.get("setup", ())
    ]
    return {"resourceType": "Parameters", "parameter": rows}


def worded(expected: Any, messages: dict[str, str]) -> Any:
    """Return what is expected with the words of the reference server where they are known."""
    if isinstance(expected, dict):
        return {name: worded(value, messages) for name, value in expected.items()}
    if isinstance(expected, list):
        return [worded(value, messages) for value in expected]
    if isinstance(expected, str) and expected.startswith("$external:"):
        return messages.get(expected.strip("$").split(":")[1], expected)
    return expected


def ask(client: httpx.Client, tests: Tests, suite: Json, test: Json) -> str:
    """Return how the hub's answer to a test differs from what is expected; empty if it does not."""
    headers = {"Content-Type": "application/fhir+json"}
    if language := test.get("Accept-Language"):
        headers["Accept-Language"] = language
    operation = test["operation"]
    if operation not in OPERATIONS:
        return f"{operation} is not of R4"
    if "request" not in test:
        answer = client.get(OPERATIONS[operation], headers=headers)
    else:
        body = parameters_of(tests, suite, test)
        answer = client.post(OPERATIONS[operation], json=body, headers=headers)
    wanted = test.get("http-code", "2xx")
    if f"{answer.status_code // 100}xx" != wanted:
        issues = answer.json().get("issue", [{}])
        return f"status {answer.status_code}, not {wanted}: {issues[0].get('diagnostics', '')}"
    actual = from_r4(answer.json())
    if operation == "translate":
        actual = _origins(actual)
    named = [test.get(name, "") for name in ("response:flat", "response", "response2")]
    patterns = [tests.read(name) for name in named if tests.has(name)]
    patterns += [worded(tests.read(n), tests.messages[n]) for n in named if n in tests.messages]
    found = [difference(one, actual) for one in patterns]
    return "" if "" in found else found[-1]


def _origins(answer: Json) -> Json:
    """Return the answer of `$translate` as R5 has it: `source` is called `originMap`."""
    for row in answer["parameter"]:
        for part in row.get("part", ()):
            if part["name"] == "source":
                part |= {"name": "originMap", "valueCanonical": part.pop("valueUri")}
    return answer


def is_tried(suite: Json, test: Json) -> bool:
    """Say whether a test is about R4 and for every server."""
    return suite.get("mode") in MODES and test.get("mode") in MODES and test.get("version") != "5.0"


def try_terminology(client: httpx.Client, tests: Tests, only: str, *, is_verbose: bool) -> bool:
    """Print how the suites fared; return whether all that were tried passed."""
    passed, tried, skipped = 0, 0, []
    for suite in tests.suites:
        chosen = [test for test in suite["tests"] if is_tried(suite, test)]
        if not chosen:
            skipped.append(f"{suite['name']} ({len(suite['tests'])})")
            continue
        chosen = [test for test in chosen if only in f"{suite['name']}/{test['name']}"]
        told = {test["name"]: ask(client, tests, suite, test) for test in chosen}
        fine = sum(not text for text in told.values())
        passed, tried = passed + fine, tried + len(told)
        if told:
            print(f"{fine:4} of {len(told):4}  {suite['name']}")
        if is_verbose:
            for name, text in told.items():
                if text:
                    print(f"        {name}: {text}")
    print(f"{passed} of {tried} passed; not tried: {', '.join(skipped)}")
    return passed == tried


def main() -> int:
    """Try the archive; return 0 if all passed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tests", type=Path, required=True, help="a .tar.xz of the test cases")
    parser.add_argument("--only", default="", help="of suite/test names only those with this text")
    parser.add_argument("--verbose", action="store_true", help="say what differs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hub, base = start(f"sqlite:{folder}/hub.sqlite")
        try:
            with httpx.Client(base_url=f"{base}/", timeout=60) as client:
                tests = Tests(arguments.tests)
                fine = try_terminology(client, tests, arguments.only, is_verbose=arguments.verbose)
        finally:
            hub.terminate()
            hub.wait()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
