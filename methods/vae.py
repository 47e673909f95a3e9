"""VAE (Kingma & Welling, 2014)."""

from __future__ import annotations

from bench.method import Method, Objective, State, Terms, register_method

#: What the released code trains with, by data set; its constants are this file's defaults unless they stand here.
PUBLISHED = {"dsprites": {"train": {"network": "H", "init": "he", "batch_size": 64, "steps": 1_500_000, "lr": 1e-4}}}


@register_method(
    "vae", label="VAE", order=1, groups=("all",), published=PUBLISHED, colour="#000000", marker="o", dashes=()
)
class VAE(Method):
    """Variational autoencoder: ``min R + KL``.

    R is summed over pixels and KL over latents, both averaged over the batch: the weight 1 here is the paper's.

    Notes
    -----
    Source: Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, eq. 10. Known deviations: none.
    """

    def loss(self, terms: Terms, state: State, step: int) -> Objective:
        """Negative ELBO."""
        return Objective(loss=terms.reconstruction + terms.kl, beta=self.full(1.0))
