"""Whether a PI loop will follow its set point: a simulation of controller and plant, and closed forms beside it.

The plant is first order: the KL moves towards its resting value g(β) with a time constant of `Plant.lag` steps. Near an
operating point with slope q = -g' the loop is second order, and

* on a set point that rises by r nats a step the KL settles ``r / (q ki)`` nats below it: β has to fall by r / q a step,
  and the integral moves it by ki times the error (the proportional part is worth at most kp / 2 of β in all);
* its damping is ``zeta = 1 / (2 sqrt(q ki lag))``; below 1 it overshoots by ``exp(-pi zeta / sqrt(1 - zeta^2))``.

Loops fail by more than that: β swings around its resting value with every step of the set point, the wider the less
damped, and where the floor is near and the integral stops below it, one swing is enough. That is what the simulation is
for. It knows no noise, no average of the KL and no second optimum of the network, and a real plant answers more slowly
while nothing is encoded yet: a loop that it loses is lost, one that it keeps may be lost all the same.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from bench.analytic.model import Floats


@dataclass(frozen=True)
class Plant:
    """What a network does with a weight.

    Attributes
    ----------
    weights : tuple of float
        Weights β, ascending, positive.
    kls : tuple of float
        KL at which each rests, nats, descending.
    lag : float
        Time constant, steps.
    """

    weights: tuple[float, ...]
    kls: tuple[float, ...]
    lag: float

    def kl(self, weight: float) -> float:
        """g(β), nats: linear in log β; falling on to 0 beyond the highest weight, constant below the lowest."""
        at, known = math.log(max(weight, 1e-9)), self._logs
        if at <= known[-1]:
            return float(np.interp(at, known, self.kls))
        fall = (self.kls[-2] - self.kls[-1]) / float(known[-1] - known[-2])
        return max(self.kls[-1] - fall * (at - float(known[-1])), 0.0)

    def weight(self, kl: float) -> float:
        """β at which a KL rests; that of the nearest end beyond what is known."""
        return float(np.exp(np.interp(-kl, [-each for each in self.kls], self._logs)))

    def slope(self, kl: float) -> float:
        """Slope q > 0 where a KL rests, nats per unit of β: over half a nat to either side."""
        low, high = max(kl - 0.5, self.kls[-1]), min(kl + 0.5, self.kls[0])
        return (high - low) / max(self.weight(low) - self.weight(high), 1e-9)

    @functools.cached_property
    def _logs(self) -> Floats:
        return np.log(self.weights)


@dataclass(frozen=True)
class Loop:
    """A PI controller and the schedule of its set point.

    Attributes
    ----------
    kp, ki : float
        Gains.
    floor : float
        Lowest weight.
    weight : float
        Weight before the first step.
    latches : bool
        Whether the integral stops while the unclamped output is below the floor, for either sign of the error.
    start, stop, increment : float
        Set point at first and at the end, and the height of a step, nats.
    every, ramp : int
        Iterations between two steps, and over which each is spread (1: a jump).
    """

    kp: float
    ki: float
    floor: float
    weight: float
    latches: bool
    start: float
    stop: float
    increment: float
    every: int
    ramp: int = 1

    def set_point(self, step: float) -> float:
        """C at an iteration, nats; as `bench.controllers.hybrid`."""
        raised = step // self.every - 1 + min(step % self.every + 1, self.ramp) / self.ramp
        return min(self.stop, self.start + self.increment * max(raised, 0.0))

    @property
    def ends(self) -> int:
        """First iteration with the last set point."""
        heights = (self.stop - self.start) / self.increment
        jumps = math.ceil(heights - 1e-9)
        last = heights - (jumps - 1)
        return jumps * self.every + math.ceil(last * self.ramp - 1e-9) - 1 if jumps > 0 else 0


@dataclass(frozen=True)
class Forecast:
    """Where a loop ends.

    Attributes
    ----------
    weight, kl : float
        At the end.
    error : float
        Mean KL minus set point over the last 5 % of the steps, nats.
    stuck : int or None
        Step from which on the weight stood at its floor, to the end.
    """

    weight: float
    kl: float
    error: float
    stuck: int | None


def simulate(loop: Loop, plant: Plant, steps: int, *, most: int = 20_000) -> Forecast:
    """Run a loop on a plant, in at most `most` strides of equally many iterations each.

    Parameters
    ----------
    loop : Loop
    plant : Plant
    steps : int
        Length of the training, at least 1.
    most : int
        A stride must stay short beside the plant's lag.
    """
    stride = -(-steps // most)
    answer = 1 - math.exp(-stride / plant.lag)
    weight = output = max(loop.weight, loop.floor)
    kl, integral, stuck = plant.kl(weight), 0.0, None
    late: list[float] = []
    for step in range(stride, steps + 1, stride):
        error = loop.set_point(step) - kl
        proportional = loop.kp * (1 / (1 + math.exp(error)) - 0.5)
        if not loop.latches:
            integral = max(integral - loop.ki * error * stride, loop.floor - loop.weight - proportional)
        elif output >= loop.floor:
            integral -= loop.ki * error * stride
        output = loop.weight + proportional + integral
        weight = max(output, loop.floor)
        stuck = (stuck or step) if output <= loop.floor else None
        kl += (plant.kl(weight) - kl) * answer
        if step > 0.95 * steps:
            late.append(kl - loop.set_point(step))
    return Forecast(weight, kl, float(np.mean(late)), stuck)


def ramp_error(rise: float, slope: float, ki: float) -> float:
    """Nats by which the KL stays below a set point that rises by `rise` nats a step: ``rise / (slope ki)``."""
    return rise / (slope * ki) if ki > 0 else math.inf


def damping(slope: float, ki: float, lag: float) -> float:
    """Damping zeta of the loop: ``1 / (2 sqrt(slope ki lag))``."""
    return 1 / (2 * math.sqrt(slope * ki * lag)) if slope * ki * lag > 0 else math.inf


def overshoot(zeta: float) -> float:
    """Excess after a jump of the set point, as a share of it: ``exp(-pi zeta / sqrt(1 - zeta^2))``, 0 if zeta >= 1."""
    return math.exp(-math.pi * zeta / math.sqrt(1 - zeta**2)) if zeta < 1 else 0.0
