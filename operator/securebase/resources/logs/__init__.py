"""CloudWatch Logs: vended log delivery."""
