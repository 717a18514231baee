"""One row tried again and again, each time with another part of what it reads left out.

What is then missing or other is what the part became.

Spec: DESIGN 5 (nothing lost from a message)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from fhir_hub.hl7v2.parsing.er7 import Segment
from fhir_hub.hl7v2.reports.elements import Element, is_same, says
from fhir_hub.hl7v2.reports.leaves import Leaf, replaced

_OTHER = "Zq7"
_LONGEST = 100_000  # a longer text is not tried again and again: it is what the row made


class LeavingOut:
    """One row tried again and again, each time with other parts of what it reads left out."""

    def __init__(
        self, whole: list[Element], probe: Callable[[Mapping[int, Segment]], list[Element]]
    ) -> None:
        self._whole, self._probe = whole, probe
        self._keys = [one.key for one in whole]

    def told(self, parts: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return what each part became: what says what it does, and what it alone decides so.

        A part that nothing says became what it decides, but for what others say.
        """
        decides = self.decides(parts)
        shown = {
            leaf: [at for at in changed if not leaf.is_whole and self._says(at, leaf)]
            for leaf, changed in decides.items()
        }
        said = {at for found in shown.values() for at in found}
        deciding = Counter(at for changed in decides.values() for at in changed)
        found = {}
        for segment, leaf in parts:
            if leaf not in decides:
                continue
            others = [at for at in decides[leaf] if at not in said]
            if shown[leaf] and others:
                alone = [at for at in others if deciding[at] == 1]
                others = self._by_content(segment, leaf, alone) if alone else []
            found[leaf] = sorted((*shown[leaf], *others)) or decides[leaf]
        self._share(found, parts)
        return found

    def _share(self, found: dict[Leaf, list[int]], parts: list[tuple[Segment, Leaf]]) -> None:
        """Give what no part alone decides to those that say it: two names that are the same."""
        left = {*range(len(self._whole))}.difference(*found.values())
        for at in sorted(left):
            for _, leaf in parts:
                if not leaf.is_whole and is_same(self._whole[at].value, leaf.text):
                    found[leaf] = sorted((*found.get(leaf, ()), at))

    def _says(self, at: int, leaf: Leaf) -> bool:
        return says(self._whole[at].value, leaf.text)

    def _by_content(self, segment: Segment, leaf: Leaf, alone: list[int]) -> list[int]:
        """Return which of some elements are what they are by what a part says: not its system."""
        if len(leaf.text) > _LONGEST:
            return []
        made = self._probe({segment.index: replaced(segment, leaf, _OTHER)})
        changed = _changed(self._keys, [one.key for one in made])
        return [at for at in alone if at in changed]

    def decides(self, parts: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return which elements (by their place in `whole`) each part decides."""
        found: dict[Leaf, list[int]] = {}
        idle: dict[tuple[int, ...], list[tuple[Segment, Leaf]]] = {}
        for segment, leaf in parts:
            if len(leaf.text) > _LONGEST:
                found[leaf] = list(range(len(self._whole)))
            elif changed := self._alone(segment, leaf):
                found[leaf] = changed
            else:
                idle.setdefault(leaf[:3], []).append((segment, leaf))
        for group in idle.values():
            for leaf, same in self._among(group).items():
                found[leaf] = same
        return found

    def _alone(self, segment: Segment, leaf: Leaf) -> list[int]:
        """Return what changes when the part is left out, or is another."""
        for text in ("", _OTHER):
            made = self._probe({segment.index: replaced(segment, leaf, text)})
            if changed := _changed(self._keys, [one.key for one in made]):
                return changed
        return []

    def _among(self, group: list[tuple[Segment, Leaf]]) -> dict[Leaf, list[int]]:
        """Return what each of some parts says that others say too: `1^active` is one status.

        They are left out together; what one of them alone brings back is its.
        """
        found: dict[Leaf, list[int]] = {}
        segment = group[0][0]
        nothing = _str_keys(self._probe({segment.index: _without(segment, group)}))
        for one in group:
            _, leaf = one
            rest = [other for other in group if other is not one]
            alone = _str_keys(self._probe({segment.index: _without(segment, rest)})) if rest else []
            back = [key for key in alone if key not in nothing]
            same = [at for at, key in enumerate(self._keys) if str(key) in back]
            if not same and not leaf.is_whole and len(leaf.text) > 1:
                same = [at for at, el in enumerate(self._whole) if says(el.value, leaf.text)]
            if same:
                found[leaf] = same
        return found


def _str_keys(elements: Iterable[Element]) -> list[str]:
    return [str(one.key) for one in elements]


def _without(segment: Segment, parts: Iterable[tuple[Segment, Leaf]]) -> Segment:
    for _, leaf in parts:
        segment = replaced(segment, leaf, "")
    return segment


def _changed(before: list[Any], after: list[Any]) -> list[int]:
    """Return which of `before` are missing or other in `after`."""
    if before == after:
        return []
    matcher = SequenceMatcher(None, [*map(str, before)], [*map(str, after)], autojunk=False)
    return [
        at
        for kind, start, end, _, _ in matcher.get_opcodes()
        if kind in ("replace", "delete")
        for at in range(start, end)
    ]
