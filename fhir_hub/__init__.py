"""fhir-hub: a FHIR R4 server and HL7v2 integration hub.

Read `app.py` first: it builds every part once and passes it on. The rooms and what each
holds are listed in docs/architecture.md; imports go down only (tests/test_shape.py).
"""

__version__ = "0.1.0"
