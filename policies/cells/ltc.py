"""Liquid time-constant (LTC) networks whose synapses follow a wiring.

Hasani et al. 2021, "Liquid time-constant networks", AAAI; synapses as in Lechner et al. 2020, "Neural circuit
policies enabling auditable autonomy", equations 1 to 3:

    cm dv_i/dt = gleak_i (vleak_i - v_i) + sum_j w_ij s_ij(v_j) (erev_ij - v_i)
    s_ij(v) = sigmoid(sigma_ij (v - mu_ij))

summed over the synapses into neuron i, from neurons and from the (mapped) inputs, which are held within a
frame. The `fused` solver is the semi-implicit one of Hasani et al. (equation 3, algorithm 1): with the
synapses at the step's beginning and v_i at its end,

    v_i' = (cm_i/h v_i + gleak_i vleak_i + sum_j w_ij s_ij erev_ij) / (cm_i/h + gleak_i + sum_j w_ij s_ij)

A softplus keeps w, gleak and cm positive. Names of parameters and their first values are those of `ncps`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from navstack.errors import InputError
from navstack.policies.cells.cell import Step, at_the_end, check_lengths, ended, run_steps
from navstack.policies.cells.ltc_sequence import FusedSequence, SynapseLists, synapse_lists
from navstack.policies.cells.solvers import EVALUATIONS, SOLVERS, check_solver
from navstack.policies.wiring import Wiring

LTC_SOLVERS = ("fused", *SOLVERS)
EPSILON = 1e-8  # of ncps, against a division by zero
FIRST = {"weight": (0.001, 1.0), "sigma": (3.0, 8.0), "mu": (0.3, 0.8)}  # of a synapse, uniform
FIRST_OF_NEURON = {"gleak": (0.001, 1.0), "vleak": (-0.2, 0.2), "cm": (0.4, 0.6)}
PER_SYNAPSE, PER_NEURON = 4, 3  # parameters


class Synapses(NamedTuple):
    """Synapses in a table of D destinations by K, the largest fan-in; what is missing has weight 0."""

    weight: Tensor  # (D, K) softplus taken
    driven: Tensor  # (D, K) weight times reversal potential
    sigma: Tensor  # (D, K)
    mu: Tensor  # (D, K)
    sources: Tensor  # (D, K) int64
    place: Tensor  # (U,) int64: the row of each neuron; D, a row of zeros, where it hears nothing

    def currents(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Of sources (B, n): sums of w s erev and of w s, into each neuron (B, U)."""
        heard = v.index_select(1, self.sources.flatten()).unflatten(1, self.sources.shape)
        activity = torch.sigmoid(self.sigma * (heard - self.mu))
        sums = torch.stack([(activity * self.driven).sum(2), (activity * self.weight).sum(2)])
        driving, conducting = nn.functional.pad(sums, (0, 1)).index_select(2, self.place)
        return driving, conducting


class Membrane(NamedTuple):
    """What a step takes: parameters with their constraints, once for many steps."""

    sensory: Synapses
    internal: Synapses
    gleak: Tensor  # (U,)
    vleak: Tensor  # (U,)
    cm: Tensor  # (U,)


class LtcCore(nn.Module):
    """An LTC whose synapses follow a wiring; the state is all membrane potentials.

    Args:
        input_size: features I; must be the wiring's inputs.
        wiring: synapses and their polarities, the first reversal potentials.
        solver: `fused`, or `euler`, `rk4` or `adaptive`.
        steps: of the solver within a frame.

    Raises:
        InputError: an unknown solver, no steps, or a wiring drawn for another number of inputs.
    """

    connectivity = "strict"  # an LTC has no other: its parameters are those of its synapses
    weight: nn.Parameter  # (E,) synapse by synapse, those of the inputs first, destination by destination
    sigma: nn.Parameter  # (E,)
    mu: nn.Parameter  # (E,)
    gleak: nn.Parameter  # (U,)
    vleak: nn.Parameter  # (U,)
    cm: nn.Parameter  # (U,)

    def __init__(self, input_size: int, wiring: Wiring, solver: str = "fused", steps: int = 6) -> None:
        super().__init__()
        check_solver(solver, steps, LTC_SOLVERS)
        if input_size != wiring.inputs:
            raise InputError(
                f"wiring '{wiring.name}' has {wiring.inputs} inputs, but the cell gets {input_size}"
            )
        self.input_size, self.wiring, self.solver, self.steps = input_size, wiring, solver, steps
        self.backend, self.backends = "torch", ("torch", "numba") if solver == "fused" else ("torch",)
        self._lists: Any = None  # of the numba back end, made when it first runs
        self.state_size = self.neurons = wiring.neurons
        self.output_size, self.synapses = wiring.outputs, wiring.synapses
        for name, (low, high) in FIRST.items():
            setattr(self, name, nn.Parameter(low + (high - low) * torch.rand(self.synapses)))
        polarity = np.concatenate([_by_destination(matrix) for matrix in (wiring.sensory, wiring.internal)])
        self.erev = nn.Parameter(torch.from_numpy(polarity).to(torch.get_default_dtype()))
        for name, (low, high) in FIRST_OF_NEURON.items():
            setattr(self, name, nn.Parameter(low + (high - low) * torch.rand(self.neurons)))
        self.input_w, self.input_b = (
            nn.Parameter(torch.ones(input_size)),
            nn.Parameter(torch.zeros(input_size)),
        )
        self.output_w = nn.Parameter(torch.ones(self.output_size))
        self.output_b = nn.Parameter(torch.zeros(self.output_size))
        self._table("sensory", wiring.sensory, 0)
        self._table("internal", wiring.internal, wiring.sensory_synapses)

    def _table(self, name: str, polarity: NDArray[np.int8], first: int) -> None:
        """Where synapses stand in the table of `Synapses`, and their sources."""
        hearing = np.flatnonzero(polarity.any(axis=0))
        fan_in = max(int((polarity != 0).sum(axis=0).max()), 1)
        entries = np.full((len(hearing), fan_in), self.synapses)  # one past the end: weight 0
        sources = np.zeros((len(hearing), fan_in), dtype=np.int64)
        for row, neuron in enumerate(hearing):
            heard = np.flatnonzero(polarity[:, neuron])
            entries[row, : len(heard)] = first + np.arange(len(heard))
            sources[row, : len(heard)] = heard
            first += len(heard)
        place = np.full(self.neurons, len(hearing))
        place[hearing] = np.arange(len(hearing))
        for what, values in (("entries", entries), ("sources", sources), ("place", place)):
            self.register_buffer(f"{name}_{what}", torch.from_numpy(values), persistent=False)
        for what, tensor in synapse_lists(polarity)._asdict().items():
            self.register_buffer(f"{name}_list_{what}", tensor, persistent=False)

    def effective_parameters(self) -> int:
        """Four a synapse, three a neuron, two an input and an output."""
        return sum(parameter.numel() for parameter in self.parameters())

    def raw_parameters(self) -> int:
        """The same with a synapse for every pair."""
        pairs = self.neurons * (self.input_size + self.neurons)
        return self.effective_parameters() + PER_SYNAPSE * (pairs - self.synapses)

    def multiply_adds(self) -> int:
        """Three a synapse (its sigmoid's argument and two sums) and four a neuron at each evaluation."""
        evaluations = self.steps * EVALUATIONS.get(self.solver, 1)
        inside = 3 * self.wiring.internal_synapses + 4 * self.neurons
        return 3 * self.wiring.sensory_synapses + self.input_size + self.output_size + evaluations * inside

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, S) zeros."""
        return self.cm.new_zeros(batch, self.state_size)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`. Raises InputError for `adaptive` without torchdiffeq."""
        return self.prepared()(x, state, dt)

    def prepared(self) -> Step:
        """`step` with its parameters brought into form once, for many steps."""
        membrane = self._membrane()

        def step(x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
            heard = membrane.sensory.currents(x * self.input_w + self.input_b)
            if self.solver == "fused":
                state = fused(membrane, heard, state, dt, self.steps)
            else:
                state = SOLVERS[self.solver](lambda v: derivative(membrane, heard, v), state, dt, self.steps)
            return state[:, -self.output_size :] * self.output_w + self.output_b, state

        return step

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames; see `Core.sequence`. With the numba back end dt gets no gradient."""
        if self.solver != "fused":
            return run_steps(self.prepared(), x, state, dt, lengths)
        check_lengths(lengths, x)
        run = self._compiled if self.backend == "numba" else self._by_lists
        states, last = run(x * self.input_w + self.input_b, state, dt, lengths)
        return ended(states[..., -self.output_size :] * self.output_w + self.output_b, lengths), last

    def _by_lists(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mapped inputs to states (B, T, S) and the last."""
        weight, gleak = nn.functional.softplus(self.weight), nn.functional.softplus(self.gleak)
        values = torch.stack([self.sigma, self.mu, weight, weight * self.erev])
        base = torch.stack([gleak * self.vleak, gleak + EPSILON])
        capacity = nn.functional.softplus(self.cm)[:, None] * (self.steps / dt.t()[:, None])
        lists = self._lists_of("sensory"), self._lists_of("internal")
        synapses = values.split([len(part.sources) for part in lists], dim=1)
        states: Tensor = FusedSequence.apply(  # type: ignore[no-untyped-call]
            x.permute(1, 2, 0).contiguous(), state.t(), base, capacity, *synapses, lists, self.steps
        )
        states = states.permute(2, 0, 1)
        return states, at_the_end(states, lengths)

    def _compiled(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mapped inputs to states (B, T, S) and the last."""
        from navstack.policies.cells.compiled.ltc import CompiledLtc, ltc_table

        if dt.requires_grad:
            raise InputError("LtcCore.sequence by numba gives no gradient for dt: pass dt.detach()")
        if self._lists is None:
            self._lists = ltc_table(self.wiring.sensory, self.wiring.internal)
        weight, gleak = nn.functional.softplus(self.weight), nn.functional.softplus(self.gleak)
        entries = torch.stack([self.sigma, self.mu, weight, weight * self.erev], dim=1)
        base = torch.stack([gleak * self.vleak, gleak + EPSILON])
        cm = nn.functional.softplus(self.cm)
        return CompiledLtc.apply(x, state, dt, entries, base, cm, self._lists, self.steps, lengths)  # type: ignore[no-any-return, no-untyped-call]

    def _lists_of(self, name: str) -> SynapseLists:
        return SynapseLists(*(self.get_buffer(f"{name}_list_{what}") for what in SynapseLists._fields))

    def _membrane(self) -> Membrane:
        return Membrane(
            self._synapses("sensory"),
            self._synapses("internal"),
            nn.functional.softplus(self.gleak),
            self.vleak,
            nn.functional.softplus(self.cm),
        )

    def _synapses(self, name: str) -> Synapses:
        entries = self.get_buffer(f"{name}_entries")
        weight, sigma, mu, erev = (
            nn.functional.pad(values, (0, 1))[entries]
            for values in (nn.functional.softplus(self.weight), self.sigma, self.mu, self.erev)
        )
        sources, place = self.get_buffer(f"{name}_sources"), self.get_buffer(f"{name}_place")
        return Synapses(weight, weight * erev, sigma, mu, sources, place)


def _by_destination(polarity: NDArray[np.int8]) -> NDArray[np.int8]:
    """The synapses' polarities, destination by destination."""
    return polarity.T[polarity.T != 0]


def derivative(membrane: Membrane, heard: tuple[Tensor, Tensor], v: Tensor) -> Tensor:
    """dv/dt (B, U) in 1/frame period, `heard` being the currents of the inputs."""
    driving, conducting = membrane.internal.currents(v)
    inflow = membrane.gleak * membrane.vleak + driving + heard[0]
    return (inflow - v * (membrane.gleak + conducting + heard[1])) / membrane.cm


def fused(membrane: Membrane, heard: tuple[Tensor, Tensor], v: Tensor, dt: Tensor, steps: int) -> Tensor:
    """`steps` semi-implicit steps over dt (B, 1): order 1, stable for any dt."""
    capacity = membrane.cm / (dt / steps)
    inflow = membrane.gleak * membrane.vleak + heard[0]
    outflow = capacity + membrane.gleak + heard[1] + EPSILON
    for _ in range(steps):
        driving, conducting = membrane.internal.currents(v)
        v = (capacity * v + inflow + driving) / (outflow + conducting)
    return v
