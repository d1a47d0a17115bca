"""Commands of the learning wing: arguments and help, one file each."""
