"""CloudFront: distributions and everything they are made of. Global; its API lives in us-east-1."""
