"""Programs that Spark runs on Glue for steps of a pipeline: uploaded as they are, and self-contained."""
