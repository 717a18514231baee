"""Special parameters: `near`, where a Location is.

Spec: https://hl7.org/fhir/R4/location.html#search
"""

from decimal import Decimal

import pytest

from fhir_hub.errors import InvalidParameter, UnknownParameter


def location(latitude, longitude):
    position = {"latitude": Decimal(latitude), "longitude": Decimal(longitude)}
    return {"resourceType": "Location", "position": position}


# 青浦, 人民广场 (37.6 km from it), 杭州, Fiji on both sides of the date line, the south pole
PLACES = [
    location("31.1497", "121.1242"),
    location("31.2304", "121.4737"),
    location("30.2741", "120.1551"),
    location("-17.8", "179.9"),
    location("-17.8", "-179.9"),
    location("-90", "0"),
    {"resourceType": "Location", "position": {"latitude": 31}},
    {"resourceType": "Location"},
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("31.1497|121.1242", "1"),
        ("31.1497|121.1242|0", "1"),
        ("31.1497|121.1242|34|km", "1"),
        ("31.1497|121.1242|35|km", "1 2"),
        ("31.1497|121.1242|35", "1 2"),
        ("31.1497|121.1242|35000|m", "1 2"),
        ("31.1497|121.1242|21|[mi_i]", "1"),
        ("31.1497|121.1242|22|[mi_i]", "1 2"),
        ("31.1497|121.1242||m", "1"),
        ("31|121|200", "1 2 3"),
        ("-17.8|179.95|30", "4 5"),
        ("-17.8|180|10.5", ""),
        ("-17.8|-180|11", "4 5"),
        ("-89.99|-120|2", "6"),
        ("0|0|30000", "1 2 3 4 5 6"),
        ("31.1497|121.1242|1,-90|50|1", "1 6"),
    ],
)
def test_places_are_found_by_their_distance(find, query, expected):
    assert " ".join(find(PLACES, f"Location?near={query}")) == expected


def test_a_place_may_be_missing(find):
    assert find(PLACES, "Location?near:missing=true") == ["7", "8"]
    assert find(PLACES, "Location?_filter=near eq 31.1497|121.1242|1 or near pr false") == [
        "1",
        "7",
        "8",
    ]


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("near=31.1", InvalidParameter, "latitude\\|longitude\\|distance\\|units"),
        ("near=31|121|1|km|x", InvalidParameter, "latitude"),
        ("near=here|there", InvalidParameter, "not a decimal"),
        ("near=91|0", InvalidParameter, "from -90 to 90"),
        ("near=0|181", InvalidParameter, "from -180 to 180"),
        ("near=0|0|-1", InvalidParameter, "from 0"),
        ("near=0|0|1|kg", InvalidParameter, "UCUM"),
        ("near=0|0|1|mile", InvalidParameter, "UCUM"),
        ("near:exact=0|0", UnknownParameter, "there are :missing"),
    ],
)
def test_what_is_no_place_is_refused(read, query, error, named):
    with pytest.raises(error, match=named):
        read(f"Location?{query}")
