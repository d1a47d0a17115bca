"""The live page of a flight: a process of its own that reads the ring and serves HTTP."""
