"""Convolutions of R runs by the kernels that suit their number and the device.

From outside: `choose.convolve`, described by `spec.Convolution`.
"""
