"""What `navstack explain` does with its arguments."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console

from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.files import check_new_file, new_folder, write_atomically
from navstack.films import write_mp4
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cores import CORES
from navstack.policies.explain.activity import TimeConstants, time_constants
from navstack.policies.explain.attention import Maps, add_noise, input_gradients, ssim, visual_backprop
from navstack.policies.explain.circuit import circuit_figure, circuit_film
from navstack.policies.explain.figures import Layer, neurons_figure, steadiness_figure
from navstack.policies.explain.film import attention_film
from navstack.policies.explain.gradients import random_features, reach_figure
from navstack.policies.explain.graph import PolicyGraph
from navstack.policies.explain.reach import Reach, gradient_reach
from navstack.policies.explain.replay import Recording, Replay, every, read_recording, replay
from navstack.policies.memory import begin_with_time_constants
from navstack.policies.network import NetworkSpec, build_network, check_network
from navstack.policies.variants import Variant
from navstack.policies.wiring import LAYER_NAMES, Wiring
from navstack.policy import read_policy

if TYPE_CHECKING:
    from navstack.policies.commands.explain import Flight, Gradients

METHODS = {"VisualBackProp": visual_backprop, "input gradients": input_gradients}
NOISE = (0.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)  # standard deviations in grey levels
NOISY_FRAMES = 100  # at most: evenly over the flight


def explain_flight(arguments: Flight) -> int:
    """Write all figures of a flight into a new folder. Raises InputError before it writes anything."""
    torch.set_num_threads(1)  # operations on single frames are too small to share
    file = read_policy(arguments.policy)
    graph = PolicyGraph(file)
    recording = read_recording(arguments.flight, file.card.rate_hz)
    flown = replay(file, recording)
    out, console = new_folder(arguments.out), Console()
    limits = file.card.limits
    maps = [(name, method(graph, flown)) for name, method in METHODS.items()]
    write_mp4(out / "attention.mp4", attention_film(flown, maps, limits), 20.0)
    _tell(console, out / "attention.mp4", "VisualBackProp and input gradients over the flight")
    constants = time_constants(graph, flown)
    figure = neurons_figure(flown, constants, layers_of(file.card), limits)
    write_atomically(out / "neurons.png", figure)
    _tell(console, out / "neurons.png", "every neuron's state and time constant")
    wiring = wiring_of(file.card)
    if wiring is None:
        console.print(f"{file.card.network} follows no wiring: there is no circuit to draw")
    else:
        _draw_wiring(out, wiring, flown, console)
    scores, picture = steadiness(graph, flown, recording, arguments.seed)
    write_atomically(out / "steadiness.png", picture)
    _tell(console, out / "steadiness.png", "structural similarity of the attention under image noise")
    facts = _facts(file.card, recording, flown, constants, scores)
    write_atomically(out / "explain.json", (json.dumps(facts, indent=1) + "\n").encode())
    _tell(console, out / "explain.json", "the figures' numbers")
    return 0


def _draw_wiring(out: Path, wiring: Wiring, flown: Replay, console: Console) -> None:
    """The circuit over the flight as a film, and at four moments as a picture."""
    write_mp4(out / "wiring.mp4", circuit_film(wiring, flown), 20.0)
    _tell(console, out / "wiring.mp4", "the wiring with the neurons' activity")
    moments = np.linspace(0, len(flown.dt) - 1, 4).round().astype(int)
    titles = [f"{flown.time[moment]:.1f} s" for moment in moments]
    figure = circuit_figure(wiring, [flown.next_state[moment] for moment in moments], titles)
    write_atomically(out / "wiring.png", figure)
    _tell(console, out / "wiring.png", "the same at four moments")


def _tell(console: Console, path: Path, what: str) -> None:
    console.print(f"{path}: {what}", highlight=False, soft_wrap=True)


def steadiness(
    graph: PolicyGraph, flown: Replay, recording: Recording, seed: int
) -> tuple[dict[str, npt.NDArray[np.float64]], bytes]:
    """SSIM between each frame's map and that of the same frame under noise, the state held, and its figure.

    Returns, by method, (noise levels, frames) values; and a PNG.
    """
    rng = np.random.default_rng(seed)
    rows = list(every(recording, NOISY_FRAMES))
    clean = _at(flown, rows, flown.image[rows])
    truth = {name: method(graph, clean) for name, method in METHODS.items()}
    scores: dict[str, list[list[float]]] = {name: [] for name in METHODS}
    shown, samples = len(rows) // 2, []
    for deviation in NOISE:
        noisy = _at(flown, rows, add_noise(clean.image, deviation, rng))
        maps: dict[str, Maps] = {name: method(graph, noisy) for name, method in METHODS.items()}
        for name in METHODS:
            pairs = zip(truth[name], maps[name], strict=True)
            scores[name].append([ssim(before, after) for before, after in pairs])
        samples.append((noisy.image[shown], maps["VisualBackProp"][shown]))
    found = {name: np.array(values) for name, values in scores.items()}
    return found, steadiness_figure(NOISE, found, samples)


def _at(flown: Replay, rows: list[int], image: npt.NDArray[np.uint8]) -> Replay:
    """Some frames of a flight with other pictures."""
    return Replay(image, flown.dt[rows], flown.state[rows], flown.next_state[rows], flown.command[rows])


def wiring_of(card: PolicyCard) -> Wiring | None:
    """The wiring of a policy's core, drawn anew from its card; None where it has none that is known here."""
    try:
        core = build_network(NetworkSpec(card.network, card.camera, variant=_variant(card))).core
    except InputError:
        return None
    wiring = getattr(core, "wiring", None)
    return wiring if isinstance(wiring, Wiring) and wiring.neurons == card.state_size else None


def _variant(card: PolicyCard) -> Variant | None:
    """The size that the policy was trained with, where it is not the network's own."""
    config = card.training.get("config", {})
    if not config.get("neurons"):
        return None
    names = [field.name for field in fields(Variant)]
    return Variant(**{name: config[name] for name in names if name in config})


def layers_of(card: PolicyCard) -> list[Layer]:
    """The layers of the state's neurons: one where the policy has no wiring that is known here."""
    wiring = wiring_of(card)
    if wiring is None:
        return [Layer("state", card.state_size)]
    names = LAYER_NAMES if len(wiring.layers) == len(LAYER_NAMES) else map(str, range(len(wiring.layers)))
    return [Layer(name, neurons) for name, neurons in zip(names, wiring.layers, strict=True)]


def _facts(
    card: PolicyCard, recording: Recording, flown: Replay, constants: TimeConstants,
    scores: dict[str, npt.NDArray[np.float64]],
) -> dict[str, Any]:  # fmt: skip
    quantiles = (0.1, 0.5, 0.9)
    return {
        "network": card.network,
        "flight": recording.name,
        "frames": len(flown.dt),
        "time_constants": {
            "meaning": constants.meaning,
            "seconds_by_layer": {
                layer.name: np.quantile(constants.seconds[:, start : start + layer.neurons], quantiles)
                .round(4)
                .tolist()
                for layer, start in _starts(layers_of(card))
            },
            "quantiles": quantiles,
        },
        "steadiness": {
            "noise": NOISE,
            "ssim_mean": {name: values.mean(axis=1).round(4).tolist() for name, values in scores.items()},
        },
    }


def explain_gradients(arguments: Gradients) -> int:
    """Draw gradient norms against the distance in time. Raises InputError before it computes anything."""
    numbers = arguments.out.with_suffix(".json")
    if arguments.out.suffix != ".png":
        raise InputError(f"{arguments.out}: the picture's name must end in .png")
    if arguments.frames < 2:
        raise InputError(f"--frames is {arguments.frames}; at least 2 are needed")
    check_new_file(arguments.out)
    check_new_file(numbers)
    reaches = reach_of_presets(arguments) | reach_of_runs(arguments)
    title = "What the command's gradient keeps over time"
    write_atomically(arguments.out, reach_figure(reaches, NetworkSpec().rate_hz, title))
    rows = [
        {"network": name, "reach_frames": reach.frames, "of": len(reach.norm), "norm": reach.norm.tolist()}
        for name, reach in reaches.items()
    ]
    write_atomically(numbers, (json.dumps(rows, indent=1) + "\n").encode())
    console = Console()
    for row in rows:
        least = "at least " if row["reach_frames"] == row["of"] else ""
        console.print(
            f"{row['network']}: over a thousandth up to {least}{row['reach_frames']} frames", highlight=False
        )
    _tell(console, arguments.out, "gradient norm against distance in time")
    return 0


def reach_of_presets(arguments: Gradients) -> dict[str, Reach]:
    """Networks with fresh weights on unit normal features. Raises InputError for an unknown name."""
    names = tuple(CORES) if arguments.network is None else arguments.network
    for name in names:
        check_network(name)
    size = build_network(NetworkSpec(names[0])).vision.feature_size if names else 1
    x, dt = random_features(16, arguments.frames, size, arguments.seed)
    reaches = {}
    for name in names:
        torch.manual_seed(arguments.seed)
        core = CORES[name](size)
        reaches[name] = gradient_reach(core, x, dt)
        if arguments.memory > 0.0 and isinstance(core, WiredCfC) and core.mode == "default":
            random = torch.Generator().manual_seed(arguments.seed)
            begin_with_time_constants(core, arguments.memory * NetworkSpec().rate_hz, random)
            reaches[f"{name}, time constants"] = gradient_reach(core, x, dt)
    return reaches


def reach_of_runs(arguments: Gradients) -> dict[str, Reach]:
    """The networks of training runs on the longest of their own episodes."""
    from navstack.policies.imitation.command import network_of_run
    from navstack.policies.imitation.dataset import StoredEpisode

    reaches = {}
    for folder in arguments.run:
        network = network_of_run(folder)
        episodes = sorted(
            (StoredEpisode.open(path) for path in sorted((folder / "episodes").glob("r*.safetensors"))),
            key=len, reverse=True,
        )[:16]  # fmt: skip
        if not episodes:
            raise InputError(f"{folder} holds no episodes to look at")
        frames = min(arguments.frames, len(episodes[-1]))
        image = torch.from_numpy(np.stack([episode.image[:frames] for episode in episodes]))
        dt = np.stack([episode.intervals(np.arange(frames)) for episode in episodes])
        with torch.no_grad():
            features = network.vision.sequence(image)
        periods = network.periods(torch.from_numpy(dt))
        reaches[f"{folder.name} (trained)"] = gradient_reach(network.core, features, periods)
    return reaches


def _starts(layers: list[Layer]) -> list[tuple[Layer, int]]:
    starts, start = [], 0
    for layer in layers:
        starts.append((layer, start))
        start += layer.neurons
    return starts
