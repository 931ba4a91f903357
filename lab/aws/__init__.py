"""The lab's one AWS endpoint: emulators behind a router that adds what they lack."""
