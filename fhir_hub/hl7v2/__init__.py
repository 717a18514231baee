"""HL7v2 in: framing, character sets, parsing, conversion, acknowledgment."""
