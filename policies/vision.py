"""The convolutional front-end: a camera image becomes a few numbers that say what is where.

Three convolutions reduce 64 x 96 pixels to an 8 x 12 map. Sixteen attention maps over it then each answer
"where is it, how wide does it spread, how sure am I, and what does it look like": expected image position and
its square (spatial softmax; Finn et al. 2016, "Deep Spatial Autoencoders for Visuomotor Learning"), the
log-sum-exp of the map, and the attended value of a second map. Expected positions keep sub-cell precision,
which a target of five pixels needs and global average pooling would lose.

The first convolution is 8 x 8 with stride 4 because on a CPU the cost of early layers is memory traffic, not
arithmetic (docs/training.md has the measurements).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

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
        """(N, 3, H, W) float32 pixel values to (N, C, H', W')."""
        if self.training:
            weight, bias = self.folded()
            return functional.conv2d(input, weight, bias, self.stride, self.padding)
        # The same numbers with centred pixels, exact in single precision: sums of raw ones round several
        # times coarser, and what flies should not depend on the order in which a library adds.
        assert not isinstance(self.padding, str)
        sides = 2 * [self.padding[1]] + 2 * [self.padding[0]]
        centred = functional.pad(input - PIXEL_CENTER, sides, value=-PIXEL_CENTER)
        return functional.conv2d(centred, self.weight * (1.0 / PIXEL_SCALE), self.bias, self.stride)


class SpatialAttention(nn.Module):
    """Maps to keypoints: (N, C, H, W) float32 to (N, 6 K)."""

    position: Tensor  # (H W, 4): x, y, x^2, y^2 of each cell, in [-1, 1]

    def __init__(self, channels: int, height: int, width: int, maps: int) -> None:
        super().__init__()
        self.maps = maps
        self.key_value = nn.Linear(channels, 2 * maps)
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        x, y = x.reshape(-1), y.reshape(-1)
        self.register_buffer("position", torch.stack([x, y, x * x, y * y], dim=1), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Where each attention map looks, how widely, how strongly, and the value it sees there."""
        cells = maps.permute(0, 2, 3, 1).flatten(1, 2)  # a view: maps stand in memory as channels_last
        key, value = self.key_value(cells).transpose(1, 2).contiguous().split(self.maps, dim=1)
        attention = torch.softmax(key, dim=-1)
        where = (attention @ self.position).flatten(1)
        what = (attention * value).sum(-1)
        strength = torch.logsumexp(key, dim=-1)
        return torch.cat([where, what, strength], dim=1)


class Vision(nn.Module):
    """(N, H, W, 3) uint8 RGB to (N, feature_size) float32. H and W are multiples of 8."""

    def __init__(self, height: int = 64, width: int = 96, feature_size: int = 48, maps: int = 16) -> None:
        super().__init__()
        self.feature_size, self.size = feature_size, (height, width)
        self.pixels = PixelConvolution(3, 16, 8, stride=4, padding=2)
        self.convolutions = nn.Sequential(
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.attention = SpatialAttention(32, height // 8, width // 8, maps)
        self.features = nn.Linear(6 * maps, feature_size)
        for module in (self.pixels, *self.convolutions):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Features of a batch of images."""
        # uint8 images stand in memory as channels_last, and so do all maps: no transposition is ever made
        pixels = image.permute(0, 3, 1, 2).to(torch.float32)
        return self.features(self.attention(self.convolutions(self.pixels(pixels))))

    def sequence(self, images: Tensor) -> Tensor:
        """Features of (B, T, H, W, 3) images as (B, T, feature_size)."""
        frames = images.flatten(0, 1)
        features = torch.cat([self(part) for part in frames.split(FRAMES_AT_ONCE)])
        return features.view(*images.shape[:2], self.feature_size)

    def multiply_adds(self) -> int:
        """Multiply-adds of one frame: those of all products with weights, and of the attended means."""
        layers = [self.pixels, *(layer for layer in self.convolutions if isinstance(layer, nn.Conv2d))]
        total, (height, width) = 0, self.size
        for layer in layers:
            height, width = height // layer.stride[0], width // layer.stride[1]
            total += layer.weight.numel() * height * width
        cells, maps = height * width, self.attention.maps
        attention = self.attention.key_value.weight.numel() * cells + 5 * maps * cells
        return total + attention + self.features.weight.numel()

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())
