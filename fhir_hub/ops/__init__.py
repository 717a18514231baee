"""Health, metrics and the OpenAPI page, on FastAPI."""
