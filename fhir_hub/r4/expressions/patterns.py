"""Regular expressions that take linear time, whatever they are and whatever they are run on.

A pattern comes from a profile and a text from whoever writes a resource; with Python's own matcher
either could stop the hub. RE2 has no going back (and so no lookahead, which FHIR does without).

Spec: http://hl7.org/fhirpath/N1/#matchesregex--string--boolean
"""

from functools import lru_cache
from typing import Any

import re2

_SHORT = 500  # what is longer is not kept, so that what is kept is small


class NoPattern(ValueError):
    """The text is no regular expression, or one that needs going back."""


def pattern(text: str) -> Any:
    """Return the matcher of `text`, with `search`, `fullmatch` and `sub`; raises `NoPattern`.

    `.` matches a line break too.

    >>> pattern("(a+)+b").search("a" * 100_000) is None
    True
    """
    return (_compiled if len(text) < _SHORT else _compiled.__wrapped__)(text)


@lru_cache(1024)
def _compiled(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(text, options=options)
    except re2.error:
        raise NoPattern("not a regular expression that takes linear time") from None
