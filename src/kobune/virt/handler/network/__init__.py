"""The guest's network inside its launcher pod, set up from outside: bridge, tap, NAT and DHCP.

`plan` (pure) says what there must be, `converge` (pure) what is missing, `setup` looks and acts.
"""
