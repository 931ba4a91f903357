"""KMS: our statement in the policies of customer keys."""
