"""What the operator tells about itself: metrics, logs, and what must not be in either."""
