"""Links to real autopilots: MAVLink (PX4, ArduCopter) and MSP (Betaflight)."""
