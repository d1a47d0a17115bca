"""What a policy looks at: VisualBackProp, input gradients, and how steady the picture is under noise."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from navstack.errors import InputError
from navstack.policies.explain.graph import Node, PolicyGraph
from navstack.policies.explain.replay import Replay

Maps = npt.NDArray[np.float32]  # (T, H, W), each frame's from 0 to 1
AT_ONCE = 64  # frames
SATURATED = 99.5  # percentile of a gradient map that is drawn as 1: single pixels stand out too far


def visual_backprop(graph: PolicyGraph, replay: Replay) -> Maps:
    """VisualBackProp masks (Bojarski et al. 2016, "VisualBackProp: efficient visualization of CNNs").

    The feature maps behind each convolution's ReLU are averaged; from the deepest on, the mask is scaled up
    to the layer before (transposed convolution of that layer's kernel size and stride, all weights one) and
    multiplied with its average (section III). It needs no gradient and takes no account of the command.
    Raises InputError where the policy has no convolution.
    """
    layers = _convolutions(graph)
    if not layers:
        raise InputError("VisualBackProp needs a policy with convolutions; this one has none")
    masks = []
    for image, dt, state in batches(replay):
        with torch.no_grad():
            values = graph.run(image, dt, state)
            mask = _average(values, layers[-1][1])
            for (_, before), (convolution, _) in zip(
                reversed(layers[:-1]), reversed(layers[1:]), strict=True
            ):
                below = _average(values, before)
                mask = _scale_up(mask, convolution, below.shape[-2:]) * below
            masks.append(_scale_up(mask, layers[0][0], image.shape[1:3]))
    return _unit(torch.cat(masks)[:, 0].numpy(), 100.0)


def _convolutions(graph: PolicyGraph) -> list[tuple[Node, str]]:
    """Each convolution over the image, from the first on, with the name of what is behind its ReLU."""
    found = []
    for node in graph.nodes:
        if node.operator == "Conv" and len(node.attributes.get("kernel_shape", ())) == 2:
            (output,) = node.outputs
            users = [user for user in graph.users(output) if user.operator == "Relu"]
            found.append((node, users[0].outputs[0] if users else output))
    return found


def _average(values: dict[str, Tensor], name: str) -> Tensor:
    return values[name].clamp(min=0.0).mean(dim=1, keepdim=True)


def _scale_up(mask: Tensor, convolution: Node, size: tuple[int, ...]) -> Tensor:
    """A mask (N, 1, h, w) behind a convolution as a mask (N, 1, *size) before it."""
    kernel, stride = convolution.attributes["kernel_shape"], convolution.attributes["strides"]
    spread = functional.conv_transpose2d(mask, torch.ones(1, 1, *kernel), stride=tuple(stride))
    # what the padding added on each side, whether by the convolution or by a node before it, is cut off again
    cut = [max(0, (have - want + 1) // 2) for have, want in zip(spread.shape[-2:], size, strict=True)]
    cut = [
        max(pad, side) for pad, side in zip(cut, convolution.attributes.get("pads", [0, 0])[:2], strict=True)
    ]
    spread = spread[..., cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]]
    return functional.pad(spread, (0, size[1] - spread.shape[-1], 0, size[0] - spread.shape[-2]))


def input_gradients(graph: PolicyGraph, replay: Replay) -> Maps:
    """How much each pixel moves the command: the norm over commands and channels of d command / d pixel.

    Commands are counted in limits (Simonyan et al. 2014, "Deep Inside Convolutional Networks", section 3, for
    four outputs instead of a class). The state is held: what earlier frames did is not in it.
    """
    limits = torch.from_numpy(graph.card.limits.as_array())
    maps = []
    for image, dt, state in batches(replay):
        pixels = image.to(torch.float32).requires_grad_()
        command = graph.run(pixels, dt, state)["command"] / limits
        squares = [
            torch.autograd.grad(command[:, part].sum(), pixels, retain_graph=True)[0].square().sum(-1)
            for part in range(command.shape[1])
        ]
        maps.append(torch.stack(squares).sum(0).sqrt())
    return _unit(torch.cat(maps).numpy(), SATURATED)


def batches(replay: Replay) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images, dt (N, 1) and states before the frames, some frames at once."""
    for start in range(0, len(replay.dt), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield (
            torch.from_numpy(replay.image[part]),
            torch.from_numpy(replay.dt[part, None]),
            torch.from_numpy(replay.state[part]),
        )


def _unit(maps: npt.NDArray[np.float32], percentile: float) -> Maps:
    """Each map from 0 at its least to 1 at its percentile."""
    low = maps.min(axis=(1, 2), keepdims=True)
    high = np.percentile(maps, percentile, axis=(1, 2), keepdims=True).astype(np.float32)
    return np.clip((maps - low) / np.maximum(high - low, 1e-12), 0.0, 1.0).astype(np.float32)


def ssim(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Mean structural similarity of two (H, W) maps of 0 to 1.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", equation 13,
    with their Gaussian window (11 x 11, deviation 1.5), K1 = 0.01, K2 = 0.03, over windows inside the map.
    """

    def local(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5)[5:-5, 5:-5], dtype=np.float64)

    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float(np.mean(similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def add_noise(
    images: npt.NDArray[np.uint8], deviation: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Images (T, H, W, 3) with independent Gaussian noise of this standard deviation in grey levels."""
    noise = rng.normal(0.0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)
