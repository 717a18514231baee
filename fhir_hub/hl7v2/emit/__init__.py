"""Messages made of FHIR resources, by the maps that read them, run backwards."""
