"""Commands of the ground floor: arguments and help, one file each."""
