"""Episodes to and from other projects' data sets."""
