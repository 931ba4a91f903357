"""ElastiCache: replication groups and what they are made of."""
