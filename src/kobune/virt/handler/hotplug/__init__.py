"""Volumes that come to a running guest and leave it: between the pods that hold them and the launcher's container.

`plan` (pure) says what to do, `status` (pure) what to tell, `deliver` does it.
"""
