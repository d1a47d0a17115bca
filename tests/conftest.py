"""What holds for all tests."""

import signal

# A runner in the background may have started us with interrupts ignored, and programs that tests start and
# interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
