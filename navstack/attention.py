"""What the convolutions of a policy look at, from its file alone: for the page, in the page's process.

VisualBackProp (Bojarski et al. 2016, "VisualBackProp: efficient visualization of CNNs", section III): the
feature maps behind each convolution's ReLU are averaged; from the deepest on, the mask is scaled up to the
layer before and multiplied with its average. `navstack explain` computes the same with torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from navstack.contract import Image
from navstack.errors import InputError
from navstack.onnx_file import Operation, read_operations, with_outputs
from navstack.opencv import cv2
from navstack.policy import PolicyFile, open_session

Mask = npt.NDArray[np.float32]  # (h, w)


class Attention:
    """VisualBackProp of one policy. Raises InputError where it has no convolution."""

    def __init__(self, file: PolicyFile) -> None:
        self._layers = _convolutions(read_operations(file.data))
        if not self._layers:
            raise InputError("VisualBackProp needs a policy with convolutions; this one has none")
        self._names = [name for _, name in self._layers]
        self._session = open_session(with_outputs(file.data, self._names))
        self._feed = {
            "dt": np.full((1, 1), 1.0 / file.card.rate_hz, np.float32),
            "state": np.zeros((1, file.card.state_size), np.float32),  # the convolutions do not see it
        }

    def __call__(self, image: Image) -> Mask:
        """Where it looks in this (H, W, 3) picture: (H, W), 0 to 1."""
        maps: list[Any] = self._session.run(self._names, {"image": image[None], **self._feed})
        averages = [np.maximum(found, 0.0).mean(axis=1)[0] for found in maps]
        mask = averages[-1]
        for index in range(len(averages) - 1, 0, -1):
            below = averages[index - 1]
            mask = _scale_up(mask, self._layers[index][0], below.shape) * below
        mask = _scale_up(mask, self._layers[0][0], image.shape[:2])
        mask = mask - mask.min()
        return np.asarray(mask / max(float(mask.max()), 1e-12), np.float32)


def overlay(image: Image, mask: Mask) -> Image:
    """The (H, W, 3) RGB picture, grey, with what is looked at in colour."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    heat = cv2.applyColorMap((255.0 * mask).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    share = mask[..., None]
    return np.asarray((1.0 - 0.8 * share) * grey + 0.8 * share * heat, np.uint8)


def _convolutions(operations: list[Operation]) -> list[tuple[Operation, str]]:
    """Each convolution over the image with the name of what is behind its ReLU."""
    relus = {o.inputs[0]: o.outputs[0] for o in operations if o.operator == "Relu"}
    return [
        (o, relus.get(o.outputs[0], o.outputs[0]))
        for o in operations
        if o.operator == "Conv" and len(o.integers.get("kernel_shape", ())) == 2
    ]


def _scale_up(mask: Mask, convolution: Operation, size: tuple[int, ...]) -> Mask:
    """A mask behind a convolution as one before it: its transpose with all weights one.

    What the padding added on each side, whether by the convolution or by an operator before it, is cut off.
    """
    kernel, stride = convolution.integers["kernel_shape"], convolution.integers.get("strides", (1, 1))
    spread = np.zeros(
        tuple(
            (have - 1) * step + width for have, step, width in zip(mask.shape, stride, kernel, strict=True)
        ),
        np.float32,
    )
    rows, columns = (
        slice(0, (have - 1) * step + 1, step) for have, step in zip(mask.shape, stride, strict=True)
    )
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            spread[y:, x:][rows, columns] += mask
    pads = convolution.integers.get("pads", (0, 0))[:2]
    cut = [
        max(pad, 0, (have - want + 1) // 2) for pad, have, want in zip(pads, spread.shape, size, strict=True)
    ]
    found = np.zeros(size, np.float32)
    spread = spread[cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]]
    found[: spread.shape[0], : spread.shape[1]] = spread
    return found
