"""Networks, one file each; `bench.network` says what a network must be.

From outside: nothing by import; `bench.nn.networks.build` makes them by name.
"""
