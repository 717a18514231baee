"""The files of `mappings/` read, checked, made ready to run; `rows` and `calls` serve them."""
