"""Networks of R runs: every parameter has a leading run axis.

From outside: `networks.build`, `networks.initialise` and `networks.VAE`, the layers, `adam.Adam`, `precision`, and the
`discriminator` of FactorVAE. The layers alone use the package `convolution`.
"""
