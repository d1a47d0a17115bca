"""A policy file: load it, check it, reset it, step it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from navstack.card import card_from_json
from navstack.contract import CameraSpec, Image, PolicyCard, VelocityCommand
from navstack.errors import InputError, nearest
from navstack.onnx_file import DEFAULT_DOMAINS, Contents, NotOnnxError, read_contents

LARGEST = 16 << 20  # bytes
CARD_KEY = "navstack"  # in the model's metadata
INPUTS = ("image", "dt", "state")
OUTPUTS = ("command", "next_state")
ANGLE_TOLERANCE = 0.02  # rad: about one pixel of the default camera
_ORT_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_SLACK = 1e-4  # m/s, rad/s by which a command may pass its limit: float32's rounding


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy file's bytes, with what they say of themselves."""

    name: str  # as the user gave it
    data: bytes
    contents: Contents
    card: PolicyCard


def model_names() -> list[str]:
    """Names of the policies that ship with navstack."""
    names = (entry.name for entry in resources.files("navstack.models").iterdir())
    return sorted(name.removesuffix(".onnx") for name in names if name.endswith(".onnx"))


def read_policy(path_or_name: str | Path) -> PolicyFile:
    """A policy file, or one that ships, by name: its bytes and its card, nothing run yet.

    Raises InputError where there is none, or it is larger than 16 MiB, no ONNX file, not self-contained, made
    of other operators than ONNX's own, or without a card that this version can read.
    """
    name = str(path_or_name)
    data = _read_bytes(name)
    try:
        contents = read_contents(data)
        _check_contents(contents)
        return PolicyFile(name, data, contents, _find_card(contents))
    except NotOnnxError as error:
        raise InputError(f"{name}: not an ONNX file, or a damaged one: {error}") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


class OnnxPolicy:
    """A checked policy with its recurrent state. Implements `navstack.flight.Policy`."""

    def __init__(self, session: ort.InferenceSession, card: PolicyCard) -> None:
        self._session = session
        self._card = card
        self._shape = (card.camera.height, card.camera.width, 3)
        # Buffers that are bound once: handing arrays over at every step costs a tenth of it, in the loop,
        # where the caches hold something else.
        self._image = np.zeros((1, *self._shape), dtype=np.uint8)
        self._dt = np.zeros((1, 1), dtype=np.float32)
        self._state, self._next_state = (np.zeros((1, card.state_size), np.float32) for _ in range(2))
        self._command = np.zeros((1, 4), dtype=np.float32)
        self._binding = session.io_binding()
        inputs: tuple[npt.NDArray[Any], ...] = (self._image, self._dt, self._state)
        for name, buffer in zip(INPUTS, inputs, strict=True):
            self._binding.bind_input(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        for name, buffer in zip(OUTPUTS, (self._command, self._next_state), strict=True):
            self._binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)

    @classmethod
    def load(cls, path_or_name: str | Path) -> OnnxPolicy:
        """Load a policy file, or one that ships, by name.

        Raises InputError, in one sentence, for what `read_policy` refuses, for inputs, outputs, types or
        shapes that are not the contract's, and for a trial step that fails or whose numbers are not finite or
        beyond the card's limits.
        """
        return cls.from_file(read_policy(path_or_name))

    @classmethod
    def from_file(cls, file: PolicyFile) -> OnnxPolicy:
        """The policy in a file that has been read. Raises InputError as `load` does."""
        try:
            session = open_session(file.data)
            _check_signature(session, file.card)
            _try_steps(session, file.card)
        except InputError as error:
            raise InputError(f"{file.name}: {error}") from error
        except UnicodeDecodeError as error:  # what ONNX Runtime raises when it is asked for the name
            raise InputError(f"{file.name}: a name in it is not UTF-8") from error
        return cls(session, file.card)

    @property
    def card(self) -> PolicyCard:
        """What the policy expects and promises."""
        return self._card

    @property
    def state(self) -> npt.NDArray[np.float32]:
        """A read-only copy of the recurrent state, (1, S)."""
        state = self._state.copy()
        state.flags.writeable = False
        return state

    def reset(self) -> None:
        """Forget everything seen: the state is zero."""
        self._state[:] = 0.0

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """The command for a frame `dt` seconds after the previous one.

        Raises InputError for an image of another shape or type and for a dt that is not finite and positive;
        the state is then unchanged.
        """
        if not (math.isfinite(dt) and dt > 0.0):
            raise InputError(f"dt is {dt}; it must be a finite, positive number of seconds")
        if not isinstance(image, np.ndarray) or image.shape != self._shape or image.dtype != np.uint8:
            raise InputError(f"the image is {_describe(image)}; the policy expects uint8 {self._shape}")
        self._image[0], self._dt[0, 0] = image, dt
        self._session.run_with_iobinding(self._binding)
        self._state[:] = self._next_state
        return VelocityCommand(*self._command[0].tolist())

    def check_camera(self, camera: CameraSpec) -> None:
        """Raise InputError unless a camera provides what the card states.

        Size and colour order must be equal, angles within 0.02 rad, and the latency within one nominal period
        of the one that the policy was trained with.
        """
        card = self._card.camera
        tolerances = {
            "height": 0.0,
            "width": 0.0,
            "horizontal_fov": ANGLE_TOLERANCE,
            "pitch": ANGLE_TOLERANCE,
            "latency": 1.0 / self._card.rate_hz,
        }
        for name, tolerance in tolerances.items():
            want, have = getattr(card, name), getattr(camera, name)
            if not abs(want - have) <= tolerance:
                what = name.replace("_", " ")
                raise InputError(f"the policy needs a camera of {what} {want:.4g}; this one has {have:.4g}")
        if card.color_order != camera.color_order:
            raise InputError(
                f"the policy needs {card.color_order} images; this camera gives {camera.color_order}"
            )

    def check_task(self, task: str) -> None:
        """Raise InputError unless the policy was trained for this task."""
        if self._card.task != task:
            raise InputError(f"the policy was trained for {self._card.task}, not for {task}")


def _read_bytes(name: str) -> bytes:
    if name in model_names():
        return (resources.files("navstack.models") / f"{name}.onnx").read_bytes()
    path = Path(name)
    if path.is_dir():
        raise InputError(f"policy '{name}' is a folder; name the policy.onnx in it")
    if not path.is_file():
        hint = nearest(name, model_names()) + " (navstack models lists them)"
        raise InputError(f"policy '{name}' is neither a file nor a policy that ships{hint}")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from error
    if len(data) > LARGEST:
        size = path.stat().st_size / 2**20
        raise InputError(f"{name}: it has {size:.1f} MiB; a policy file has at most {LARGEST >> 20} MiB")
    return data


def _check_contents(contents: Contents) -> None:
    if contents.external:
        raise InputError("its weights lie in another file (external data); export it as one file")
    foreign = sorted(domain or "''" for domain in contents.domains - DEFAULT_DOMAINS)
    if foreign or contents.functions:
        found = f"of the domain {', '.join(foreign)}" if foreign else "that the file defines itself"
        raise InputError(f"it uses operators {found:.200}; only those of ONNX's default domain are allowed")


def _find_card(contents: Contents) -> PolicyCard:
    texts = [value for key, value in contents.metadata if key == CARD_KEY]
    if not texts:
        raise InputError(f"it has no policy card ('{CARD_KEY}' in its metadata); navstack export writes one")
    if len(texts) > 1:
        raise InputError(f"it has {len(texts)} policy cards; expected one")
    return card_from_json(texts[0])


def open_session(data: bytes) -> ort.InferenceSession:
    """One thread and no spinning: a flight computer has other things to do between frames."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        # Without a second try by itself, which would print about it.
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions share no narrower base
        raise InputError(f"ONNX Runtime {ort.__version__} cannot load it: {_first_line(error)}") from error


def _check_signature(session: ort.InferenceSession, card: PolicyCard) -> None:
    height, width, state = card.camera.height, card.camera.width, card.state_size
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "image": ("uint8", (height, width, 3)),
        "dt": ("float32", (1,)),
        "state": ("float32", (state,)),
        "command": ("float32", (4,)),
        "next_state": ("float32", (state,)),
    }
    for what, names, nodes in (
        ("inputs", INPUTS, session.get_inputs()),
        ("outputs", OUTPUTS, session.get_outputs()),
    ):
        found = [node.name for node in nodes]
        if sorted(found) != sorted(names):
            raise InputError(f"its {what} are {', '.join(found) or 'none':.200}; expected {', '.join(names)}")
        for node in nodes:
            dtype, rest = expected[node.name]
            if node.type != _ORT_TYPES[dtype]:
                raise InputError(f"its '{node.name}' is a {node.type}; expected {dtype}")
            if not _fits(node.shape, rest):
                wanted = ", ".join(map(str, ("N", *rest)))
                raise InputError(f"its '{node.name}' is {node.shape}; expected [{wanted}] with N dynamic")


def _fits(found: list[int | str | None], rest: tuple[int, ...]) -> bool:
    """The first dimension is dynamic; what ONNX could not infer of the others comes out on the trial step."""
    return (
        len(found) == 1 + len(rest)
        and not isinstance(found[0], int)
        and all(not isinstance(have, int) or have == want for have, want in zip(found[1:], rest, strict=True))
    )


def _try_steps(session: ort.InferenceSession, card: PolicyCard) -> None:
    """Steps on noise, black and white, with dt inside and outside the trained range, alone and in pairs."""
    rng = np.random.default_rng(0)
    shape = (card.camera.height, card.camera.width, 3)
    noise = rng.integers(0, 256, shape, dtype=np.uint8)
    pictures = (noise, np.zeros_like(noise), np.full_like(noise, 255))
    times = (1.0 / card.rate_hz, 1e-4, 10.0)  # s
    limits = card.limits.as_array() + _SLACK
    for n in (1, 2):
        state = np.zeros((n, card.state_size), dtype=np.float32)
        for picture, dt in zip(pictures, times, strict=True):
            feed = {"image": np.stack([picture] * n), "dt": np.full((n, 1), dt, np.float32), "state": state}
            try:
                command, state = session.run(OUTPUTS, feed)
            except Exception as error:  # as in open_session
                raise InputError(f"a trial step of {n} at once fails: {_first_line(error)}") from error
            for name, value, size in (("command", command, 4), ("next_state", state, card.state_size)):
                if value.shape != (n, size):
                    raise InputError(f"its '{name}' is {value.shape} on a trial step; expected {(n, size)}")
                if not np.isfinite(value).all():
                    raise InputError(f"its '{name}' is not finite on a trial step with dt {dt:g} s")
            if (np.abs(command) > limits).any():
                worst = VelocityCommand.from_array(command[0])
                raise InputError(f"a trial step gives {worst}, beyond the card's {card.limits}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _describe(value: object) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
