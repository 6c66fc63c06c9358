"""A local AWS: deploys CDK apps on a laptop and really runs their SageMaker training jobs.

What runs, what is only state and what is not there stands in ``docs/local-aws.md``; each module repeats
it for its own part. The emulator underneath is ministack, with moto as the store of control planes that
ministack lacks. Both are used through private hooks, which ``local-aws doctor`` checks one by one.
"""
