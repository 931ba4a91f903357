"""The pure engine: graph, diff, plan, gates, outcome. No Kubernetes, AWS, Postgres or Redis library is imported here."""
