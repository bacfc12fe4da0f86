"""What is refused. Pure functions from typed specs to problems; paths and reasons are KubeVirt's."""
