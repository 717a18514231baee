"""The functions that a map may `call`, by what they are about; `table.py` says their names."""
