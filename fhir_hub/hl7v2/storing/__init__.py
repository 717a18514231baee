"""From a converted message to staged changes: what is stored of it is found again and merged."""
