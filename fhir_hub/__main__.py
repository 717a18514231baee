"""`python -m fhir_hub` is `fhir-hub`."""

from fhir_hub.cli import main

if __name__ == "__main__":
    main()
