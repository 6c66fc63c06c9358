"""The steps of a training pipeline, one file each."""
