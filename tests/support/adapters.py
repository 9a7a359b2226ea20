"""An adapter as PEFT puts one around a linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class LowRank(nn.Module):
    """A linear layer with an adapter beside it, as LoRA wraps it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base
        self.lora_a = nn.Linear(base.in_features, 4, bias=False)
        self.lora_b = nn.Linear(4, base.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result = self.base_layer(x)
        result += 2.0 * self.lora_b(self.lora_a(x))
        return result

    def merged(self) -> Tensor:
        return self.base_layer.weight + 2.0 * self.lora_b.weight @ self.lora_a.weight
