"""`NavigationEnv`: one Gymnasium environment for every task and world."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from navstack.contract import CameraSpec, Image, Limits, VelocityCommand
from navstack.envs.flight import SimulatedFlight
from navstack.envs.perturb import PERTURBATIONS, Perturbation, parse_perturbations
from navstack.envs.simulator import Simulator
from navstack.envs.tasks import make_task
from navstack.envs.tasks.base import Paired
from navstack.envs.vehicle import DEFAULT_AIRFRAME, load_airframe
from navstack.envs.worlds.spec import WorldSpec, load_world
from navstack.errors import InputError
from navstack.results import COLLISION, SUCCESS, TIMEOUT
from navstack.timing import FrameTiming

LARGEST_PICTURE = 1024  # pixels a side: the renderer works in software
LONGEST_DT = 60.0  # s: no flight lasts so long
Observation = dict[str, npt.NDArray[Any]]
_ALLOWED_SPLITS = {
    "train": ("train",),
    "dev": ("train", "dev"),
    "evaluate": ("train", "dev", "held-out"),
}


class NavigationEnv(gymnasium.Env[Observation, npt.NDArray[np.float32]]):
    """A drone with a camera, a task and a world.

    Observation: `image` (H, W, 3) uint8 RGB and `dt` (1,) float32, seconds since the previous frame. Action:
    (4,) float32, the velocity command forward, left, up in m/s and yaw_rate in rad/s in the level body frame,
    flown until the next frame arrives. Reward: metres of progress, +10 for success, -10 for a collision.
    `info` holds `expert_command` (4,) float32, the true `state`, the figures that the task reports (none for
    most) and, at the end, `outcome`.

    Args:
        task: name of the task, for instance "FlyToTarget".
        world: name of a library world, or the path of a world file.
        airframe: name of an airframe, or the path of an airframe file.
        purpose: "train" (refuses dev and held-out worlds), "dev" (refuses held-out) or "evaluate".
        difficulty: 0 to 1; the task says what it means.
        timing: the camera's clock.
        perturb: imperfections, each as "name:severity" with a severity from 1 to 5 (envs/perturb lists them).
        camera: what it is, where it is not the default one; False leaves the image black, for experts and
            anything else that needs no picture.
        render_mode: None or "rgb_array" (a chase view, 640 x 360).
        parameters: the task's own, for instance `distance=2.0`; a value may be text, as on a command line.

    Raises:
        InputError: for an unknown task, parameter, world, airframe, purpose, or a value out of range.
    """

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 20}  # noqa: RUF012 (Gymnasium's name)

    def __init__(
        self,
        task: str = "FlyToTarget",
        world: str | os.PathLike[str] = "meadow",
        airframe: str | os.PathLike[str] = DEFAULT_AIRFRAME,
        purpose: str = "train",
        difficulty: float = 1.0,
        timing: FrameTiming | None = None,
        perturb: Sequence[str] = (),
        camera: bool | CameraSpec = True,
        render_mode: str | None = None,
        **parameters: Any,
    ) -> None:
        flown = make_task(task, parameters)
        if not isinstance(difficulty, int | float) or not 0.0 <= difficulty <= 1.0:
            raise InputError(f"difficulty is {difficulty}; it must be between 0 and 1")
        self.render_mode = _checked_render_mode(render_mode)
        self.world_spec = checked_world(world, purpose)
        self.difficulty = difficulty
        self.with_camera = camera is not False
        self.camera_spec = _checked_camera(camera)
        if timing is not None and not isinstance(timing, FrameTiming):
            raise InputError(
                f"timing is {timing!r}; it must be a FrameTiming, such as FrameTiming(rate_hz=30)"
            )
        self.limits = Limits()
        self.simulator = Simulator(
            self.world_spec, load_airframe(airframe), flown, self.camera_spec,
            timing or FrameTiming(), checked_perturbations(perturb, purpose),
        )  # fmt: skip
        self._flight: SimulatedFlight | None = None  # until the first reset
        bound = self.limits.as_array()
        self.action_space = spaces.Box(-bound, bound, dtype=np.float32)
        picture = (self.camera_spec.height, self.camera_spec.width, 3)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]  # a Dict of Any
            image=spaces.Box(0, 255, picture, np.uint8), dt=spaces.Box(0.0, LONGEST_DT, (1,), np.float32)
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a flight in a new exact world; the same seed gives the same world and images bit for bit.

        `options={"anywhere": True}` begins wherever a flight may get to instead of at the task's start, which
        is for learning: success from there is not the task's. Raises InputError for other options, where the
        world cannot hold the task, and when the environment is closed.
        """
        self._refuse_when_closed()
        super().reset(seed=seed)
        if unknown := set(options or ()) - {"anywhere"}:
            raise InputError(f"reset option '{min(unknown)}' is not known; there is 'anywhere'")
        rng, mirrored = self._pair(seed)
        anywhere = bool((options or {}).get("anywhere"))
        self._flight = None
        self.simulator.reset(rng, self.difficulty, anywhere, mirrored)
        self._flight = flight = SimulatedFlight(self.simulator, self._picture)
        self._first_frame = flight.next_frame()
        self._captured = self._first_frame.capture_time
        self._progress = self._remaining()
        nominal = 1.0 / self.simulator.timing.rate_hz
        return self._observation(self._first_frame.image, nominal), self._info()

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Fly one command until the next frame.

        Raises InputError unless it is 4 finite numbers, and when the environment is closed; Gymnasium's
        ResetNeeded before the first reset. The flight goes on as if the refused command had not come.
        """
        flight = self._begun("step")
        flight.send(self._checked_action(action))
        frame = flight.next_frame()
        elapsed, self._captured = frame.capture_time - self._captured, frame.capture_time
        outcome = self.simulator.outcome
        remaining = self._remaining()
        reward = self._progress - remaining + {SUCCESS: 10.0, COLLISION: -10.0}.get(outcome or "", 0.0)
        self._progress = remaining
        terminated = outcome in (SUCCESS, COLLISION)
        return self._observation(frame.image, elapsed), reward, terminated, outcome == TIMEOUT, self._info()

    def flight(self) -> SimulatedFlight:
        """The flight that the last reset began, as camera, vehicle and clock of the closed loop; ask once.

        Raises like `step`; so do `picture` and `render`.
        """
        flight = self._begun("flight")
        flight.hand_back(self._first_frame)
        return flight

    def picture(self) -> Image:
        """What the camera sees now; black without a camera."""
        self._begun("picture")
        return self._picture()

    def _picture(self) -> Image:
        if self.with_camera:
            return self.simulator.capture()
        return np.zeros((self.camera_spec.height, self.camera_spec.width, 3), dtype=np.uint8)

    def render(self) -> npt.NDArray[np.uint8] | None:  # type: ignore[override]
        """The chase view, (360, 640, 3) uint8 RGB, in render mode "rgb_array"."""
        if self.render_mode is None:
            return None
        self._begun("render")
        return self.simulator.chase_view()

    @property
    def mirrors(self) -> bool:
        """Whether pictures may be mirrored, left and yaw rate with them, for learning."""
        return self.simulator.task.mirrors

    def close(self) -> None:
        """Release the physics server."""
        self.simulator.close()

    def _begun(self, method: str) -> SimulatedFlight:
        self._refuse_when_closed()
        if self._flight is None:
            raise ResetNeeded(f"no flight has begun: call reset before {method}")
        return self._flight

    def _refuse_when_closed(self) -> None:
        if self.simulator.closed:
            raise InputError("this environment is closed: make another one")

    def _remaining(self) -> float:
        simulator = self.simulator
        return simulator.judge.remaining(simulator.above_ground(simulator.vehicle.position))

    def _pair(self, seed: int | None) -> tuple[np.random.Generator, bool]:
        """What the flight is drawn from, and whether it is the second of a mirrored pair."""
        if not isinstance(self.simulator.task, Paired):
            return self.np_random, False
        number = int(self.np_random.integers(2**32)) if seed is None else seed
        return np.random.default_rng(number // 2), bool(number % 2)

    def _observation(self, image: Image, dt: float) -> Observation:
        return {"image": image, "dt": np.array([dt], dtype=np.float32)}

    def _info(self) -> dict[str, Any]:
        state = self.simulator.state()
        info: dict[str, Any] = {
            "expert_command": self.simulator.expert_command(state).as_array(),
            "state": state,
            **self.simulator.judge.report(),
        }
        if self.simulator.outcome is not None:
            info["outcome"] = self.simulator.outcome
        return info

    def _checked_action(self, action: npt.NDArray[np.float32]) -> VelocityCommand:
        try:
            numbers = np.asarray(action, dtype=np.float64).tolist()
            right = len(numbers) == 4 and all(map(math.isfinite, numbers))
        except (TypeError, ValueError, OverflowError):
            right = False
        if not right:
            raise InputError(
                f"the action is {str(action)[:120]}; expected 4 finite numbers:"
                " forward, left, up (m/s), yaw_rate (rad/s)"
            )
        return self.limits.clamp(VelocityCommand(*numbers))


def checked_world(world: str | os.PathLike[str], purpose: str) -> WorldSpec:
    """Load a world that may be used for this purpose. Raises InputError for one that may not."""
    if purpose not in _ALLOWED_SPLITS:
        raise InputError(f"purpose is '{purpose}'; it must be one of {', '.join(_ALLOWED_SPLITS)}")
    spec = load_world(os.fspath(world))
    if spec.split not in _ALLOWED_SPLITS[purpose]:
        raise InputError(
            f"world '{spec.name}' is {spec.split}; purpose '{purpose}' may use"
            f" {' and '.join(_ALLOWED_SPLITS[purpose])} worlds only (navstack worlds lists them)"
        )
    return spec


def checked_perturbations(texts: Sequence[str], purpose: str) -> tuple[Perturbation, ...]:
    """Imperfections that may be used for this purpose. Raises InputError for others."""
    if isinstance(texts, str):
        raise InputError(f"perturb is '{texts}'; give a sequence, such as ('{texts}',)")
    found = parse_perturbations(texts)
    for one in found:
        if purpose == "train" and one.kind.split != "train":
            raise InputError(
                f"perturbation '{one}' is held out; purpose 'train' may use"
                f" {', '.join(name for name, kind in PERTURBATIONS.items() if kind.split == 'train')}"
            )
    return found


def _checked_camera(camera: bool | CameraSpec) -> CameraSpec:
    if isinstance(camera, bool):
        return CameraSpec()
    if not isinstance(camera, CameraSpec):
        raise InputError(f"camera is {camera!r}; it must be True, False or a CameraSpec")
    for name in ("height", "width"):
        value = getattr(camera, name)
        if not isinstance(value, int) or not 8 <= value <= LARGEST_PICTURE:
            raise InputError(f"the camera's {name} is {value}; it must be 8 to {LARGEST_PICTURE} pixels")
    if not math.radians(10.0) <= camera.horizontal_fov <= math.radians(150.0):
        raise InputError(
            f"the camera's horizontal field of view is {camera.horizontal_fov} rad;"
            " it must be 10 to 150 degrees"
        )
    if not abs(camera.pitch) <= 0.5 * math.pi:
        raise InputError(f"the camera's pitch is {camera.pitch} rad; it must be within 90 degrees")
    return camera


def _checked_render_mode(mode: str | None) -> str | None:
    if mode == "human":
        raise InputError(
            "render_mode 'human' needs a window, which this environment does not open; use 'rgb_array'"
        )
    if mode not in (None, "rgb_array"):
        raise InputError(f"render_mode is '{mode}'; it must be None or 'rgb_array'")
    return mode
