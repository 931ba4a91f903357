"""The lab: a real Kubernetes API server, an AWS endpoint, Postgres, Redis and Prometheus on loopback, for the demo, the tests and bench/.

Everything is a context manager and a child process that dies with its parent. Importing this package starts and downloads nothing.
"""
