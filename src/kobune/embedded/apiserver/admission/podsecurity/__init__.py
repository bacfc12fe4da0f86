"""PodSecurity: pods are held to the level that their namespace's labels ask for."""

from kobune.embedded.apiserver.admission.podsecurity.step import PodSecurity

__all__ = ["PodSecurity"]
