"""What an operator needs of a running hub: health, metrics, and where everything is."""
