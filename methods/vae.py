"""VAE (Kingma & Welling, 2014)."""

from __future__ import annotations

from bench.method import Method, Objective, State, Terms, register_method


@register_method("vae", label="VAE", order=1, groups=("all",))
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
