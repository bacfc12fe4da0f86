"""Admission: what changes or refuses an object between authorization and storage."""

from kobune.embedded.apiserver.admission.chain import AdmissionChain

__all__ = ["AdmissionChain"]
