# %% [markdown]
# # Write a method
#
# A method is a loss with its hyper-parameters. All tensors carry a leading axis of runs, because runs train together.

# %%
from pathlib import Path

import bench

# %%
METHOD = '''
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from bench import Method, Objective, register_method


@register_method("my_vae", label="MyVAE")
class MyVAE(Method):
    """My VAE: ``min R + weight * KL``. Source: mine. Known deviations: none."""

    @dataclass(frozen=True)
    class Hyper:
        """weight: on the KL."""

        weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0

    def loss(self, terms, state, step):
        return Objective(loss=terms.reconstruction + self.hyper.weight * terms.kl, beta=self.hyper.weight)
'''
file = Path("my_vae.py")
file.write_text(METHOD)

# %% [markdown]
# It is a file of its own, because worker processes import it. `bench test my_vae.py` holds it to the contract.

# %%
study = bench.run("smoke", methods=["my_vae[weight=1,4]", "vae"], seeds=2, plugins=[file], name="mine")
print(study.runs[["label", "seed", "reconstruction_bce", "kl", "mig"]].to_string(index=False))
