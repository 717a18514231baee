"""What the tests of a message's meaning share: segments by their fields' numbers."""

SHEN = "沈^桂芳"


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
