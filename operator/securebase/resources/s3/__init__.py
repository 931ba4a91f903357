"""S3: buckets of others and our statement in their policies."""
