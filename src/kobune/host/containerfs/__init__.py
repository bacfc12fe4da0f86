"""Directories and block devices given to a running container from outside, on any container runtime.

`files` is the driver with its fake; `inside` is the small program that enters the container's namespaces, and
`devicefilter` renders its device rules for control groups of version 2. This file imports nothing: `inside` must start
fast.
"""
