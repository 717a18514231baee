"""By what the entries of a store were made, as a short text that two hubs can compare.

Entries are made when a resource is written, so a store holds those of the hub that wrote it. A
newer one may find more, or know a value by another text, and would then search in vain for what
is stored. What decides entries is the search parameters of R4, the settings that say how times
and references are read, and the code of this folder and of `identity/blocks.py`. The code has a
number: whoever changes what is found by it raises that, and a test says when.

Spec: https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Mapping
from datetime import tzinfo
from functools import cache
from hashlib import sha256

from fhir_hub.r4.definitions import Definitions

NUMBER = 2  # tests/search/test_extraction.py says when it is to be raised


def extraction(
    definitions: Definitions, zone: tzinfo, base_url: str, aliases: Mapping[str, str]
) -> str:
    """Return the text that is the same for two hubs that make the same entries of a resource."""
    decided = (_digest(definitions), str(zone), base_url, sorted(aliases.items()))
    return f"{NUMBER}-{sha256(repr(decided).encode()).hexdigest()[:16]}"


@cache
def _digest(definitions: Definitions) -> str:
    return sha256(repr(definitions.search_parameters()).encode()).hexdigest()
