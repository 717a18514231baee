"""What came of the ways of messages: which versions there are, and how the messages ended."""

import json
import re
from collections import Counter, defaultdict
from typing import Any

from faults.world import World

TAG = re.compile(r"U\d{4}U")
Shape = Counter[tuple[str, int]]


def versions(world: World) -> list[dict[str, Any]]:
    """Return every version that is stored."""
    path, found = "fhir/_history?_count=1000", list[dict[str, Any]]()
    while path:
        page = world.ask("GET", path).json()
        found += [one["resource"] for one in page.get("entry", ())]
        links = {one["relation"]: one["url"] for one in page["link"]}
        path = f"fhir/{links['next'].rpartition('/')[2]}" if "next" in links else ""
    return found


def shapes(world: World) -> dict[str, Shape]:
    """Return which versions there are of what each unit made, by its tag."""
    every = versions(world)
    texts = [json.dumps(one) for one in every]
    owners: dict[str, str] = {}
    size = -1
    while size != len(owners):
        size = len(owners)
        for one, text in zip(every, texts, strict=True):
            address = f"{one['resourceType']}/{one['id']}"
            if address in owners:
                continue
            tag = TAG.search(text)
            if tag is not None:
                owners[address] = tag[0]
            elif known := [it for it in _references(text) if it in owners]:
                owners[address] = owners[known[0]]
    found: dict[str, Shape] = {}
    for one in every:
        address = f"{one['resourceType']}/{one['id']}"
        if address in owners:
            shape = found.setdefault(owners[address], Counter())
            shape[one["resourceType"], int(one["meta"]["versionId"])] += 1
    return found


def states(world: World) -> dict[str, Counter[str]]:
    """Return the states of the messages in the journal, by the tag of their unit."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    beyond = 0
    while True:
        page = world.ask("GET", f"ops/messages?count=1000&beyond={beyond}").json()
        for one in page["messages"]:
            if tag := TAG.search(one["controlId"]):
                found[tag[0]][one["state"]] += 1
        if not (beyond := page.get("beyond", 0)):
            return found


def _references(text: str) -> list[str]:
    found = re.findall(r'"reference": "([^"]+)"', text)
    return [one.partition("/_history/")[0] for one in found]
