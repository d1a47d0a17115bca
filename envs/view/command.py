"""What `navstack view` does with its arguments."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import rerun as rr

from navstack.card import EXPERT_CARD
from navstack.contract import Image, PolicyCard, VelocityCommand
from navstack.envs.flight import SimulatedFlight
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.view.server import Server
from navstack.envs.view.stream import FlightStream, Moment
from navstack.episodes import Episode, load_episode
from navstack.errors import InputError
from navstack.files import check_new_file
from navstack.flight import Tick, fly
from navstack.flying import RealTime
from navstack.options import parse_options
from navstack.policy import OnnxPolicy
from navstack.safety import guard_for
from navstack.timing import FrameTiming

if TYPE_CHECKING:
    from navstack.envs.commands.view import View

CHASE_FPS = 10  # a chase view costs as much as many frames
CHASE_SIZE = (480, 270)  # pixels
NEAR = 0.01  # m between an episode's start and a world's that are the same


class ExpertPilot:
    """The expert as a policy: it sees the true state, never the picture."""

    card: PolicyCard = EXPERT_CARD

    def __init__(self, flight: SimulatedFlight) -> None:
        self._flight = flight

    def reset(self) -> None:
        """It remembers nothing."""

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """What the expert would fly now."""
        return self._flight.expert_command()


def run(arguments: View) -> int:
    """Show a flight. Raises InputError before anything is served."""
    check_new_file(arguments.save)
    episode = load_episode(arguments.episode) if arguments.episode else None
    environment = _environment(arguments, episode)
    with (
        contextlib.closing(environment),
        _recording(arguments) as recording,
        contextlib.suppress(KeyboardInterrupt),
    ):
        if episode is None:
            _fly(arguments, environment, recording)
        else:
            _replay(episode, environment, recording, paced=arguments.save is None)
        recording.flush()
        while arguments.stay and arguments.save is None:
            time.sleep(1.0)
    return 0


def _environment(arguments: View, episode: Episode | None) -> NavigationEnv:
    facts = episode.facts if episode else None
    options: dict[str, Any] = dict(parse_options(arguments.task_option))
    return NavigationEnv(
        task=facts.env if facts else arguments.env,
        world=facts.world if facts else arguments.world,
        purpose="evaluate",
        timing=FrameTiming(rate_hz=arguments.rate),
        perturb=() if facts else arguments.perturb,
        **options,
    )


@contextlib.contextmanager
def _recording(arguments: View) -> Iterator[rr.RecordingStream]:
    """Where the flight goes: into a file, or to a server whose address is printed."""
    recording = rr.RecordingStream("navstack")
    if arguments.save is not None:
        recording.save(arguments.save)
        yield recording
        recording.disconnect()
        return
    with Server(arguments.port) as server:
        recording.connect_grpc(server.data)
        print(f"open {server.page}", flush=True)
        yield recording
        recording.disconnect()


def _fly(arguments: View, environment: NavigationEnv, recording: rr.RecordingStream) -> None:
    """Fly once, at the wall clock's pace where somebody watches."""
    policy = None if arguments.pilot == "expert" else OnnxPolicy.load(arguments.pilot)
    if policy is not None:
        policy.check_task(arguments.env)
        policy.check_camera(environment.camera_spec)
    environment.reset(seed=arguments.seed)
    flight, simulator = environment.flight(), environment.simulator
    stream = FlightStream(
        recording, f"{arguments.env} in {arguments.world}, seed {arguments.seed}, flown by {arguments.pilot}"
    )
    stream.scene(simulator.scene, simulator.scenario.target_enu)
    chased = -1.0

    def watch(tick: Tick) -> None:
        nonlocal chased
        if tick.frame is None:
            return
        due = tick.time - chased >= 0.999 / CHASE_FPS
        chased = tick.time if due else chased
        chase = simulator.chase_view(*CHASE_SIZE) if due else None
        expert, state = simulator.expert_command(), tick.state
        stream.show(
            Moment(tick.time, tick.frame.image, chase, tick.sent, expert, state.position_enu, state.yaw)
        )

    flown = flight if arguments.save else RealTime(flight)
    pilot = policy or ExpertPilot(flight)
    guard = guard_for(policy.card) if policy else None
    fly(pilot, guard, flown, flown, flown, finished=lambda: flight.finished, observers=[watch])
    stream.end(flight.outcome or "cut off")
    print(f"{flight.outcome} after {flight.now():.1f} s", flush=True)


def _replay(episode: Episode, environment: NavigationEnv, recording: rr.RecordingStream, paced: bool) -> None:
    """Show a recorded episode at the pace of its frames, its chase view drawn anew in its world."""
    facts, simulator = episode.facts, environment.simulator
    stream = FlightStream(
        recording,
        f"{facts.env} in {facts.world}, seed {facts.seed}, episode {facts.index}, by {facts.source}",
    )
    same = _same_world(episode, environment)
    if same:
        stream.scene(simulator.scene, simulator.scenario.target_enu)
    else:
        print("its world cannot be built again (task options?): no chase view, no obstacles", flush=True)
    times, started = np.cumsum(episode.dt) - episode.dt[0], time.monotonic()
    chased = -1.0
    for row, instant in enumerate(times.tolist()):
        position, yaw = tuple(episode.position_enu[row].tolist()), float(episode.yaw[row])
        chase = None
        if same and instant - chased >= 0.999 / CHASE_FPS:
            chased = instant
            turn = pybullet.getQuaternionFromEuler((0.0, 0.0, yaw))
            pybullet.resetBasePositionAndOrientation(
                simulator.vehicle.body, position, turn, physicsClientId=simulator.client
            )
            simulator.vehicle.read()
            chase = simulator.chase_view(*CHASE_SIZE)
        flown = VelocityCommand.from_array(episode.command[row])
        expert = VelocityCommand.from_array(episode.expert_command[row])
        stream.show(Moment(instant, episode.image[row], chase, flown, expert, position, yaw))
        if paced:
            time.sleep(max(0.0, instant - (time.monotonic() - started)))
    stream.end(facts.outcome)


def _same_world(episode: Episode, environment: NavigationEnv) -> bool:
    """Reset to the episode's exact world; whether it begins where the episode does."""
    for anywhere in (False, True):
        try:
            environment.reset(seed=episode.facts.seed, options={"anywhere": anywhere})
        except InputError:
            continue
        if np.abs(np.subtract(environment.simulator.vehicle.position, episode.position_enu[0])).max() < NEAR:
            return True
    return False
