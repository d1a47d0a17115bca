"""Any environment as a vehicle with an emulated autopilot: `navstack sitl`.

EMULATED: the rules here were written after PX4's and ArduCopter's sources and pages, which each rule names,
by the same hands as the link that talks to them. They prove nothing about the firmware by themselves.
"""

from navstack.envs.sitl.autopilot import EmulatedAutopilot
from navstack.envs.sitl.body import SitlBody
from navstack.envs.sitl.wire import MemoryWire

__all__ = ["EmulatedAutopilot", "MemoryWire", "SitlBody"]
