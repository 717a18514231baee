"""What the tests of a message's meaning share: segments by their fields' numbers."""

from fhir_hub import fhirjson

SHEN = "沈^桂芳"
CARD = "310229195304129989^^^&2.16.156.10011.1.3&ISO^NNCHN"


def segment(name: str, **fields: str) -> str:
    """Return a segment: `segment("PV1", f2="O", f19="V1")`."""
    numbers = {int(field[1:]): text for field, text in fields.items()}
    texts = [numbers.get(number, "") for number in range(1, max(numbers) + 1)]
    return "|".join([name, *texts])


def person(number: str = "T1", phone: str = "", authority: str = "SHTH01", **fields: str) -> str:
    """Return a PID of a patient with this local number."""
    known = {"f3": f"{number}^^^{authority}^PI", "f5": SHEN, "f7": "19530412", "f8": "F"}
    return segment("PID", **{**known, "f13": phone, **fields})


def visit(**fields: str) -> str:
    """Return the PV1 of an outpatient visit V1."""
    return segment("PV1", **{"f2": "O", "f19": "V1", **fields})


def result(number: str) -> tuple[str, str]:
    """Return the segments of a report with this order number, and its one result."""
    order = segment("OBR", f3=number, f4="GLU^Glucose", f25="F")
    return order, segment("OBX", f1="1", f2="NM", f3="GLU^Glucose", f5="5.1", f11="F")


def merged(number: str) -> str:
    """Return the MRG of a patient with this local number."""
    return segment("MRG", f1=f"{number}^^^SHTH01^PI")


def plain(resource):
    """Return what a resource says, but for its versions, with lists in one order."""
    if isinstance(resource, dict):
        return {name: plain(part) for name, part in resource.items() if name not in ("id", "meta")}
    if isinstance(resource, list):
        return sorted(map(plain, resource), key=lambda one: fhirjson.canonical([one]))
    return resource


async def tell(say, story, orders):
    """Have a story told in each order, of a patient and a visit of its own."""
    for number, order in enumerate(orders, start=100):
        for event, at, segments, *by in (story[place] for place in order):
            mine = [one.replace("T1^^^", f"T{number}^^^") for one in segments]
            kind = event if "^" in event else f"ADT^{event}"
            told = (one.replace("|V1", f"|V{number}") for one in mine)
            await say(kind, at, *told, **dict(zip(("by",), by, strict=False)))
