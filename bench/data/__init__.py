"""A data set's images in memory, and the order in which a run sees them.

From outside: `images.store_of` and `images.ImageStore`, `chosen.ChosenImages`, `order.order_of` and `order.Order`.
"""
