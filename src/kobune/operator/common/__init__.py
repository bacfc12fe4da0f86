"""Instancetypes and preferences that come with an installation: the names that users of KubeVirt know."""
