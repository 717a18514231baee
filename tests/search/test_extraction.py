"""The entries of some resources, as a digest: who makes other entries of them says so.

A hub that makes other entries than the one before has to make those of its store anew, and does
so because `extraction` is another text. Where the code is what changed, that is its `NUMBER`.

Spec: https://hl7.org/fhir/R4/search.html
"""

from datetime import timedelta, timezone
from hashlib import sha256
from pathlib import Path

import parts

from fhir_hub import fhirjson
from fhir_hub.identity.blocks import DERIVED
from fhir_hub.identity.systems import ALIASES
from fhir_hub.search import extraction
from fhir_hub.search.extract import Extractor
from fhir_hub.search.parameters import Parameters

BASE = "http://hub.test/fhir"
RESOURCES = fhirjson.loads((Path(__file__).parent / "extraction.json").read_bytes())
MADE = (2, "cac799b610ee5d81")  # `NUMBER`, and the digest of all entries as that makes them


def test_who_finds_resources_by_other_entries_raises_the_number_of_the_extraction():
    parameters = Parameters(parts.definitions(), full_text=True)
    extractor = Extractor(parameters, parts.ZONE, base=BASE, aliases=ALIASES, derived=DERIVED)
    entries = [sorted(map(repr, extractor.entries(resource))) for resource in RESOURCES]
    kinds = {entry.kind for resource in RESOURCES for entry in extractor.entries(resource)}
    digest = sha256("\n".join(map("\n".join, entries)).encode()).hexdigest()[:16]

    assert kinds >= {"token", "string", "reference", "date", "number", "quantity", "uri", "text"}
    assert (extraction.NUMBER, digest) == MADE, (
        "these entries are not those that stored resources have: raise NUMBER in"
        " fhir_hub/search/extraction.py, and write both down here"
    )


def test_what_settings_say_of_times_and_references_is_part_of_it():
    definitions, zone = parts.definitions(), timezone(timedelta(hours=8))
    texts = [
        extraction.extraction(definitions, zone, BASE, ALIASES),
        extraction.extraction(definitions, timezone(timedelta(hours=9)), BASE, ALIASES),
        extraction.extraction(definitions, zone, "", ALIASES),
        extraction.extraction(definitions, zone, BASE, {}),
    ]
    assert len(set(texts)) == 4
    assert texts[0] == extraction.extraction(definitions, zone, BASE, dict(ALIASES))
