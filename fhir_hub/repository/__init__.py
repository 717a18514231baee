"""The one way to read and change data: check, version, index, write, tell."""
