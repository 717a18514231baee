"""What somebody may have meant by a name that is not known: the same advice everywhere.

Who mistypes a name should learn the right one from the error, be it a parameter, a type of
resource, a key of the settings or a column of a map.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 60  # what is longer is no slip, and costs time to compare


def nearest(name: str, known: Iterable[str], *, most: int = 3, likeness: float = 0.6) -> list[str]:
    """Return the names most like `name`, the likest first, or else those that it begins.

    Large and small letters are alike.

    >>> nearest("birthdat", ["birthDate", "name"]), nearest("mllp", ["port", "mllp_port"])
    (['birthDate'], ['mllp_port'])
    """
    folded: dict[str, list[str]] = {}
    for one in known:
        folded.setdefault(one.casefold(), []).append(one)
    asked = name[:_LONGEST].casefold()
    near = get_close_matches(asked, folded, most, likeness)
    if not near and len(asked) > 2:
        near = [one for one in folded if one.startswith(asked)]
    return [one for found in near for one in folded[found]][:most]


def did_you_mean(
    name: str,
    known: Iterable[str],
    otherwise: str = "",
    *,
    most: int = 3,
    likeness: float = 0.6,
) -> str:
    """Return the end of an error about `name`: the nearest of the names, or else `otherwise`.

    >>> did_you_mean("CWW", ["CWE", "ST"]), did_you_mean("x", ["CWE"], "see the table")
    ('; did you mean CWE?', '; see the table')
    """
    near = nearest(name, known, most=most, likeness=likeness)
    if near:
        return f"; did you mean {', '.join(near)}?"
    return f"; {otherwise}" if otherwise else ""
