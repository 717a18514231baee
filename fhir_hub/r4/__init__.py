"""What R4 says, as data and as plain functions: definitions, dates, FHIRPath, checks."""
