"""Where resources, their index entries and received messages are kept."""
