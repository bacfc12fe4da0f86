"""From a VirtualMachineInstance to libvirt's domain XML, by pure functions.

`render` is the entry, `document` the XML under construction, `facts` what is needed besides the VMI, `paths` where
things are in the launcher's container, `unsupported` what a VMI may ask for that is not rendered yet.
One module per part of the domain; `devices/` has one per device. No I/O.
"""
