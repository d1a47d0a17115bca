"""Wirings: which neuron hears which, and with which sign. Drawing them and counting them.

A neural circuit policy (Lechner et al. 2020, "Neural circuit policies enabling auditable autonomy", Nature
Machine Intelligence 2, section "Design of NCPs") has four layers: sensory inputs, inter, command and motor
neurons. Synapses run from each layer to the next, and among the command neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from navstack.errors import InputError

LAYER_NAMES = ("inter", "command", "motor")
DEFAULT_SEED = 22222  # that of ncps, so that the same call draws the same circuit
OTHER_SEED = 1111  # that of ncps for its wirings of one layer


@dataclass(frozen=True, slots=True, eq=False)
class Wiring:
    """The synapses of a network whose neurons stand in the order in which their layers run.

    Raises InputError when the matrices do not fit the layers, or a synapse skips or reverses a layer.
    """

    sensory: NDArray[
        np.int8
    ]  # (inputs, neurons): polarity -1 or +1 of the synapse input -> neuron, 0 for none
    internal: NDArray[
        np.int8
    ]  # (neurons, neurons): polarity of the synapse source (row) -> destination (column)
    layers: tuple[int, ...]  # neurons of each layer in running order: inter, command, motor
    name: str = "custom"  # how it was drawn, for cards and logs
    motors: int | None = None  # motor neurons, which stand last; all of the last layer without it

    def __post_init__(self) -> None:
        for field in ("sensory", "internal"):
            matrix = np.array(getattr(self, field), dtype=np.int8)
            matrix.flags.writeable = False
            object.__setattr__(self, field, matrix)
        _check(self)

    @property
    def inputs(self) -> int:
        """Number of sensory inputs."""
        return int(self.sensory.shape[0])

    @property
    def neurons(self) -> int:
        """Number of neurons; the sensory inputs are not neurons."""
        return int(self.internal.shape[0])

    @property
    def outputs(self) -> int:
        """Number of motor neurons, whose states are the output: the last ones."""
        return self.layers[-1] if self.motors is None else self.motors

    @property
    def sensory_synapses(self) -> int:
        """Number of synapses from inputs to neurons."""
        return int(np.count_nonzero(self.sensory))

    @property
    def internal_synapses(self) -> int:
        """Number of synapses between neurons."""
        return int(np.count_nonzero(self.internal))

    @property
    def synapses(self) -> int:
        """Number of all synapses."""
        return self.sensory_synapses + self.internal_synapses

    def layer_slices(self) -> tuple[slice, ...]:
        """Where each layer's neurons stand among all."""
        ends = list(accumulate(self.layers))
        return tuple(slice(end - size, end) for end, size in zip(ends, self.layers, strict=True))


def _check(wiring: Wiring) -> None:
    neurons = sum(wiring.layers)
    if not wiring.layers or min(wiring.layers) < 1:
        raise InputError(f"wiring '{wiring.name}': every layer needs at least 1 neuron, not {wiring.layers}")
    if not 1 <= wiring.outputs <= wiring.layers[-1]:
        raise InputError(
            f"wiring '{wiring.name}': motor neurons must be 1 to {wiring.layers[-1]}, the neurons of the last"
            f" layer, not {wiring.outputs}"
        )
    if wiring.internal.shape != (neurons, neurons):
        raise InputError(
            f"wiring '{wiring.name}': internal synapses have shape {wiring.internal.shape}, "
            f"but layers {wiring.layers} have ({neurons}, {neurons})"
        )
    if wiring.sensory.ndim != 2 or wiring.sensory.shape[0] < 1 or wiring.sensory.shape[1] != neurons:
        raise InputError(
            f"wiring '{wiring.name}': sensory synapses have shape {wiring.sensory.shape}, "
            f"but should have (inputs, {neurons}) with at least 1 input"
        )
    for name, matrix in (("sensory", wiring.sensory), ("internal", wiring.internal)):
        if np.abs(matrix).max() > 1:
            raise InputError(f"wiring '{wiring.name}': {name} polarities must be -1, 0 or +1")
    _check_order(wiring)


def _check_order(wiring: Wiring) -> None:
    """Synapses come from the layer before or from the layer itself: the wavefront relies on it."""
    slices = wiring.layer_slices()
    if wiring.sensory[:, slices[0].stop :].any():
        raise InputError(f"wiring '{wiring.name}': inputs may reach only the first layer")
    for number, columns in enumerate(slices):
        allowed = np.zeros(wiring.neurons, dtype=bool)
        for source in slices[max(number - 1, 0) : number + 1]:
            allowed[source] = True
        if wiring.internal[~allowed, columns].any():
            raise InputError(
                f"wiring '{wiring.name}': neurons of layer {number} may hear only their own layer "
                f"and the one before it"
            )


class _Drawing:
    """Synapses as they are drawn: the random calls of `ncps.wirings.NCP` in their order.

    It keeps numpy's legacy `RandomState`, whose stream numpy has frozen: the same seed gives the same circuit
    as ncps, in every version of numpy.
    """

    def __init__(self, sensory: int, layers: tuple[int, int, int], seed: int) -> None:
        self.rng = np.random.RandomState(seed)
        self.first = dict(zip(LAYER_NAMES, (0, layers[0], layers[0] + layers[1]), strict=True))
        self.sizes = dict(zip(LAYER_NAMES, layers, strict=True))
        self.sensory = np.zeros((sensory, sum(layers)), dtype=np.int8)
        self.internal = np.zeros((sum(layers), sum(layers)), dtype=np.int8)

    def connect(self, source: int, target: int, source_layer: str, target_layer: str) -> None:
        """One synapse of random polarity between the neurons with these numbers in their layers."""
        polarity = self.rng.choice([-1, 1])
        column = self.first[target_layer] + target
        if source_layer == "sensory":
            self.sensory[source, column] = polarity
        else:
            self.internal[self.first[source_layer] + source, column] = polarity

    def pick(self, among: int, count: int) -> list[int]:
        """`count` different numbers below `among`."""
        return [int(number) for number in self.rng.choice(among, size=count, replace=False)]

    def fan_out(self, source_layer: str, target_layer: str, count: int) -> None:
        """Every source reaches `count` targets; a target that none reached gets the mean fan-in."""
        sources = len(self.sensory) if source_layer == "sensory" else self.sizes[source_layer]
        targets = self.sizes[target_layer]
        forgotten = list(range(targets))
        for source in range(sources):
            for target in self.pick(targets, count):
                if target in forgotten:
                    forgotten.remove(target)
                self.connect(source, target, source_layer, target_layer)
        fan_in = min(max(sources * count // targets, 1), sources)
        for target in forgotten:
            for source in self.pick(sources, fan_in):
                self.connect(source, target, source_layer, target_layer)

    def recurrent(self, layer: str, count: int) -> None:
        """`count` draws of a synapse within a layer; a pair drawn twice is one synapse."""
        for _ in range(count):
            source, target = (int(self.rng.choice(self.sizes[layer])) for _ in range(2))
            self.connect(source, target, layer, layer)

    def fan_in(self, source_layer: str, target_layer: str, count: int) -> None:
        """Every target hears `count` sources; a source that none hears gets the mean fan-out."""
        sources, targets = self.sizes[source_layer], self.sizes[target_layer]
        forgotten = list(range(sources))
        for target in range(targets):
            for source in self.pick(sources, count):
                if source in forgotten:
                    forgotten.remove(source)
                self.connect(source, target, source_layer, target_layer)
        fan_out = min(max(targets * count // sources, 1), targets)
        for source in forgotten:
            for target in self.pick(targets, fan_out):
                self.connect(source, target, source_layer, target_layer)


def ncp(
    inputs: int,
    inter: int,
    command: int,
    motor: int,
    *,
    sensory_fanout: int,
    inter_fanout: int,
    recurrent_command_synapses: int,
    motor_fanin: int,
    seed: int = DEFAULT_SEED,
) -> Wiring:
    """A neural circuit policy, synapse by synapse that of `ncps.wirings.NCP` (1.0.1) for the same seed.

    Args:
        inputs: sensory inputs.
        inter: inter neurons.
        command: command neurons.
        motor: motor neurons, the outputs.
        sensory_fanout: inter neurons that each input reaches.
        inter_fanout: command neurons that each inter neuron reaches.
        recurrent_command_synapses: draws of a synapse among the command neurons.
        motor_fanin: command neurons that each motor neuron hears.
        seed: of numpy's legacy random stream.

    Raises:
        InputError: a count is below its minimum or a fan is wider than the layer it reaches into.
    """
    for what, count, least in (
        ("inputs", inputs, 1), ("inter", inter, 1), ("command", command, 1), ("motor", motor, 1),
        ("sensory_fanout", sensory_fanout, 1), ("inter_fanout", inter_fanout, 1),
        ("recurrent_command_synapses", recurrent_command_synapses, 0), ("motor_fanin", motor_fanin, 1),
    ):  # fmt: skip
        if count < least:
            raise InputError(f"NCP wiring: {what} must be at least {least}, not {count}")
    for what, fan, layer, size in (
        ("sensory_fanout", sensory_fanout, "inter", inter),
        ("inter_fanout", inter_fanout, "command", command),
        ("motor_fanin", motor_fanin, "command", command),
    ):
        if fan > size:
            raise InputError(f"NCP wiring: {what} is {fan} but there are only {size} {layer} neurons")
    drawing = _Drawing(inputs, (inter, command, motor), seed)
    drawing.fan_out("sensory", "inter", sensory_fanout)
    drawing.fan_out("inter", "command", inter_fanout)
    drawing.recurrent("command", recurrent_command_synapses)
    drawing.fan_in("command", "motor", motor_fanin)
    name = f"NCP {inter}+{command}+{motor}, seed {seed}"
    return Wiring(drawing.sensory, drawing.internal, (inter, command, motor), name)


def auto_ncp(inputs: int, units: int, motors: int, sparsity: float = 0.5, seed: int = DEFAULT_SEED) -> Wiring:
    """A neural circuit policy from its size alone, the same as `ncps.wirings.AutoNCP`.

    Args:
        inputs: sensory inputs.
        units: neurons in all.
        motors: motor neurons, at most units - 3.
        sparsity: from 0.1 (dense) to 1.0 (one synapse each).
        seed: of numpy's legacy random stream.

    Raises:
        InputError: too few units for the motors, or a sparsity outside its range.
    """
    if not 1 <= motors < units - 2:
        raise InputError(f"AutoNCP wiring: motors must be from 1 to units - 3 = {units - 3}, not {motors}")
    if not 0.1 <= sparsity <= 1.0:
        raise InputError(f"AutoNCP wiring: sparsity must be from 0.1 to 1.0, not {sparsity}")
    density = 1.0 - sparsity
    command = max(int(0.4 * (units - motors)), 1)
    inter = units - motors - command
    wiring = ncp(
        inputs,
        inter,
        command,
        motors,
        sensory_fanout=max(int(inter * density), 1),
        inter_fanout=max(int(command * density), 1),
        recurrent_command_synapses=max(int(command * density * 2), 1),
        motor_fanin=max(int(command * density), 1),
        seed=seed,
    )
    name = f"AutoNCP {units} units, {motors} motors, sparsity {sparsity:g}, seed {seed}"
    return Wiring(wiring.sensory, wiring.internal, wiring.layers, name)


def fully_connected(inputs: int, units: int, motors: int, seed: int = OTHER_SEED) -> Wiring:
    """Every neuron hears every input and every neuron, itself included: `ncps.wirings.FullyConnected`.

    One layer; a synapse is inhibitory with probability 1/3. Motor neurons stand last here, first in ncps.

    Args:
        inputs: sensory inputs.
        units: neurons in all.
        motors: motor neurons, at most `units`.
        seed: of the polarities.

    Raises:
        InputError: a count that cannot be.
    """
    return _one_layer(inputs, units, motors, None, seed, "fully connected")


def random_sparse(
    inputs: int, units: int, motors: int, sparsity: float = 0.5, seed: int = OTHER_SEED
) -> Wiring:
    """Synapses between pairs that are drawn from all pairs, the circuit of `ncps.wirings.Random`.

    Args:
        inputs: sensory inputs.
        units: neurons in all.
        motors: motor neurons, at most `units`.
        sparsity: share of the pairs without a synapse, at least 0 and below 1.
        seed: of pairs and polarities.

    Raises:
        InputError: a count that cannot be, or a sparsity outside its range.
    """
    return _one_layer(inputs, units, motors, sparsity, seed, "random")


def _one_layer(inputs: int, units: int, motors: int, sparsity: float | None, seed: int, kind: str) -> Wiring:
    """The random calls of ncps 1.0.1 in their order: neurons, then inputs; all pairs without a sparsity."""
    if inputs < 1 or not 1 <= motors <= units:
        raise InputError(
            f"{kind} wiring: inputs must be at least 1 and motors from 1 to the {units} neurons, not {inputs}"
            f" and {motors}"
        )
    if sparsity is not None and not 0.0 <= sparsity < 1.0:
        raise InputError(f"{kind} wiring: sparsity must be at least 0 and below 1, not {sparsity}")
    rng = np.random.default_rng(seed)
    internal = _random_synapses(rng, units, units, sparsity, draws=1)
    sensory = _random_synapses(rng, inputs, units, sparsity, draws=1 if sparsity is None else 2)
    order = [*range(motors, units), *range(motors)]  # ncps counts motor neurons first
    how = "" if sparsity is None else f", sparsity {sparsity:g}"
    name = f"{kind} {units} units, {motors} motors{how}, seed {seed}"
    return Wiring(sensory[:, order], internal[np.ix_(order, order)], (units,), name, motors)


def _random_synapses(
    rng: np.random.Generator, sources: int, targets: int, sparsity: float | None, draws: int
) -> NDArray[np.int8]:
    """(sources, targets) polarities; of several `draws` the last holds (ncps draws sensory ones twice)."""
    matrix = np.zeros((sources, targets), dtype=np.int8)
    pairs: list[int] = list(range(matrix.size))
    if sparsity is not None:
        pairs = rng.choice(matrix.size, size=round(matrix.size * (1.0 - sparsity)), replace=False).tolist()
    for pair in pairs:
        for _ in range(draws):
            matrix.flat[pair] = rng.choice([-1, 1, 1])
    return matrix
