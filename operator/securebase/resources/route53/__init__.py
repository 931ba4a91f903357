"""Route 53: hosted zones and records. Global; its API lives in us-east-1."""
