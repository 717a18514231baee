"""docs/profiles.md lists what the package defines: every row is made from the files."""

from profiles.cn_parts import FOLDER, ROOT, package

PAGE = (ROOT / "docs" / "profiles.md").read_text("utf-8")


def rows():
    for one in package().all("StructureDefinition"):
        if one["kind"] == "resource":
            told = one["title"] + ("; abstract" if one["abstract"] else "")
            yield one["id"], one["type"], told
        else:
            yield one["id"], ", ".join(each["expression"] for each in one["context"]), one["title"]
    for one in [*package().all("ValueSet"), *package().concept_maps()]:
        yield one["id"], one["title"]
    for one in package().all("CodeSystem"):
        yield one["id"], f"`{one['url']}`", one["title"], one["content"]
    for one in package().all("NamingSystem"):
        uri = next(each["value"] for each in one["uniqueId"] if each["type"] == "uri")
        yield one["id"], one["description"], f"`{uri}`"


def test_every_definition_has_its_row_and_every_row_its_definition():
    expected = [f"| `{name}` | {' | '.join(cells)} |" for name, *cells in rows()]
    listed = PAGE[PAGE.index("### Profiles") :]
    found = [line for line in listed.splitlines() if line.startswith("| `")]

    assert sorted(found) == sorted(expected)


def test_the_page_says_the_version_of_the_package():
    manifest = package().manifests[0]

    assert f"`{manifest.canonical}` and version {manifest.version}" in PAGE.replace("\n", " ")
    assert f"profiles/{FOLDER.name}" in PAGE
