"""Disk images by qemu-img, and ISO images by xorriso.

`image` inspects images as hostile input and makes overlays and empty images, `iso` writes ISO 9660.
"""
