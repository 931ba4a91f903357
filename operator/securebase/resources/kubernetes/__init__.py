"""Kubernetes: Secrets that an object publishes."""
