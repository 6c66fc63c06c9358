"""SageMaker that runs: jobs and endpoints as child processes, model packages as state, moto for the rest."""
