"""A whole query: order, page, includes, strict and lenient handling, criteria.

Spec: https://hl7.org/fhir/R4/search.html
"""

import parts
import pytest

from fhir_hub.errors import FhirError, InvalidParameter, UnknownParameter
from fhir_hub.search.include import Include
from fhir_hub.search.parse import criteria_plan
from fhir_hub.search.plan import EVERYTHING, And, Has, Is, Or, SortKey


def test_no_parameters_ask_for_everything(read):
    request = read("Patient?")
    assert request.query.plan == EVERYTHING
    assert (request.query.count, request.query.with_total, request.total) == (20, False, "none")
    assert (request.resource_types, read("?").resource_types) == (("Patient",), ())
    assert read("Patient?_contained=false").query.plan == EVERYTHING


def test_repeated_parameters_are_anded_and_values_ored(read):
    assert read("Patient?gender=male,female&gender=other").query.plan == And(
        (
            Has("gender", "token", (Is("male"), Is("female"))),
            Has("gender", "token", (Is("other"),)),
        )
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_sort=birthdate", (SortKey("birthdate", "date"),)),
        (
            "_sort=-birthdate,family",
            (SortKey("birthdate", "date", descending=True), SortKey("family", "string")),
        ),
        ("_sort=_id", (SortKey("_id", "token"),)),
        ("_sort=-_lastUpdated", (SortKey("_lastUpdated", "date", descending=True),)),
        ("_sort=phonetic", (SortKey("name", "string"),)),
        ("_sort=gender&_sort=name", (SortKey("gender", "token"), SortKey("name", "string"))),
    ],
)
def test_results_are_sorted_by_any_parameter(read, query, expected):
    assert read(f"Patient?{query}").query.sort == expected


def test_sorting_by_an_alias_sorts_by_what_is_stored(read):
    assert read("Observation?_sort=patient").query.sort == (SortKey("subject", "reference"),)


@pytest.mark.parametrize(
    ("query", "count", "with_total", "total", "summary"),
    [
        ("_count=5", 5, False, "none", ""),
        ("_count=0", 0, True, "none", ""),
        ("_count=99999", 1000, False, "none", ""),
        ("_total=accurate", 20, True, "accurate", ""),
        ("_total=estimate", 20, True, "estimate", ""),
        ("_total=none", 20, False, "none", ""),
        ("_summary=count", 0, True, "none", "count"),
        ("_summary=true", 20, False, "none", "true"),
    ],
)
def test_a_page_and_its_total(read, query, count, with_total, total, summary):
    request = read(f"Patient?{query}")
    assert (request.query.count, request.query.with_total) == (count, with_total)
    assert (request.total, request.summary) == (total, summary)


def test_the_page_size_is_the_server_s(read):
    assert read("Patient?", page_size=7).query.count == 7
    assert read("Patient?_count=100", max_page_size=50).query.count == 50


def test_elements_are_listed_once(read):
    assert read("Patient?_elements=name,birthDate,name").elements == ("name", "birthDate")
    names = ("id", "meta", "status", "value", "valueQuantity", "component")
    assert read(f"Observation?_elements={','.join(names)}").elements == names
    # what is included has elements of its own
    assert read("Observation?_elements=subject,name&_include=*").elements == ("subject", "name")
    assert read("?_elements=anything").elements == ("anything",)


def test_the_self_link_repeats_what_was_used(read):
    used = read("Patient?_format=json&gender=male&_count=5&_sort=name").used
    assert used == (("_format", "json"), ("gender", "male"), ("_count", "5"), ("_sort", "name"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?_include=Observation:subject", [("Observation", "subject", "", False)]),
        (
            "Observation?_include=Observation:subject:Patient",
            [("Observation", "subject", "Patient", False)],
        ),
        (
            "Observation?_include=Observation:patient",
            [("Observation", "subject", "Patient", False)],
        ),
        ("Observation?_include:iterate=Patient:link", [("Patient", "link", "", True)]),
        ("Observation?_include=*", [("*", "*", "", False)]),
        ("Observation?_include=Observation:*", [("Observation", "*", "", False)]),
        ("Observation?_include=Observation:*:Patient", [("Observation", "*", "Patient", False)]),
        (
            "Observation?_include=Observation:device&_include=Observation:device",
            [("Observation", "device", "", False)],
        ),
        (
            "AuditEvent?_include=AuditEvent:patient",
            [("AuditEvent", "agent", "Patient", False), ("AuditEvent", "entity", "Patient", False)],
        ),
    ],
)
def test_includes_name_what_is_stored(read, query, expected):
    assert list(read(query).includes) == [Include(*one) for one in expected]


def test_reverse_includes_name_what_is_stored(read):
    found = read("Patient?_revinclude=Observation:patient").revincludes
    assert found == (Include("Observation", "subject", "Patient"),)
    found = read("Patient?_revinclude:iterate=Observation:has-member").revincludes
    assert found == (Include("Observation", "has-member", "", iterate=True),)


def test_a_star_is_every_parameter_that_may_point_here(read):
    found = read("Patient?_revinclude=*").revincludes
    assert Include("Observation", "subject") in found
    assert Include("Observation", "performer") in found
    assert Include("Observation", "device") not in found
    assert Include("Observation", "patient") not in found
    found = read("Patient?_revinclude=Observation:*").revincludes
    assert {one.resource_type for one in found} == {"Observation"}
    found = read("Patient?_revinclude=Observation:*:Device").revincludes
    assert Include("Observation", "device", "Device") in found
    # what an included resource is may be pointed at by parameters that cannot point at a Patient
    found = read("Patient?_revinclude:iterate=DiagnosticReport:*").revincludes
    assert Include("DiagnosticReport", "result", "", iterate=True) in found


@pytest.mark.parametrize(
    ("query", "error", "named"),
    [
        ("Patient?nmae=x", UnknownParameter, "did you mean name"),
        ("Patient?xyz=1", UnknownParameter, "there are _id.* birthdate"),
        ("Patient?_cuont=1", UnknownParameter, "_count"),
        ("Patient?_text=x", UnknownParameter, "_text is not supported"),
        ("Patient?_content=x", UnknownParameter, "_content is not supported"),
        ("Patient?_list=$current-allergies", InvalidParameter, "_list is the logical id of a List"),
        ("Patient?_list=", InvalidParameter, "_list is the logical id of a List"),
        ("Patient?_list=Group/1", InvalidParameter, "_list is the logical id of a List"),
        ("Patient?_list=a b", InvalidParameter, "_list is the logical id of a List"),
        ("Patient?_query=x", UnknownParameter, "_query is not supported"),
        ("Patient?_contained=true", UnknownParameter, "_contained is not supported"),
        ("Patient?_contained=maybe", InvalidParameter, "_contained is one of false, true, both"),
        ("Patient?age=5", UnknownParameter, "age is not supported.*birthdate"),
        ("Location?near=1", InvalidParameter, "near: a position is written latitude"),
        ("Location?_sort=near", InvalidParameter, "_sort.*near"),
        ("Observation?near=1", UnknownParameter, "no parameter 'near'"),
        ("Patient?_type=Patient", UnknownParameter, "_type"),
        ("Patient?_sort=nmae", UnknownParameter, "did you mean name"),
        ("Patient?_sort=", InvalidParameter, "_sort"),
        ("Patient?_sort=name,", UnknownParameter, "no parameter ''"),
        ("Observation?_sort=code-value-quantity", InvalidParameter, "_sort.*code-value-quantity"),
        ("Patient?_sort=_score", UnknownParameter, "_score is not supported: results have no"),
        ("Patient?_sort=_text", UnknownParameter, "_text is not supported"),
        ("Patient?_count=many", InvalidParameter, "_count"),
        ("Patient?_count=-1", InvalidParameter, "_count"),
        ("Patient?_count=", InvalidParameter, "_count"),
        ("Patient?_count=٣", InvalidParameter, "_count"),
        ("Patient?_count=9999999999", InvalidParameter, "_count"),
        ("Patient?_count:exact=1", UnknownParameter, "_count has no modifiers"),
        ("Patient?_sort:missing=name", UnknownParameter, "_sort has no modifiers"),
        ("Patient?_total=all", InvalidParameter, "none, estimate, accurate"),
        ("Patient?_summary=yes", InvalidParameter, "_summary is one of true, .*, count$"),
        ("Patient?_summary=tru", InvalidParameter, "_summary is .*; did you mean true"),
        ("Patient?_summary=Count", InvalidParameter, "did you mean count"),
        ("Patient?_total=accurat", InvalidParameter, "did you mean accurate"),
        ("Patient?_elements=a b", InvalidParameter, "_elements"),
        ("Patient?_summary=text&_include=*", InvalidParameter, "cannot be mixed with _include"),
        ("Patient?_revinclude=*&_summary=text", InvalidParameter, "cannot be mixed"),
        ("Patient?_elements=nmae", UnknownParameter, "_elements: .*'nmae'; did you mean name"),
        ("Patient?_elements=name.family", InvalidParameter, "_elements: .* of the top level"),
        ("Observation?_elements=valuequantity", UnknownParameter, "did you mean valueQuantity"),
        ("?_type=Patient,Basic&_elements=cod", UnknownParameter, "did you mean code"),
        ("Patient?_count=1&_count=2", InvalidParameter, "_count may stand once"),
        ("Patient?_total=none&_total=none", InvalidParameter, "_total may stand once"),
        ("?_type=Patient&_type=Basic", InvalidParameter, "_type may stand once"),
        ("?_type=Patiens", InvalidParameter, "_type: 'Patiens' is no .*; did you mean Patient"),
        ("Patient?_has=1", UnknownParameter, "_has is written _has:Type:reference:parameter=value"),
        ("Patient?_has:Observation:patient=1", InvalidParameter, "_has is written"),
        ("Patient?_list:not=1", UnknownParameter, "_list has no modifiers"),
        ("Patient?active=yes", InvalidParameter, "active: .* true or false"),
        ("Patient?active:not=1", InvalidParameter, "active: .* true or false"),
        ("Patient?active=a|no", InvalidParameter, "active: .* true or false"),
        ("Patient?_elements=a,,b", InvalidParameter, "_elements"),
        ("?_type=Patient,Nobody", InvalidParameter, "_type"),
        ("?_type=patient", InvalidParameter, "did you mean Patient"),
        (
            "Patient?name:exactt=x",
            UnknownParameter,
            ":exactt is not known; .*; did you mean :exact",
        ),
        ("Patient?birthdate=gx2020", UnknownParameter, "'gx' is not known; .*did you mean .*gt"),
        ("Patient?birthdate=GE2020", UnknownParameter, "did you mean ge"),
        ("Patient?birthdate=>=2020", UnknownParameter, "did you mean ge"),
        ("Observation?value-quantity=<5", UnknownParameter, "did you mean lt"),
        ("Observation?value-quantity=~5", UnknownParameter, "did you mean ap"),
        ("?name=x", UnknownParameter, "all types: no parameter 'name'"),
        ("Patient?_include=Nobody:name", InvalidParameter, "_include: 'Nobody' is no .* of R4$"),
        ("Patient?_include=Pateint:link", InvalidParameter, "did you mean Patient"),
        ("Patient?_revinclude=Observatoin:subject", InvalidParameter, "did you mean Observation"),
        ("Patient?_include=Patient:link:Pateint", InvalidParameter, "did you mean Patient"),
        ("Patient?_include=Patient", InvalidParameter, "_include"),
        ("Patient?_include=Patient:", InvalidParameter, "_include"),
        ("Patient?_include=Patient:a:b:c", InvalidParameter, "_include"),
        ("Patient?_include=Patient:link:Nobody", InvalidParameter, "_include"),
        ("Patient?_include=Patient:link:Group", InvalidParameter, "does not refer to Group"),
        ("Patient?_include=Patient:nothing", UnknownParameter, "nothing.*general-practitioner"),
        ("Patient?_include=Patient:lnik", UnknownParameter, "did you mean link"),
        ("Patient?_include=Patient:name", UnknownParameter, "no reference parameter"),
        ("Patient?_include=StructureMap:name", UnknownParameter, "StructureMap"),
        ("Patient?_include=Subscription:name", UnknownParameter, "it has none"),
        ("Patient?_include:odd=Patient:link", UnknownParameter, ":iterate"),
        ("Patient?_include:recurse=Patient:link", UnknownParameter, "did you mean :iterate"),
        ("Patient?_include=", InvalidParameter, "_include"),
        ("Patient?_revinclude=Patient", InvalidParameter, "_revinclude"),
        ("Patient?" + "&".join(["gender=male"] * 201), InvalidParameter, "at most 200"),
        (
            "Patient?_id=" + "&_id=".join([",".join("abcdefghij" * 30)] * 14),
            InvalidParameter,
            "4000",
        ),
        ("Provenance?target=" + ",".join("abcdefghij" * 3), InvalidParameter, "4000"),
        ("Observation?code-value-quantity=" + ",".join(["a$1"] * 2001), InvalidParameter, "4000"),
    ],
)
def test_strict_handling_names_what_it_does_not_know(read, query, error, named):
    with pytest.raises(error, match=named):
        read(query)


def test_an_unknown_name_is_not_repeated_at_length(read):
    with pytest.raises(UnknownParameter) as raised:
        read("Patient?" + "x" * 1000 + "=1")
    assert "x" * 61 not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("nmae=x", ["not-supported"]),
        ("birthdate=never&_count=x", ["value", "value"]),
        ("name:exat=x", ["not-supported"]),
        ("name=", ["value"]),
        ("_include=Patient:x", ["not-supported"]),
        ("_sort=nmae", ["not-supported"]),
    ],
)
def test_lenient_handling_leaves_out_and_says_so(read, query, codes):
    request = read(f"Patient?{query}&gender=male", lenient=True)
    assert request.query.plan == Has("gender", "token", (Is("male"),))
    assert request.used == (("gender", "male"),)
    assert [issue.code for issue in request.issues] == codes
    assert {issue.severity for issue in request.issues} == {"warning"}
    assert all(issue.diagnostics.startswith("ignored: ") for issue in request.issues)


def test_lenient_handling_keeps_in_the_self_link_what_was_used(read):
    request = read("Patient?_count=2&gender=male&_count=2&_total=x", lenient=True)
    assert request.query.count == 2
    assert request.used == (("_count", "2"), ("gender", "male"))
    assert len(request.issues) == 2


def test_several_types_share_what_they_have_in_common(read):
    request = read("?gender=male&_type=Patient,Practitioner")
    assert request.resource_types == request.query.resource_types == ("Patient", "Practitioner")
    assert request.query.plan == Has("gender", "token", (Is("male"),))
    request = read("?_type=Observation,AllergyIntolerance&patient=1")
    tests = (Is("Patient/1"),)
    assert request.query.plan == Or(
        (
            And((of_type("Observation"), Has("subject", "reference", tests))),
            And((of_type("AllergyIntolerance"), Has("patient", "reference", tests))),
        )
    )
    with pytest.raises(UnknownParameter, match="Observation: no parameter 'gender'"):
        read("?_type=Patient,Observation&gender=male")


def of_type(name):
    return Has("_type", "token", (Is(name),))


def test_results_are_ordered_by_all_that_a_parameter_looks_at(read):
    request = read("?_type=Observation,AllergyIntolerance&_sort=-patient,_id")
    assert request.query.sort == (
        SortKey("subject", "reference", True, ("patient",)),
        SortKey("_id", "token"),
    )
    request = read("Observation?_sort=combo-code")
    assert request.query.sort == (SortKey("code", "token", others=("component-code",)),)


def test_a_name_that_means_two_things_is_asked_of_each_type_in_its_sense(read, find):
    # the patient of a Consent, and the actor that may be a Patient, are two
    appointment = {
        "resourceType": "Appointment",
        "participant": [{"actor": {"reference": "Patient/1"}}],
    }
    consent = {
        "resourceType": "Consent",
        "provision": {"actor": [{"reference": {"reference": "Patient/1"}}]},
    }
    other = {"resourceType": "Consent", "patient": {"reference": "Patient/1"}}
    assert find([appointment, consent, other], "?_type=Appointment,Consent&patient=1") == ["1", "3"]
    for types, code in (("Appointment,Consent", "patient"), ("Device,ValueSet", "location")):
        with pytest.raises((InvalidParameter, UnknownParameter)):
            read(f"?_type={types}&_sort={code}")
    with pytest.raises(InvalidParameter, match="_sort: manufacturer means different things"):
        read("?_type=Device,Medication&_sort=manufacturer")


def criteria(resource_type, query):
    return criteria_plan(
        resource_type, query, parameters=parts.parameters(), zone=parts.ZONE, base="http://b"
    )


def test_criteria_are_a_plan():
    assert criteria("Patient", "identifier=urn%3Aa%7C1") == Has(
        "identifier", "token", (Is("1", "urn:a"),)
    )
    both = criteria("Patient", "identifier=1&birthdate=2024&_format=json")
    assert isinstance(both, And)
    assert len(both.plans) == 2


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", InvalidParameter),
        ("_format=json", InvalidParameter),
        ("identifier=", InvalidParameter),
        ("nothing=1", UnknownParameter),
        ("_count=1", UnknownParameter),
        ("identifier=%ff", InvalidParameter),
        ("&".join(["identifier=1"] * 300), InvalidParameter),
    ],
)
def test_criteria_that_ask_nothing_or_the_unknown_are_refused(query, error):
    with pytest.raises(error):
        criteria("Patient", query)


def test_an_error_is_of_the_family(read):
    with pytest.raises(FhirError) as raised:
        read("Patient?nmae=x")
    assert (raised.value.status, raised.value.issues[0].code) == (400, "not-supported")
