"""`navstack bench onboard`: what a step and a turn of the loop cost, and beside what."""
