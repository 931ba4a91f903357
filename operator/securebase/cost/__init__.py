"""What resources cost: a dated price book, estimates and recommendations (pure), and a collector of measured facts."""
