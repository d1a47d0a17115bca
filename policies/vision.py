"""The convolutional front-end: a camera image becomes a few numbers that say what is where.

Three convolutions reduce 64 x 96 pixels to an 8 x 12 map. Every cell of it keeps a few channels, and one
linear layer reads them all, with a weight for each cell: where something stands is never pooled away, which a
target of five pixels needs.

The first convolution has stride 4 because on a CPU the cost of early layers is memory traffic, not
arithmetic. Stem and head were chosen by the flights of policies that learned with each (docs/training.md).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from navstack.errors import InputError

Layers = tuple[tuple[int, int, int], ...]  # kernel, stride, channels of each convolution

LAYERS: Layers = ((6, 4, 24), (3, 2, 32), (3, 1, 32))
PARAMETERS = 50_000
"""Trained values of a front-end, at most: its head keeps as many channels a cell as fit."""
PIXEL_CENTER = 128.0
PIXEL_SCALE = 64.0  # uint8 pixels, centred and divided by this, are about a unit wide
FRAMES_AT_ONCE = 256
"""Longest batch of frames convolved at once: its buffers stay under glibc's largest mmap threshold (32 MiB),
so they are reused instead of mapped and faulted in anew at every step (1.6 times faster at 512 frames)."""


class PixelConvolution(nn.Conv2d):
    """A convolution over raw pixel values 0 to 255 whose normalisation is part of its weights.

    The weights are those of the normalised image, so initialisation and learning rate see unit-sized inputs,
    but no normalised copy of the image is ever made. Padding is black.
    """

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias that act on raw pixel values."""
        assert self.bias is not None
        bias = self.bias - (PIXEL_CENTER / PIXEL_SCALE) * self.weight.sum((1, 2, 3))
        return self.weight * (1.0 / PIXEL_SCALE), bias

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """(N, H, W, 3) uint8 images to (N, C, H', W')."""
        if self.training:
            weight, bias = self.folded()
            return functional.conv2d(_channels_first(input), weight, bias, self.stride, self.padding)
        # The same numbers with centred pixels, exact in single precision: sums of raw ones round several
        # times coarser, and what flies should not depend on the order in which a library adds.
        assert not isinstance(self.padding, str)
        sides = [0, 0] + 2 * [self.padding[1]] + 2 * [self.padding[0]]
        centred = _channels_first(functional.pad(input, sides)) - PIXEL_CENTER  # bytes are cheaper to pad
        return functional.conv2d(centred, self.weight * (1.0 / PIXEL_SCALE), self.bias, self.stride)


def _channels_first(image: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 as (N, 3, H, W) float32.

    It stays in memory as it stood, which is channels_last, and so do all maps: nothing is ever transposed.
    """
    return image.permute(0, 3, 1, 2).to(torch.float32)


class FlatHead(nn.Module):
    """Every cell of the map as it is: (N, C, H, W) to (N, H W K), after a 1 x 1 convolution to K channels."""

    def __init__(self, channels: int, kept: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, kept, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Cell by cell, the channels of each side by side: as they stand in memory."""
        return torch.relu(self.squeeze(maps)).permute(0, 2, 3, 1).flatten(1)


class Vision(nn.Module):
    """(N, H, W, 3) uint8 RGB to (N, feature_size) float32. H and W are multiples of the strides' product.

    Raises InputError for images so large that a head in the budget keeps no channel.
    """

    def __init__(
        self, height: int = 64, width: int = 96, feature_size: int = 48, layers: Layers = LAYERS
    ) -> None:
        super().__init__()
        self.feature_size, self.size = feature_size, (height, width)
        made = list(_convolutions(layers))
        assert isinstance(made[0], PixelConvolution)
        self.pixels = made[0]
        self.convolutions = nn.Sequential(nn.ReLU(inplace=True))
        for convolution in made[1:]:
            self.convolutions.extend((convolution, nn.ReLU(inplace=True)))
        channels, cells = layers[-1][2], height * width
        for _, stride, _ in layers:
            cells //= stride * stride
        a_channel = channels + 1 + cells * feature_size
        kept = min(channels, (PARAMETERS - self.parameter_count() - feature_size) // a_channel)
        if kept < 1:
            raise InputError(
                f"images of {width} x {height} pixels are too large for a front-end of {PARAMETERS:,}"
                f" parameters: its head takes {a_channel:,} a channel; ask for smaller images"
            )
        self.head: nn.Module = FlatHead(channels, kept)
        self.features = nn.Linear(kept * cells, feature_size)

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch of images."""
        return self.features(self.head(self.convolutions(self.pixels(image))))

    def sequence(self, images: Tensor) -> Tensor:
        """Features of (B, T, H, W, 3) images as (B, T, feature_size)."""
        frames = images.flatten(0, 1)
        features = torch.cat([self(part) for part in frames.split(FRAMES_AT_ONCE)])
        return features.view(*images.shape[:2], self.feature_size)

    def multiply_adds(self) -> int:
        """Multiply-adds of one frame: those of all products with weights."""
        total, (height, width) = 0, self.size
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                height, width = height // layer.stride[0], width // layer.stride[1]
                total += layer.weight.numel() * height * width
        return total + self.features.weight.numel()

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


def _convolutions(layers: Layers) -> Iterator[nn.Conv2d]:
    """Convolutions whose maps are their input's size divided by the stride."""
    before = 3
    for place, (kernel, stride, channels) in enumerate(layers):
        kind = nn.Conv2d if place else PixelConvolution
        made = kind(before, channels, kernel, stride=stride, padding=(kernel - stride + 1) // 2)
        assert made.bias is not None
        nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
        nn.init.zeros_(made.bias)
        yield made
        before = channels
