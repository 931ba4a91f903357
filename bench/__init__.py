"""Measurements of the operator against a real API server and the lab's AWS endpoint."""
