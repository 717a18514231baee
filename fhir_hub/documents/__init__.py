"""Documents about one person from what many institutions told: summaries, packages, reminders."""
