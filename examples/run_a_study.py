# %% [markdown]
# # Run a study, and look at it
#
# Two β-VAEs over three seeds on a world of 192 images: seconds. Take "quick" for numbers that mean something.

# %%
from pathlib import Path

import numpy as np

import bench

# %%
study = bench.run("smoke", methods="beta_vae[beta=1,8]", seeds=3, results="results")
print(study)

# %% [markdown]
# Every run is a row, every score a column. The same call again changes nothing: what is done isn't done twice.

# %%
print(study.runs[["run", "hyper.beta", "seed", "reconstruction_bce", "kl", "mig"]].to_string(index=False))

# %%
summary = study.summary()
print(summary[summary["score"] == "mig"][["label", "n", "mean", "low", "high"]].to_string(index=False))

# %%
curves = study.curves()
print(curves.groupby(["label", "step"])["kl"].mean().unstack("label").tail(3))

# %%
study.figure("tradeoff").savefig("tradeoff.png", dpi=150)

# %% [markdown]
# A trained model takes and gives NumPy arrays.

# %%
model = study.model(study.runs["run"].iloc[0])
images = model.dataset.images(np.arange(4))
posterior = model.encode(images)
print(posterior.mean.shape, model.reconstruct(images).shape, model.sample(4, rng=1).shape)
print(model.traverse(images[0]).shape, "latents, values, channels, height, width")

# %%
print(study.report(Path("reports") / study.name))
