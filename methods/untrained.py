"""The control that every trained score must beat: the network at its initialisation."""

from __future__ import annotations

from bench.method import Method, Objective, State, Terms, register_method


@register_method(
    "untrained",
    label="untrained",
    order=99,
    groups=("control",),
    trains=False,
    colour="#6f6f6f",
    marker="X",
    dashes=(4, 3),
)
class Untrained(Method):
    """No training: the encoder and decoder at initialisation, the same init as every other method of that seed.

    Notes
    -----
    Source: ours, a control. A metric that rewards it rewards random projections of the images. The network is the
    preset's: where methods have networks of their own (``--hyper published``), it is the control only of those
    that share it.
    """

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative ELBO; never called in a run, which has no steps."""
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
