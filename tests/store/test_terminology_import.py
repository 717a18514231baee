"""Imported terminology: small releases of the right shape, with codes that we made up.

Spec: https://hl7.org/fhir/R4/terminologies-systems.html
"""

import zipfile

import pytest

from fhir_hub import fhirjson
from fhir_hub.errors import InvalidResource
from fhir_hub.r4.terminology.engine import own_terminology
from fhir_hub.store.base import CannotOpen
from fhir_hub.store.terminology.database import open_to_read, open_to_write
from fhir_hub.store.terminology.imported import ImportedSource
from fhir_hub.store.terminology.importing import Options, format_of, import_release, read_files
from fhir_hub.store.terminology.release_files import files_of
from fhir_hub.store.terminology.tables import Columns
from fhir_hub.store.terminology.writer import entries, remove

SCT, LOINC, ICD = "http://snomed.info/sct", "http://loinc.org", "http://hl7.org/fhir/sid/icd-10"
IS_A, FULL, SYNONYM = "116680003", "900000000000003001", "900000000000013009"
PREFERRED = "900000000000548007"

LOINC_FILES = {
    "Loinc.csv": """\
"LOINC_NUM","COMPONENT","PROPERTY","SCALE_TYP","CLASS","STATUS","SHORTNAME","LONG_COMMON_NAME"
"90001-1","Sugar","MCnc","Qn","CHEM","ACTIVE","Sugar SerPl","Sugar [Mass/volume] in Serum"
"90002-9","Salt","MCnc","Qn","CHEM","ACTIVE","Salt SerPl","Salt, ""table"", in Serum"
"90003-7","Pepper","Prid","Nom","MICRO","DEPRECATED","Pepper","Pepper [Presence]"
""",
    "ComponentHierarchyBySystem.csv": """\
PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT
,1,,LP90000-0,Kitchen
LP90000-0,1,LP90000-0,90001-1,Sugar
LP90000-0,2,LP90000-0,90002-9,Salt
""",
    "AnswerList.csv": """\
AnswerListId,AnswerListName,AnswerStringId,DisplayText
LL9000-1,Spicy,LA90001-1,Hot
LL9000-1,Spicy,LA90002-9,Mild
""",
    "zhCN5LinguisticVariant.csv": """\
"LOINC_NUM","COMPONENT","SYSTEM","LONG_COMMON_NAME","SHORTNAME"
"90001-1","糖","血清","",""
"90002-9","盐","血清","血清盐分","盐"
""",
}


def table(name, *rows):
    """Return a table of RF2."""
    return "\r\n".join("\t".join(row) for row in (name, *rows)) + "\r\n"


DATE = "20300101"
EVERY = ("id", "effectiveTime", "active", "moduleId")


def released(number, *values, is_active=True):
    """Return a row as RF2 begins it."""
    return (number, DATE, "1" if is_active else "0", "9001", *values)


SNOMED_FILES = {
    f"sct2_Concept_Snapshot_INT_{DATE}.txt": table(
        (*EVERY, "definitionStatusId"),
        *(released(code, "900000000000074008") for code in ("1000", "1001", "1002", "1003")),
        released("1009", "900000000000074008", is_active=False),
    ),
    f"sct2_Description_Snapshot-en_INT_{DATE}.txt": table(
        (*EVERY, "conceptId", "languageCode", "typeId", "term"),
        released("51", "1000", "en", FULL, "Thing (thing)"),
        released("52", "1001", "en", FULL, 'Fever of "unknown" kind (finding)'),
        released("53", "1001", "en", SYNONYM, "Odd fever"),
        released("54", "1002", "en", FULL, "Red fever (finding)"),
        released("55", "1002", "en", SYNONYM, "Not used any more", is_active=False),
        released("56", "1001", "zh", SYNONYM, "怪热"),
    ),
    f"sct2_Relationship_Snapshot_INT_{DATE}.txt": table(
        (*EVERY, "sourceId", "destinationId", "relationshipGroup", "typeId"),
        released("71", "1001", "1000", "0", IS_A),
        released("72", "1002", "1001", "0", IS_A),
        released("73", "1003", "1001", "0", IS_A, is_active=False),
        released("74", "1002", "1003", "1", "3630"),
        released("75", "1002", "4444", "0", IS_A),
    ),
    f"der2_cRefset_LanguageSnapshot-en_INT_{DATE}.txt": table(
        (*EVERY, "refsetId", "referencedComponentId", "acceptabilityId"),
        released("a", "9005", "53", PREFERRED),
    ),
}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "terminology.sqlite"


def put(folder, files, encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text.encode(encoding))
    return folder


def take(store, *paths, **options):
    """Import what is at `paths`; return what was written and how much was left out."""
    found = files_of(paths)
    chosen = Options(**{"format": format_of(found)} | options)
    connection = open_to_write(store)
    try:
        files = read_files(found, chosen.format)
        return import_release(connection, files, chosen, "2030-01-01T00:00:00Z", lambda _: None)
    finally:
        connection.close()


def terminology(store):
    source = ImportedSource(store)
    return own_terminology(source, stamp=source.stamp)


def names(known, system, text):
    return list(known.system(system).with_text(text))


def test_loinc_with_hierarchy_answers_and_chinese_names(store, tmp_path):
    written, _ = take(store, put(tmp_path / "Loinc_9.99", LOINC_FILES), version="9.99")
    known = terminology(store)

    assert [(one.url, one.version, one.concepts) for one in written] == [(LOINC, "9.99", 6)]
    sugar = known.system(LOINC).find("90001-1")
    assert sugar.display == "Sugar [Mass/volume] in Serum"
    assert {"language": "zh-CN", "value": "糖:血清"} in sugar.designations
    assert list(sugar.values("SCALE_TYP")) == ["Qn"]
    assert known.system(LOINC).find("90002-9").display == 'Salt, "table", in Serum'
    assert known.system(LOINC).find("90003-7").is_inactive
    assert known.subsumes(LOINC, "LP90000-0", "90001-1") == "subsumes"
    assert names(known, LOINC, "血清 盐") == ["90002-9"]
    assert names(known, LOINC, "ser sug") == ["90001-1"]
    assert known.contains("http://loinc.org/vs", LOINC, "90001-1") is True
    assert known.contains("http://loinc.org/vs/LP90000-0", LOINC, "90003-7") is False
    assert known.contains("http://loinc.org/vs/LL9000-1", LOINC, "LA90002-9") is True
    assert known.contains("http://hl7.org/fhir/ValueSet/observation-codes", LOINC, "1") is False


def test_snomed_with_preferred_terms_and_hierarchy(store, tmp_path):
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name, text in SNOMED_FILES.items():
            opened.writestr(f"Snapshot/Terminology/{name}", text)
    (written,), left_out = take(store, archive)
    known = terminology(store)

    assert written.version == f"{SCT}/900000000000207008/version/20300101"
    assert (written.concepts, left_out) == (5, 1)
    fever = known.system(SCT).find("1001")
    assert fever.display == "Odd fever"
    assert '"unknown"' in fever.designations[0]["value"]
    assert list(known.below(SCT, "1000")) == ["1000", "1001", "1002"]
    assert list(known.above(SCT, "1002")) == ["1002", "1001", "1000"]
    assert known.subsumes(SCT, "1000", "1002") == "subsumes"
    assert known.subsumes(SCT, "1001", "1003") == "not-subsumed"
    assert known.system(SCT).find("1009").is_inactive
    assert list(known.system(SCT).with_property("3630", "1003")) == ["1002"]
    assert names(known, SCT, "热") == ["1001"]
    assert known.contains(f"{SCT}?fhir_vs=isa/1001", SCT, "1002") is True
    assert known.contains(f"{SCT}?fhir_vs=isa/1001", SCT, "1000") is False
    assert known.contains(f"{SCT}?fhir_vs", SCT, "77") is False


def test_icd_10_of_a_national_table_in_gb_18030(store, tmp_path):
    rows = ("诊断编码,诊断名称,类别", "A00-A09,肠道传染病,类目", "A00,霍乱,类目")
    rows = "\n".join((*rows, "A00.0,古典霍乱,亚目", "A00.000x001,䶮氏霍乱,细目"))
    folder = put(tmp_path / "icd", {"国标.csv": rows}, "gb18030")
    take(store, folder, url="urn:example:icd-10-cn", version="2.0", language="zh")
    known = terminology(store)
    system = known.system("urn:example:icd-10-cn")

    assert system.header.version == "2.0"
    assert system.find("A00.000x001").display == "䶮氏霍乱"
    assert list(system.above("A00.000x001")) == ["A00.0", "A00", "A00-A09"]
    assert list(system.with_property("类别", "亚目")) == ["A00.0"]


def test_a_table_with_columns_of_its_own(store, tmp_path):
    folder = put(tmp_path / "own", {"list.tsv": "k\tt\tup\na\tAlpha\t\nb\tBeta\ta\n"})
    take(store, folder, url="urn:example:own", columns=Columns("k", "t", "up"))

    assert terminology(store).subsumes("urn:example:own", "a", "b") == "subsumes"


def test_fhir_resources(store, tmp_path):
    system = {
        "resourceType": "CodeSystem",
        "url": "urn:example:big",
        "content": "complete",
        "concept": [{
            "code": "a", "display": "Alpha", "concept": [{"code": "b"}],
            "property": [{"code": "warm", "valueBoolean": True}],
        }],
    }  # fmt: skip
    value_set = {
        "resourceType": "ValueSet",
        "url": "urn:example:warm",
        "compose": {"include": [{"system": "urn:example:big", "filter": [
            {"property": "warm", "op": "=", "value": "true"}
        ]}]},
    }  # fmt: skip
    both = {"a.json": system, "b.json": value_set}
    files = {name: fhirjson.dumps(one).decode() for name, one in both.items()}
    written, _ = take(store, put(tmp_path / "fhir", files))
    known = terminology(store)

    assert [one.kind for one in written] == ["CodeSystem", "ValueSet"]
    assert known.subsumes("urn:example:big", "a", "b") == "subsumes"
    assert known.contains("urn:example:warm", "urn:example:big", "a") is True
    assert known.contains("urn:example:warm", "urn:example:big", "b") is False
    assert known.codes("urn:example:warm", 10) == [("urn:example:big", "a")]


def test_what_is_imported_is_one_source_among_others(store, tmp_path):
    tones = {
        "resourceType": "CodeSystem",
        "url": "urn:example:tones",
        "version": "3",
        "content": "complete",
        "valueSet": "urn:example:all-tones",
        "concept": [{"code": "low", "concept": [{"code": "deep"}, {"code": "bass"}]}],
    }
    other = {"resourceType": "CodeSystem", "url": "urn:example:none", "content": "complete"}
    concept_map = {"resourceType": "ConceptMap", "url": "urn:example:map", "group": []}
    files = {"a.json": other, "b.json": tones, "c.json": concept_map}
    files = {name: fhirjson.dumps(one).decode() for name, one in files.items()}
    take(store, put(tmp_path / "fhir", files))
    known, source = terminology(store), ImportedSource(store)
    system = known.system("urn:example:tones")

    assert list(system.codes()) == ["low", "deep", "bass"]
    assert (system.parents("deep"), system.children("low")) == (["low"], ["deep", "bass"])
    assert (system.is_below("deep", "low"), system.is_below("deep", "none")) == (True, False)
    assert (list(system.with_text("ba")), list(system.with_text("?"))) == (["bass"], [])
    assert known.codes("urn:example:all-tones", 9) == [
        ("urn:example:tones", code) for code in ("low", "deep", "bass")
    ]
    assert source.of_all("urn:example:all") is None
    assert set(source.systems()) == {("urn:example:tones", "3"), ("urn:example:none", "")}
    assert [one["url"] for one in source.concept_maps()] == ["urn:example:map"]
    assert known.catalogue.supplement("urn:example:tones") is None


def test_no_file_is_an_empty_source(tmp_path):
    source = ImportedSource(tmp_path / "nowhere.sqlite")

    assert (source.stamp(), list(source.systems())) == (None, [])
    assert (source.value_sets("urn:a"), source.concept_maps()) == ([], [])
    assert source.code_systems("urn:a") == ()


def test_an_import_replaces_its_version_and_a_running_hub_sees_it(store, tmp_path):
    known = terminology(store)
    assert known.system(LOINC) is None

    folder = put(tmp_path / "Loinc_9.99", LOINC_FILES)
    take(store, folder, version="9.99")
    assert known.system(LOINC).size() == 6
    (folder / "AnswerList.csv").unlink()
    take(store, folder, version="9.99")

    assert known.system(LOINC).size() == 4
    assert known.system(LOINC).find("LA90001-1") is None
    assert names(known, LOINC, "sugar") == ["90001-1"]


def test_what_fails_halfway_leaves_what_was_there(store, tmp_path):
    folder = put(tmp_path / "Loinc_9.99", LOINC_FILES)
    take(store, folder, version="9.99")
    put(folder, {"Loinc.csv": '"LOINC_NUM","STATUS"\n"90009-4","ACTIVE"\n"","ACTIVE"\n'})

    with pytest.raises(InvalidResource, match="LOINC_NUM"):
        take(store, folder, version="9.99")

    assert terminology(store).system(LOINC).find("90001-1") is not None


def test_remove_takes_one_version_or_all(store, tmp_path):
    folder = put(tmp_path / "Loinc_9.99", LOINC_FILES)
    for version in ("9.98", "9.99"):
        take(store, folder, version=version)
    connection = open_to_write(store)

    assert remove(connection, LOINC, "9.98") == 1
    assert [one.version for one in entries(connection)] == ["9.99"]
    assert remove(connection, LOINC, None) == 1
    assert entries(connection) == []
    for name in ("concept", "designation", "property", "link"):
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchall() == [(0,)]
    connection.close()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", b"a,b\n1,2\n", "no column"),
        ("x.csv", b"\xff\xff\xff\n", "neither"),
        ("x.json", b'{"resourceType": "Patient", "url": "urn:x"}', "is no CodeSystem"),
        ("x.zip", b"no zip", "is no zip"),
        ("x.pdf", b"%PDF", "no release"),
        ("sct2_Concept_Snapshot_INT_20300101.txt", b"id\tactive\n1\t1\n", "SNOMED CT needs"),
    ],
)
def test_what_is_no_release_is_refused(store, tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidResource, match=said):
        take(store, path)


def test_a_file_that_is_not_ours_is_refused(tmp_path):
    path = tmp_path / "other.sqlite"
    path.write_bytes(b"no database at all" * 100)

    with pytest.raises(CannotOpen):
        open_to_write(path)
    with pytest.raises(CannotOpen):
        open_to_read(path)
    assert open_to_read(tmp_path / "nowhere.sqlite") is None
