"""Bytes on their way in and out: framing, connections, character sets, batches, sizes."""
