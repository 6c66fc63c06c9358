"""What a job is, checked as it is written: training, processing, tuning and AutoML."""
