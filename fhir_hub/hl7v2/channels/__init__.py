"""The ways by which messages come in: ports, HTTP, folders, and which message is whose."""
