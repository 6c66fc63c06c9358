"""Images for jobs: those of AWS by framework and Region, and a registry for one's own."""
