"""Further networks of a pod, as its annotations ask for them: what Multus does on other clusters.

`selection` (pure) reads the annotations, `state` remembers on disk what was attached, `attach` does it.
Source: the Kubernetes Network Custom Resource Definition De-facto Standard.
"""
