"""Learning from demonstrations: data set, behaviour cloning, DAgger."""
