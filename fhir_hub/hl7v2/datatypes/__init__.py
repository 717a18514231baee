"""One module a family of HL7v2 datatypes: a repetition in, a FHIR value out."""
