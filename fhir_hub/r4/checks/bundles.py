"""The invariants of Bundle: what each type of bundle must and must not hold.

Spec: https://hl7.org/fhir/R4/bundle.html#constraints
"""

from typing import Any

from fhir_hub.errors import Issue
from fhir_hub.r4.checks.issues import Issues, Scope
from fhir_hub.r4.checks.objects import Shortcut

Node = dict[str, Any]

_ASKING = ("batch", "transaction", "history")
_ANSWERING = ("batch-response", "transaction-response", "history")


def _issue(key: str, advice: str, expression: str = "") -> Issue:
    return Issue("invariant", f"{advice} ({key})", expression)


def _whole(bundle: Node, scope: Scope) -> Issues:
    found = []
    kind, entries = bundle.get("type"), bundle.get("entry", ())
    if "total" in bundle and kind not in ("searchset", "history"):
        found.append(_issue("bdl-1", "give total only in a searchset or history", ".total"))
    if kind == "document":
        identifier = bundle.get("identifier", {})
        if "system" not in identifier or "value" not in identifier:
            advice = "give a document an identifier with system and value"
            found.append(_issue("bdl-9", advice, ".identifier"))
        if "timestamp" not in bundle:
            found.append(_issue("bdl-10", "give a document a timestamp", ".timestamp"))
    for key, of, first in (
        ("bdl-11", "document", "Composition"),
        ("bdl-12", "message", "MessageHeader"),
    ):
        if kind == of and (not entries or _type(entries[0]) != first):
            found.append(_issue(key, f"begin a {of} with a {first}", ".entry"))
    return found


def _type(entry: Node) -> Any:
    return entry.get("resource", {}).get("resourceType")


def _entries(bundle: Node, scope: Scope) -> Issues:
    found = []
    kind, seen = bundle.get("type"), set()
    for place, entry in enumerate(bundle.get("entry", ())):
        step = f".entry[{place}]"
        if "search" in entry and kind != "searchset":
            found.append(_issue("bdl-2", "give search only in a searchset", step))
        for key, name, kinds in (("bdl-3", "request", _ASKING), ("bdl-4", "response", _ANSWERING)):
            if (name in entry) != (kind in kinds):
                advice = f"give every entry a {name} in a {', '.join(kinds)}, and nowhere else"
                found.append(_issue(key, advice, f"{step}.{name}"))
        full_url = entry.get("fullUrl")
        if full_url is not None and kind != "history":
            version = entry.get("resource", {}).get("meta", {}).get("versionId")
            if (full_url, version) in seen:
                advice = "give every fullUrl once, unless meta.versionId differs"
                found.append(_issue("bdl-7", advice, f"{step}.fullUrl"))
            seen.add((full_url, version))
    return found


def _entry(entry: Node, scope: Scope) -> Issues:
    if not any(name in entry for name in ("resource", "request", "response")):
        return [_issue("bdl-5", "give an entry a resource, request or response")]
    if "/_history/" in entry.get("fullUrl", ""):
        return [_issue("bdl-8", "leave the version out of fullUrl", ".fullUrl")]
    return ()


BUNDLE: tuple[Shortcut, ...] = (
    Shortcut(("bdl-1", "bdl-9", "bdl-10", "bdl-11", "bdl-12"), _whole),
    Shortcut(("bdl-2", "bdl-3", "bdl-4", "bdl-7"), _entries),
)
ENTRY: tuple[Shortcut, ...] = (Shortcut(("bdl-5", "bdl-8"), _entry),)
