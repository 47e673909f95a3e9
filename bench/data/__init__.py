"""A data set's images in memory, the order in which a run sees them, and the published files that they come from.

From outside: `images.store_of` and `images.ImageStore`, `chosen.ChosenImages`, `order.order_of` and `order.Order`;
`source.DataFile`, `source.checked` and where files lie; `remote.fetch`, the only thing here that touches a network.
"""
