"""The linear-Gaussian model, in which a β-VAE and everything measured on it can be written down exactly.

Truth: independent factors ``s`` of k dimensions, zero mean, unit variance; data ``x = A s + noise`` of d dimensions,
noise N(0, σ² I). Model: prior N(0, I), decoder N(W z, σ_d² I), encoder N(K x, S); maximised is
``J = E[log p(x|z)] - β KL(q(z|x) || p(z))``. Information is in nats.

* `model`: the data and their true posterior; `posterior`: the same for sources that aren't Gaussian; `cases`: the
  reference cases.
* `vae`: the optimal encoders, for any decoder and for the learned one, and the tools to compare a code with s.
* `measures`: rate, distortion, inference error, independence, MIG and the like of *any* linear encoder, so also of a
  trained one.
* `oracle` and `learned`: the same numbers as functions of β, for the true and for the learned decoder; the β that is
  best for inference; the β that a set point of the KL selects.
* `control`: how a controller of the KL settles.

The question is that of Sikka, Zhong, Yin and Pehlevan, "A Closer Look at Disentangling in β-VAE", Asilomar 2019 (arXiv
1912.05127): β enforces independence of the codes given the data, which is in general incompatible with independent
codes, and inference is best at a finite β. The model, the cases and the numbers here are ours, not that paper's: they
hold its claim in a model where it is exact, and reproduce none of its figures.

From outside: all modules whose names don't begin with an underscore.
"""
