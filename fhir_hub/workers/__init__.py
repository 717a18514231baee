"""Several processes that serve one hub: `fhir-hub serve --workers N`."""
