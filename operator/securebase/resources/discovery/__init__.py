"""Finding what is to be watched: things that others made, by name and by tags."""
