"""Speed and memory of a running hub: `make bench`."""
