"""Commands of the simulator wing: arguments and help, one file each."""
