"""The QEMU guest agent's commands and answers, typed; the transport is a function that is passed in.

The guest is not trusted: every answer is decoded into a closed shape with limits on its size.
"""
