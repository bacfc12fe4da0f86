"""The StorageClass `local`: volumes that are directories or files of this node."""
