"""The status of the KubeVirt resource: whether what is installed works."""
