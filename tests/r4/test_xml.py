"""XML and JSON say the same: what goes through one comes back as it was in the other.

Spec: https://hl7.org/fhir/R4/xml.html
"""

import made_records
import parts
import pytest
from hypothesis import HealthCheck, given, settings

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource, NotAcceptable
from fhir_hub.r4.xml_read import from_xml
from fhir_hub.r4.xml_write import XmlWriter

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def written(resource):
    text = XmlWriter(parts.definitions()).write(fhirjson.loads(fhirjson.dumps(resource)))
    return text.decode().removeprefix(HEAD)


def read(text):
    return from_xml(text.encode(), parts.definitions())


def patient(inner):
    return f'<Patient xmlns="http://hl7.org/fhir">{inner}</Patient>'


BOTH = [
    ({"id": "p", "active": True}, '<id value="p"/><active value="true"/>'),
    ({"multipleBirthInteger": 2}, '<multipleBirthInteger value="2"/>'),
    (
        {"name": [{"id": "n", "family": 'a<b>&"c"\n', "given": ["桂", "芳"]}]},
        '<name id="n"><family value="a&lt;b&gt;&amp;&quot;c&quot;&#10;"/>'
        '<given value="桂"/><given value="芳"/></name>',
    ),
    (
        {
            "birthDate": "1953",
            "_birthDate": {"id": "b", "extension": [{"url": "urn:x", "valueDecimal": 1.5}]},
        },
        '<birthDate id="b" value="1953"><extension url="urn:x"><valueDecimal value="1.5"/>'
        "</extension></birthDate>",
    ),
    (
        {"_birthDate": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}},
        '<birthDate><extension url="urn:x"><valueCode value="unknown"/></extension></birthDate>',
    ),
    (
        {"name": [{"given": ["a", None, "b"], "_given": [None, {"id": "g"}, {"id": "h"}]}]},
        '<name><given value="a"/><given id="g"/><given id="h" value="b"/></name>',
    ),
    (
        {"text": {"status": "generated", "div": f"{DIV}<p>x &amp; y<br/></p><!-- z --></div>"}},
        f'<text><status value="generated"/>{DIV}<p>x &amp; y<br/></p><!-- z --></div></text>',
    ),
    (
        {
            "contained": [
                {"resourceType": "Organization", "id": "o", "name": "O"},
                {"resourceType": "Practitioner", "id": "q"},
            ],
            "managingOrganization": {"reference": "#o"},
        },
        '<contained><Organization><id value="o"/><name value="O"/></Organization></contained>'
        '<contained><Practitioner><id value="q"/></Practitioner></contained>'
        '<managingOrganization><reference value="#o"/></managingOrganization>',
    ),
    (
        {
            "extension": [
                {"id": "e", "url": "urn:x", "extension": [{"url": "y", "valueInteger": 0}]}
            ]
        },
        '<extension id="e" url="urn:x"><extension url="y"><valueInteger value="0"/></extension>'
        "</extension>",
    ),
]


@pytest.mark.parametrize(("elements", "text"), BOTH)
def test_both_forms_say_the_same(elements, text):
    resource = {"resourceType": "Patient", **elements}

    assert written(resource) == patient(text)
    assert fhirjson.canonical(read(patient(text))) == fhirjson.canonical(resource)


@pytest.mark.parametrize("number", ["1.10", "1e3", "-0.00000001", "100000000000000000000.5", "5"])
def test_decimals_keep_their_digits(number):
    content = (
        '{"resourceType":"Observation","status":"final","code":{"text":"c"},'
        f'"valueQuantity":{{"value":{number}}}}}'
    ).encode()
    text = XmlWriter(parts.definitions()).write(fhirjson.loads(content))

    assert f'<value value="{number}"/>'.encode() in text
    assert fhirjson.dumps(from_xml(text, parts.definitions())) == content


def test_elements_come_in_the_order_of_the_definitions():
    resource = {"resourceType": "Patient", "birthDate": "1953", "gender": "female", "id": "p"}

    expected = '<id value="p"/><gender value="female"/><birthDate value="1953"/>'
    assert written(resource) == patient(expected)


def test_a_bundle_holds_resources_of_their_own():
    entry = {"resource": {"resourceType": "Patient", "active": False}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry, entry]}

    one = '<entry><resource><Patient><active value="false"/></Patient></resource></entry>'
    text = f'<Bundle xmlns="http://hl7.org/fhir"><type value="collection"/>{one}{one}</Bundle>'
    assert written(bundle) == text
    assert read(text) == bundle


def test_entities_of_html_become_numbers():
    resource = {"resourceType": "Patient"}
    text = written(resource | {"text": {"status": "empty", "div": f"{DIV}a&nbsp;b&lt;</div>"}})

    assert "a&#160;b&lt;</div>" in text


def test_comments_prefixes_and_schema_locations_say_nothing():
    text = (
        "<!-- x --><f:Patient xmlns:f='http://hl7.org/fhir'"
        " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'>\n"
        " <!-- y --> <f:active value='true'/> </f:Patient>"
    )

    assert read(text) == {"resourceType": "Patient", "active": True}


def test_what_is_no_number_or_boolean_stays_text_for_the_checks():
    text = patient('<active value="yes"/><multipleBirthInteger value="1.5"/>')
    resource = read(text)

    assert resource["active"] == "yes"
    issues = parts.checks().check(resource)
    assert {issue.expression for issue in issues} == {"Patient.active", "Patient.multipleBirth"}


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", ""),
        ("<", ""),
        ("{}", ""),
        (patient("<active>"), ""),
        (patient("&nbsp;"), ""),
        (BOMB + patient('<id value="&b;"/>'), ""),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd">' + patient(""), ""),
        ("<Patient/>", ""),
        ('<Nothing xmlns="http://hl7.org/fhir"/>', ""),
        (patient('<colour value="x"/>'), "Patient"),
        (patient('<x:active xmlns:x="urn:x" value="true"/>'), "Patient"),
        (patient('<active value="true">text</active>'), "Patient.active"),
        (patient("text"), "Patient"),
        (patient('<active value="true" x="1"/>'), "Patient.active"),
        (patient('<name x="1"/>'), "Patient.name"),
        (patient('<name url="1"/>'), "Patient.name"),
        (patient('<active value="true"/><active value="false"/>'), "Patient.active"),
        (patient('<name><id value="x"/></name>'), "Patient.name"),
        (patient('<extension><url value="x"/></extension>'), "Patient.extension"),
        (patient("<contained/><contained>x</contained>"), "Patient.contained"),
        (patient('<contained x="1"/>'), "Patient.contained"),
        (patient("<contained><Nothing/></contained>"), "Patient.contained"),
        (patient("<contained><Group/><Group/></contained>"), "Patient.contained"),
        (patient("<text><div>x</div></text>"), "Patient.text"),
        (
            patient('<text><h:div xmlns:h="http://www.w3.org/1999/xhtml">x</h:div></text>'),
            "Patient.text.div",
        ),
        (patient("<extension>" * 300 + "</extension>" * 300), ""),
    ],
)
def test_what_is_not_fhir_in_xml_is_refused_with_its_place(text, expression):
    with pytest.raises(InvalidResource) as caught:
        read(text)

    assert caught.value.issues[0].expression == expression


def test_what_is_not_utf8_is_refused():
    with pytest.raises(InvalidResource):
        from_xml(patient('<id value="沈"/>').encode("gb18030"), parts.definitions())


@pytest.mark.parametrize(
    "elements",
    [
        {"name": [{"text": "a\x00b"}]},
        {"name": [{"text": "\ufffe"}]},
        {"text": {"status": "empty", "div": f"{DIV}\x01</div>"}},
    ],
)
def test_what_xml_cannot_carry_is_said(elements):
    writer = XmlWriter(parts.definitions())
    with pytest.raises(NotAcceptable):
        writer.write({"resourceType": "Patient", **elements})


@pytest.mark.no_cover  # many rounds of what other tests cover
@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(made_records.of_any_type.seeded())
def test_generated_resources_come_back_as_they_were(resource):
    text = XmlWriter(parts.definitions()).write(resource)

    assert fhirjson.canonical(from_xml(text, parts.definitions())) == fhirjson.canonical(resource)
