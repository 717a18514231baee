"""What is answered by more than one acknowledgment: batches, and queries."""
