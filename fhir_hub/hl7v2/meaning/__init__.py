"""What a message means for what is stored: who told it and when, what it ends, what it undoes."""
