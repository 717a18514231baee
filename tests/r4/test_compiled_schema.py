"""A compiled JSON Schema says of every document what `jsonschema` says of it.

Spec: https://json-schema.org/draft/2020-12/json-schema-validation
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import Draft202012Validator

from fhir_hub.r4.checks.compiled_schema import compiled
from fhir_hub.r4.checks.schema import Schema

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted([*ROOT.glob("mappings/*.schema.json"), *ROOT.glob("profiles/*/*.schema.json")])

KEYS = st.sampled_from(["a", "b", "x-1"])
TEXTS = st.sampled_from(["", "a", "ab", "x-1", "沈"])
NUMBERS = st.sampled_from([0, 1, -1, 1.0, 1.5, Decimal("1.0"), Decimal("2.5"), True, False])
DOCUMENTS = st.recursive(
    st.none() | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
TYPES = ["string", "object", "array", "boolean", "null", "number", "integer"]


def said(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of every keyword that is compiled."""
    several = st.lists(inner, min_size=1, max_size=3)
    limit = st.integers(0, 2)
    some = {
        "type": st.sampled_from(TYPES),
        "enum": st.lists(TEXTS, unique=True, min_size=1, max_size=3),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]"]),
        "minLength": limit,
        "minimum": st.integers(-1, 2),
        "maximum": st.integers(-1, 2),
        "minItems": limit,
        "items": inner,
        "minProperties": limit,
        "required": st.lists(KEYS, unique=True, max_size=2),
        "properties": st.dictionaries(KEYS, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "1$"]), inner, max_size=2),
        "additionalProperties": inner,
        "oneOf": several,
        "anyOf": several,
        "allOf": several,
        "$ref": st.just("#/$defs/one"),
        "message": st.just("say it"),
    }
    return st.fixed_dictionaries({}, optional=some)


SCHEMAS = st.recursive(st.booleans() | st.just({}), said, max_leaves=6)


@settings(max_examples=300)
@given(schema=said(SCHEMAS), one=st.sampled_from([{"type": "string"}, True]), values=st.data())
def test_it_holds_where_jsonschema_finds_nothing(schema, one, values) -> None:
    whole = {**schema, "$defs": {"one": one}}
    holds, second = compiled(whole), Draft202012Validator(whole)

    assert holds is not None
    for document in values.draw(st.lists(DOCUMENTS, min_size=5, max_size=5)):
        assert holds(document) == second.is_valid(document), document


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_our_own_schemas_are_compiled(path: Path) -> None:
    assert compiled(json.loads(path.read_text("utf-8"))) is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"type": 1},
        {"enum": "a"},
        {"pattern": "("},
        {"patternProperties": {"(": True}},
        {"patternProperties": 1, "additionalProperties": False},
        {"additionalProperties": False, "properties": 1},
        {"minLength": -1},
        {"minItems": "1"},
        {"minimum": "1"},
        {"required": "a"},
        {"required": ["a", "a"]},
        {"items": 1},
        {"oneOf": []},
        {"anyOf": {}},
        {"title": 1},
        {"$defs": []},
        {"$defs": {"a": 1}},
        {"$ref": 1},
        {"$ref": "#/$defs/a"},
    ],
    ids=json.dumps,
)
def test_a_wrong_schema_is_not_compiled_and_is_told(schema: dict[str, Any]) -> None:
    assert compiled(schema) is None
    with pytest.raises(ValueError, match=r"."):
        Schema(schema)


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"uniqueItems": True}, [1], [1, 1]),
        ({"enum": [1]}, 1, True),
        ({"type": ["string", "null"]}, None, 1),
        ({"$ref": "#/properties/a", "properties": {"a": {"type": "object"}}}, {}, 1),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}, 1, 2),
    ],
    ids=["another keyword", "numbers", "types", "another place", "another draft"],
)
def test_what_is_not_compiled_is_asked_of_jsonschema(schema: Any, right: Any, wrong: Any) -> None:
    assert compiled(schema) is None
    assert Schema(schema).problems(right) == []
    assert len(Schema(schema).problems(wrong)) == 1
