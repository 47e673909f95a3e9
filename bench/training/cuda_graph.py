"""A training step in tensors that stay where they are, so that a GPU can repeat it without being asked for each kernel.

A small network's step on a GPU is a few hundred kernels, and asking for them takes longer than they do. CUDA graphs
record them once and replay them with one call. A recorded step can't see a Python number change: the step's number,
the batch's rows and the method's state are tensors that are overwritten in place. On other devices the same step runs
kernel by kernel, which is how it is tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from bench.data.order import Order
    from bench.training.step import Forward

#: Steps that go kernel by kernel before one is recorded: the optimiser's moments and the libraries' workspaces are
#: made in them.
WARM_UP = 3


class Replay:
    """Steps of batched runs, recorded where the device can.

    Parameters
    ----------
    forward : Forward
        One step, of a method that is `bench.method.Method.capturable`.
    orders : sequence of sequence of Order
        Per batch of a step and per run, which images it takes.
    buffer : Tensor, (R, L, width), float64
        Log rows; a block of steps has at most L.
    """

    def __init__(self, forward: Forward, orders: Sequence[Sequence[Order]], buffer: Tensor) -> None:
        self.forward, self.orders, self.buffer = forward, orders, buffer
        device, longest = buffer.device, buffer.shape[1]
        shape = (len(orders), len(orders[0]), longest, orders[0][0].batch_size)
        self.rows = torch.zeros(shape, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        # float64: an integer divided by an integer would be rounded to float32.
        self.step = torch.zeros((), dtype=torch.float64, device=device)
        training = forward.training
        self.state = {key: value.clone() for key, value in training.model.state.items()}
        training.model.state = self.state
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.done = 0

    def block(self, first: int, last: int, filled: int) -> None:
        """Do the steps from `first` to `last`; their log rows go to the buffer from row `filled` on."""
        steps = range(first, last + 1)
        rows = np.stack([[order.block(first, last) for order in each] for each in self.orders])
        self.rows[:, :, filled : filled + len(steps)].copy_(torch.from_numpy(rows))
        self.place.fill_(filled)
        self.step.fill_(first)
        for _ in steps:
            if self.stream is None:
                self._once()
            elif self.graph is not None:
                self.graph.replay()
            elif self.done < WARM_UP:
                self._aside(self.stream)
            else:
                self._record().replay()
            self.done += 1

    def _once(self) -> None:
        rows = self.rows.index_select(2, self.place).squeeze(2)
        row = self.forward(list(rows), self.step)
        self.buffer.index_copy_(1, self.place, row.to(self.buffer.dtype).unsqueeze(1))
        training = self.forward.training
        for key, value in training.model.state.items():
            self.state[key].copy_(value)
        training.model.state = self.state
        self.place += 1
        self.step += 1

    def _aside(self, stream: torch.cuda.Stream) -> None:
        """Do a step on a stream of its own, as the recorded one will be."""
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._once()
        torch.cuda.current_stream().wait_stream(stream)

    def _record(self) -> torch.cuda.CUDAGraph:
        training = self.forward.training
        self.graph = torch.cuda.CUDAGraph()
        for generator in (*training.streams.noise, *training.streams.own):
            # Otherwise every replay would draw the numbers of the recorded step.
            self.graph.register_generator_state(generator)
        with torch.cuda.graph(self.graph, stream=self.stream):
            self._once()
        return self.graph
