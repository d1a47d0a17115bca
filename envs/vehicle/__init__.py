"""The quadrotor: airframe files, rigid body with rotors, and the autopilot's controller."""

from navstack.envs.vehicle.airframe import DEFAULT_AIRFRAME, GRAVITY, Airframe, airframe_names, load_airframe
from navstack.envs.vehicle.quadrotor import Quadrotor

__all__ = ["DEFAULT_AIRFRAME", "GRAVITY", "Airframe", "Quadrotor", "airframe_names", "load_airframe"]
