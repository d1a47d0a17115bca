"""The quadrotor: airframe files, rigid body with rotors, and the autopilot's controller."""
