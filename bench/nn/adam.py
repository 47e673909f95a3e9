"""Adam over parameters with a run axis, in which a run's numbers don't depend on its neighbours'."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

#: float32 values in the widest vector register there is (2,048 bits).
VECTOR = 64


class Adam:
    """Adam (Kingma & Ba, ICLR 2015; torch's fused kernel) for R batched runs.

    The kernel takes what is left over at the end of a tensor, and fills no vector register, by instructions that round
    otherwise. In a tensor of several runs those are other values than in a tensor of one, so a parameter whose size
    per run isn't a multiple of the register's goes to the kernel run by run.

    Parameters
    ----------
    parameters : iterable of nn.Parameter, each (R, ...)
    lr, betas, eps : float, pair of floats, float
        Step size, decay rates of the moments and the denominator's least value.

    Attributes
    ----------
    state : dict of int to dict of str to Tensor
        ``exp_avg`` and ``exp_avg_sq``, shaped as the parameter, by its number; nothing before its first gradient.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.parameters = list(parameters)
        self.settings: dict[str, Any] = {"lr": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps, "fused": True}
        self.settings |= {"amsgrad": False, "weight_decay": 0.0, "maximize": False}
        self.state: dict[int, dict[str, Tensor]] = {}
        #: By the parameter's number what the kernel is given: value, both moments and the count of steps, as views.
        self._pieces: dict[int, list[tuple[Tensor, ...]]] = {}

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        rows: list[tuple[Tensor, ...]] = []
        for number, parameter in enumerate(self.parameters):
            if parameter.grad is None:
                continue
            pieces = self._pieces.get(number) or self._begin(number)
            grads = parameter.grad.reshape(len(pieces), -1)
            rows += [(grad, *piece) for grad, piece in zip(grads, pieces, strict=True)]
        if rows:
            gradients, values, means, squares, steps = map(list, zip(*rows, strict=True))
            adam(values, gradients, means, squares, [], steps, **self.settings)

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, as ``<number>.<name>``: tensors of shape (R, ...), for a checkpoint."""
        found = {f"{number}.{name}": value for number, both in self.state.items() for name, value in both.items()}
        for number, pieces in self._pieces.items():
            found[f"{number}.step"] = pieces[0][3].expand(len(self.parameters[number]))
        return found

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave.

        Raises
        ------
        KeyError, RuntimeError
            If it is from other parameters.
        """
        self.state, self._pieces = {}, {}
        for number in sorted({int(key.split(".")[0]) for key in tensors}):
            for *_, step in self._begin(number):
                step.copy_(tensors[f"{number}.step"][0])
            for name, value in self.state[number].items():
                value.copy_(tensors[f"{number}.{name}"])

    def _begin(self, number: int) -> list[tuple[Tensor, ...]]:
        value = self.parameters[number].detach()
        moments = {name: torch.zeros_like(value) for name in ("exp_avg", "exp_avg_sq")}
        parts = (value, *moments.values())
        whole = math.prod(value.shape[1:]) % VECTOR == 0
        # Flat, because the kernel asks for the same strides, also where an axis of length 1 makes them meaningless.
        flat = [part.view(1 if whole else len(value), -1) for part in parts]
        self.state[number] = moments
        self._pieces[number] = [(*piece, torch.zeros((), device=value.device)) for piece in zip(*flat, strict=True)]
        return self._pieces[number]
