"""Behaviours of AWS that neither emulator has, one module a service."""
