"""A site's folder of maps, written and loaded."""

from conversion_parts import definitions

from fhir_hub.hl7v2.maps.map_files import InvalidMapping
from fhir_hub.hl7v2.maps.mappings import load_mappings


def load(folder, files, organization=None):
    """Write files into a site's folder and load the maps with them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return load_mappings(definitions(), [folder], organization)


def problems(folder, files):
    """Return what is told of the files, nothing if they load."""
    try:
        load(folder, files)
    except InvalidMapping as error:
        return error.problems
    return ()


def sender(*rows):
    head = 'source = "test"\nmatch = { "MSH-3" = "XIS" }\n'
    return head + "".join(f"[[field]]\n{row}\n" for row in rows)
