"""Whether scores are still what they were: the tiers of ``bench check``, one file each."""
