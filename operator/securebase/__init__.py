"""The SecureBase Operator: declarative performance and operations for a multi-tenant SaaS on AWS."""

__version__ = "0.1.0"
