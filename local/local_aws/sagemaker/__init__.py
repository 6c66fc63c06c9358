"""SageMaker that runs: training jobs as child processes, model packages as state, moto for the rest."""
