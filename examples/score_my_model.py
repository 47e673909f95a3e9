# %% [markdown]
# # Score a model of my own
#
# Any array of codes will do. Here the "model" is scikit-learn's PCA of rendered sprites.

# %%
import numpy as np
from sklearn.decomposition import PCA

import bench
from bench.metrics import mig

# %%
data = bench.load_dataset("dsprites", size=32, orientation=1, scale=2, pos_x=8, pos_y=8)
rows = np.arange(len(data))
images, factors = data.images(rows).reshape(len(data), -1), data.factors(rows)
codes = PCA(n_components=6, random_state=0).fit_transform(images)

# %%
print(bench.score(codes, factors, factor_names=data.factor_names, metrics="core").to_string())

# %% [markdown]
# A metric by itself is a function: arrays in, a dictionary out, with what it found for each factor.

# %%
found = mig(codes, factors)
print(found["mig"], dict(zip(data.factor_names, found["mig_per_factor"], strict=True)))
