"""The operations of R4 that this server answers: one module an operation."""
