"""Secrets Manager: secrets whose values the operator generates."""
