"""Flight tasks, one file each."""
