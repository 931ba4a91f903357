"""The custom resources: pydantic models, one module or package a kind, and the generator of their CRDs."""
