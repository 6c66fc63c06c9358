"""Tasks that run SageMaker's jobs in any state machine, each with the permissions that it needs."""
